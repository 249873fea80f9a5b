import Box from '@mui/material/Box'
import Chip from '@mui/material/Chip'
import LinearProgress from '@mui/material/LinearProgress'
import Typography from '@mui/material/Typography'
import { useState } from 'react'
import type { BacktestProgress } from '../wire'
import { CancelJob } from './CancelJob'
import { span } from './figures'
import { Frame, HIDDEN } from './Frame'
import { useWords, type Translate } from './useWords'

export interface JobCardProps {
  job: BacktestProgress
  /** Asks the server to end the job; without it the card has no button for it. */
  onCancel?: (() => void) | undefined
}

const COLOURS = {
  completed: 'success',
  reused: 'success',
  failed: 'error',
  cancelled: 'default',
  interrupted: 'warning',
} as const

/** A job from its asking to its end, always at the same place. */
export default function JobCard({ job, onCancel }: JobCardProps) {
  const { t, locale } = useWords()
  const { outcome } = job
  // A job that had ended before it was shown is no news.
  const [isWatched] = useState(outcome === undefined)
  const title = titleOf(job)
  const asked = t('job.askedBy', { name: job.requestedBy.name })
  const ending = outcome && t(`job.outcome.${outcome}`)
  return (
    <Frame
      title={title}
      aside={outcome && <Chip size="small" color={COLOURS[outcome]} label={ending} />}
    >
      <Typography variant="body2" color="text.secondary">
        {[asked, ...(outcome ? [] : whereabouts(job, t, locale))].join(' · ')}
      </Typography>
      {!outcome && (
        <Box sx={{ display: 'flex', gap: 1, alignItems: 'center', flexWrap: 'wrap' }}>
          <Bar job={job} label={title} />
          {onCancel && <CancelJob title={title} onCancel={onCancel} />}
        </Box>
      )}
      <Box component="span" role="status" sx={HIDDEN}>
        {isWatched && ending && `${title}: ${ending}`}
      </Box>
    </Frame>
  )
}

function Bar({ job, label }: { job: BacktestProgress; label: string }) {
  return (
    <LinearProgress
      variant={job.phase === 'queued' ? 'indeterminate' : 'determinate'}
      value={job.progress}
      aria-label={label}
      sx={{
        flex: '1 1 12ch',
        height: 6,
        borderRadius: 3,
        '@media (prefers-reduced-motion: reduce)': { '& *': { animation: 'none !important' } },
      }}
    />
  )
}

/** What the server calls the job: its words are `title: phase`, and at the end a sentence. */
function titleOf({ message = '', backtestId }: BacktestProgress): string {
  return message.replace(/: (queued|loading|running|analyzing|saving|done)$/, '') || backtestId
}

function whereabouts(job: BacktestProgress, t: Translate, locale: string): string[] {
  const { phase, progress, queuePosition, etaSeconds } = job
  const words = [t(`job.phase.${phase}`)]
  if (phase !== 'queued') words.push(`${progress}\u00a0%`)
  if (queuePosition === 1) words.push(t('job.next'))
  else if (queuePosition !== undefined) words.push(t('job.position', { position: queuePosition }))
  if (etaSeconds === 0) words.push(t('job.etaNone'))
  else if (etaSeconds !== undefined) words.push(t('job.eta', { time: span(etaSeconds, locale) }))
  return words
}
