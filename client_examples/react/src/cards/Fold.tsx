import Box from '@mui/material/Box'
import type { ReactNode } from 'react'

/** What not everybody wants to see at once. */
export function Fold({ title, children }: { title: string; children: ReactNode }) {
  return (
    <Box component="details" sx={{ typography: 'body2', minWidth: 0 }}>
      <Box component="summary" sx={{ cursor: 'pointer', width: 'fit-content' }}>
        {title}
      </Box>
      {children}
    </Box>
  )
}
