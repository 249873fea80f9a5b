import Typography from '@mui/material/Typography'
import { useLocale } from '../i18n'
import type { Figure } from '../wire'

/** Which figures of an answer no result bears out. */
export default function Figures({ figures }: { figures: readonly Figure[] }) {
  const { t } = useLocale()
  if (figures.length === 0) return null
  const loose = figures.filter((one) => !one.verified).map((one) => one.text)
  return (
    <Typography variant="caption" component="p" color={loose.length ? 'warning.main' : 'success.main'}>
      {loose.length === 0
        ? `✓ ${t('figures.verified', { count: figures.length })}`
        : `⚠ ${t('figures.unverified', { figures: loose.join(', ') })}`}
    </Typography>
  )
}
