import Box from '@mui/material/Box'
import Paper from '@mui/material/Paper'
import Typography from '@mui/material/Typography'
import { useId, type ReactNode } from 'react'

interface FrameProps {
  title: string
  /** Beside the title. */
  aside?: ReactNode
  children: ReactNode
}

/** The outside of every card. */
export function Frame({ title, aside, children }: FrameProps) {
  const id = useId()
  return (
    <Paper
      component="article"
      variant="outlined"
      aria-labelledby={id}
      // A card may be as wide as its column, never wider: what is wider scrolls inside.
      sx={{ p: 1.5, minWidth: 0, maxWidth: '100%', display: 'grid', gap: 1, overflow: 'hidden' }}
    >
      <Box sx={{ display: 'flex', flexWrap: 'wrap', gap: 1, alignItems: 'center' }}>
        <Typography
          id={id}
          component="h3"
          variant="subtitle2"
          sx={{ flex: 1, minWidth: '12ch', overflowWrap: 'anywhere' }}
        >
          {title}
        </Typography>
        {aside}
      </Box>
      {children}
    </Paper>
  )
}

/** For those who hear the page. */
export const HIDDEN = {
  position: 'absolute',
  width: '1px',
  height: '1px',
  margin: '-1px',
  overflow: 'hidden',
  clipPath: 'inset(50%)',
  whiteSpace: 'nowrap',
} as const
