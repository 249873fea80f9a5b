import Box from '@mui/material/Box'
import Typography from '@mui/material/Typography'
import type { Figure, Step } from '../wire'
import { duration } from './figures'
import { useWords } from './useWords'

/** What the assistant ran for its answer; folded until somebody wants to know. */
export default function Steps({ steps }: { steps: readonly Step[] }) {
  const { t, locale } = useWords()
  if (steps.length === 0) return null
  const took = steps.reduce((sum, { durationMs }) => sum + durationMs, 0)
  return (
    <Box component="details" sx={{ typography: 'body2', minWidth: 0 }}>
      <Box component="summary" sx={{ cursor: 'pointer', color: 'text.secondary' }}>
        {t('steps.title', { count: steps.length, time: duration(took, locale) })}
        {steps.some((step) => !step.success) && ` · ${t('steps.failed')}`}
      </Box>
      <Box component="ol" sx={{ m: 0, pl: 3, overflowWrap: 'anywhere' }}>
        {steps.map((step, at) => (
          <li key={at}>
            <Box
              component="span"
              role="img"
              aria-label={t(step.success ? 'steps.succeeded' : 'steps.failed')}
              sx={{ color: step.success ? 'success.main' : 'error.main' }}
            >
              {step.success ? '✓' : '✗'}
            </Box>{' '}
            <code>{step.command}</code> · {duration(step.durationMs, locale)}
            <Typography variant="body2" color="text.secondary">
              {step.summary}
            </Typography>
          </li>
        ))}
      </Box>
    </Box>
  )
}

/** Which figures of an answer no result bears out. */
export function Figures({ figures }: { figures: readonly Figure[] }) {
  const { t } = useWords()
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
