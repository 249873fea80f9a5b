import Chip from '@mui/material/Chip'
import { useState } from 'react'
import { CopyIcon } from '../components/icons'
import { copyText } from '../components/server'
import { useLocale } from '../i18n'

/** Copies the text. Where the browser does not let it, it shows the text to be copied by hand. */
export function CopyChip({ label, text }: { label: string; text: string }) {
  const { t } = useLocale()
  const [shown, setShown] = useState<string | null>(null)
  const copy = async () => {
    setShown((await copyText(text)) ? t('copied') : text)
  }
  return (
    <Chip
      size="small"
      variant="outlined"
      icon={<CopyIcon />}
      label={<span aria-live="polite">{shown ?? label}</span>}
      aria-label={shown === null ? t('result.copy', { text: label }) : undefined}
      onClick={() => void copy()}
      sx={{ maxWidth: '100%', fontFamily: 'monospace' }}
    />
  )
}
