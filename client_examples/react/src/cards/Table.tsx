import Box from '@mui/material/Box'
import type { ReactNode } from 'react'
import { HIDDEN } from './Frame'

export interface TableRow {
  key: string
  head: ReactNode
  cells: readonly ReactNode[]
}

interface TableProps {
  /** What it is a table of; read, and shown above it unless `isCaptionHidden`. */
  caption: string
  isCaptionHidden?: boolean
  columns: readonly string[]
  rows: readonly TableRow[]
}

/** A table of figures, the first column the names. Where it is too wide it scrolls by itself. */
export function Table({ caption, isCaptionHidden = false, columns, rows }: TableProps) {
  const [corner, ...heads] = columns
  return (
    <Box role="region" aria-label={caption} tabIndex={0} sx={{ overflowX: 'auto', minWidth: 0 }}>
      <Box component="table" sx={TABLE}>
        <Box component="caption" sx={isCaptionHidden ? HIDDEN : {}}>
          {caption}
        </Box>
        <thead>
          <tr>
            <th scope="col">{corner}</th>
            {heads.map((head) => (
              <th key={head} scope="col">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ key, head, cells }) => (
            <tr key={key}>
              <th scope="row">{head}</th>
              {cells.map((cell, at) => (
                <td key={heads[at]}>{cell}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </Box>
    </Box>
  )
}

const TABLE = {
  borderCollapse: 'collapse',
  typography: 'body2',
  fontVariantNumeric: 'tabular-nums',
  '& caption': { textAlign: 'left', color: 'text.secondary', typography: 'caption' },
  '& th, & td': { px: 1, py: 0.25, textAlign: 'right', whiteSpace: 'nowrap' },
  '& th': { fontWeight: 500 },
  '& tr': { borderBottom: '1px solid', borderColor: 'divider' },
  // The names stay where the figures scroll.
  '& th:first-of-type': {
    textAlign: 'left',
    pl: 0,
    position: 'sticky',
    left: 0,
    bgcolor: 'background.paper',
  },
} as const
