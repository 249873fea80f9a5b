/** What a line says, by its kind. */
import Box from '@mui/material/Box'
import Paper from '@mui/material/Paper'
import Typography from '@mui/material/Typography'
import { memo, useMemo } from 'react'
import type { ChatMessage } from '../room/lines'
import type { BacktestProgress, CommandResult } from '../wire'
import { JobCard, ResultCard, Steps } from './cards'
import { Fallback } from './Fallback'
import { Markdown } from './Markdown'

export const Entry = memo(function Entry({ line }: { line: ChatMessage }) {
  const { result, content, commandId, role, answer } = line
  if (result !== null) return <Result result={result} />
  if (role === 'user' && (commandId !== null || content.startsWith('/'))) {
    return (
      <Box component="code" sx={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>
        {content}
      </Box>
    )
  }
  const steps = answer?.steps ?? []
  return (
    <>
      {Steps && steps.length > 0 && (
        <Fallback instead={null}>
          <Steps steps={steps} />
        </Fallback>
      )}
      <Markdown text={content} />
    </>
  )
})

function Result({ result }: { result: CommandResult }) {
  const entry = useMemo(() => ({ ...result, type: 'commandResult' as const }), [result])
  const text = (
    <Paper
      variant="outlined"
      sx={{ p: 1.5, ...(result.success ? {} : { borderColor: 'error.main' }) }}
    >
      <Markdown text={result.message} />
    </Paper>
  )
  if (ResultCard === null) return text
  return (
    <Fallback instead={text}>
      <ResultCard entry={entry} />
    </Fallback>
  )
}

/** A job, which changes in its place until it has ended. */
export function Job({ job, onCancel }: { job: BacktestProgress; onCancel: () => void }) {
  const text = (
    <Typography variant="body2">
      {job.message} · {job.progress} %
    </Typography>
  )
  if (JobCard === null) return text
  return (
    <Fallback instead={text}>
      <JobCard job={job} onCancel={onCancel} />
    </Fallback>
  )
}
