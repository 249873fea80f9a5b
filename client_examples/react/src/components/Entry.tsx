/** What a line says, by its kind. */
import Box from '@mui/material/Box'
import { memo } from 'react'
import Figures from '../cards/Figures'
import ResultCard from '../cards/ResultCard'
import Steps from '../cards/Steps'
import type { ChatMessage } from '../room/lines'
import { Markdown } from './Markdown'

export const Entry = memo(function Entry({ line }: { line: ChatMessage }) {
  const { result, content, commandId, role, answer } = line
  if (result !== null) return <ResultCard entry={result} />
  if (role === 'user' && (commandId !== null || content.startsWith('/'))) {
    return (
      <Box component="code" sx={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
        {content}
      </Box>
    )
  }
  return (
    <>
      <Steps steps={answer?.steps ?? []} />
      <Markdown text={content} />
      <Figures figures={answer?.figures ?? []} />
    </>
  )
})
