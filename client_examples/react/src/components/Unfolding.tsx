import Popover from '@mui/material/Popover'
import { useState, type MouseEvent, type ReactNode } from 'react'

interface Props {
  label: string
  button: (open: { onClick: (event: MouseEvent<HTMLElement>) => void; 'aria-haspopup': 'dialog' }) => ReactNode
  children: ReactNode
}

/** A button, and what unfolds under it. */
export function Unfolding({ label, button, children }: Props) {
  const [anchor, setAnchor] = useState<HTMLElement | null>(null)
  return (
    <>
      {button({
        'aria-haspopup': 'dialog',
        onClick: ({ currentTarget }) => {
          setAnchor(currentTarget)
        },
      })}
      <Popover
        open={anchor !== null}
        anchorEl={anchor}
        onClose={() => {
          setAnchor(null)
        }}
        anchorOrigin={{ vertical: 'bottom', horizontal: 'right' }}
        transformOrigin={{ vertical: 'top', horizontal: 'right' }}
        slotProps={{ paper: { role: 'dialog', 'aria-label': label, sx: { p: 2, width: 320 } } }}
      >
        {children}
      </Popover>
    </>
  )
}
