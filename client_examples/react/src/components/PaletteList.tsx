import Box from '@mui/material/Box'
import Paper from '@mui/material/Paper'
import Typography from '@mui/material/Typography'
import { useEffect, useRef } from 'react'
import { useLocale } from '../i18n'
import type { Palette } from './usePalette'

export const optionId = (listId: string, at: number): string => `${listId}-${at}`

/** The palette, over the input box; the focus stays in the box. */
export function PaletteList({ id, palette }: { id: string; palette: Palette }) {
  const { t } = useLocale()
  const { items, active, take } = palette
  const list = useRef<HTMLDivElement>(null)
  useEffect(() => {
    list.current?.querySelector('[aria-selected=true]')?.scrollIntoView({ block: 'nearest' })
  }, [active, items])
  return (
    <Paper
      ref={list}
      id={id}
      role="listbox"
      aria-label={t('suggestions')}
      elevation={8}
      sx={{ position: 'absolute', inset: 'auto 8px 100%', zIndex: 2, maxHeight: 280, overflowY: 'auto', py: 0.5 }}
    >
      {items.map((item, at) => (
        <Box
          key={item.value}
          id={optionId(id, at)}
          role="option"
          aria-selected={at === active}
          onMouseDown={(event) => {
            event.preventDefault() // the focus stays in the box
          }}
          onClick={() => {
            take(item)
          }}
          sx={{
            display: 'flex',
            gap: 1.5,
            px: 1.5,
            py: 0.5,
            cursor: 'pointer',
            '&:hover, &[aria-selected=true]': { bgcolor: 'action.selected' },
          }}
        >
          <Typography variant="body2" sx={{ fontFamily: 'monospace', flexShrink: 0 }}>
            {item.label}
          </Typography>
          <Typography variant="body2" color="text.secondary" noWrap>
            {item.detail}
          </Typography>
        </Box>
      ))}
    </Paper>
  )
}
