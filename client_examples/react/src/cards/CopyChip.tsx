import Chip from '@mui/material/Chip'
import { useState } from 'react'
import { useWords } from './useWords'

/** Copies the text. Where the browser does not let it, it shows the text to be copied by hand. */
export function CopyChip({ label, text }: { label: string; text: string }) {
  const { t } = useWords()
  const [shown, setShown] = useState<string | null>(null)
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text)
      setShown(t('result.copied'))
    } catch {
      setShown(text)
    }
  }
  return (
    <Chip
      size="small"
      variant="outlined"
      label={<span aria-live="polite">{shown ?? `⧉ ${label}`}</span>}
      aria-label={shown === null ? t('result.copy', { text: label }) : undefined}
      onClick={() => void copy()}
      sx={{ maxWidth: '100%', fontFamily: 'monospace' }}
    />
  )
}
