import Box from '@mui/material/Box'
import { useId } from 'react'

/** The server's own text: paragraphs with code and bold words, and tables in code blocks. */
export function ServerText({ text }: { text: string }) {
  const label = useId()
  return (
    <Box sx={{ typography: 'body2', overflowWrap: 'anywhere', minWidth: 0 }}>
      {text.split(/^```.*\n([^]*?)\n```$/m).map((part, at) =>
        at % 2 === 1 ? (
          <Box
            key={`${label}${at}`}
            component="pre"
            tabIndex={0}
            sx={{ m: 0, overflowX: 'auto', fontFamily: 'monospace', fontSize: '0.8125rem' }}
          >
            {part}
          </Box>
        ) : (
          part.trim() !== '' && (
            <Box key={`${label}${at}`} sx={{ whiteSpace: 'pre-wrap', my: 0.5 }}>
              {inline(part.trim())}
            </Box>
          )
        ),
      )}
    </Box>
  )
}

function inline(text: string) {
  return text.split(/(\*\*[^*]+\*\*|`[^`]+`)/).map((part, at) => {
    if (part.startsWith('**')) return <strong key={at}>{part.slice(2, -2)}</strong>
    if (part.startsWith('`')) return <code key={at}>{part.slice(1, -1)}</code>
    return part
  })
}
