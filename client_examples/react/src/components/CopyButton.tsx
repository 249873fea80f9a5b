import IconButton from '@mui/material/IconButton'
import Tooltip from '@mui/material/Tooltip'
import { useState } from 'react'
import { useLocale } from '../i18n'
import { CopyIcon } from './icons'
import { copyText } from './server'

export function CopyButton({ text, label }: { text: string; label: string }) {
  const { t } = useLocale()
  const [outcome, setOutcome] = useState<'copied' | 'notCopied' | null>(null)
  const copy = async () => {
    setOutcome((await copyText(text)) ? 'copied' : 'notCopied')
  }
  return (
    <Tooltip
      title={outcome === null ? label : t(outcome)}
      describeChild
      onClose={() => {
        setOutcome(null)
      }}
    >
      <IconButton size="small" aria-label={label} onClick={() => void copy()}>
        <CopyIcon fontSize="inherit" />
      </IconButton>
    </Tooltip>
  )
}
