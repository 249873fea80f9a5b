import Box from '@mui/material/Box'
import Button from '@mui/material/Button'
import { useEffect, useState } from 'react'
import { useWords } from './useWords'

/** A job that still runs after so long was not cancelled: it can be tried again. */
const AGAIN_MS = 10_000

/** The button that ends a job, asking first: the job belongs to the whole room. */
export function CancelJob({ title, onCancel }: { title: string; onCancel: () => void }) {
  const { t } = useWords()
  const [stage, setStage] = useState<'first' | 'asking' | 'kept' | 'asked'>('first')
  useEffect(() => {
    if (stage !== 'asked') return
    const again = setTimeout(() => {
      setStage('first')
    }, AGAIN_MS)
    return () => {
      clearTimeout(again)
    }
  }, [stage])

  if (stage === 'asking') {
    const keep = () => {
      setStage('kept')
    }
    return (
      <Box
        role="group"
        aria-label={t('job.cancelSure')}
        onKeyDown={(event) => {
          if (event.key === 'Escape') keep()
        }}
        sx={{ display: 'flex', flexWrap: 'wrap', gap: 1, alignItems: 'center' }}
      >
        <span aria-hidden>{t('job.cancelSure')}</span>
        <Button
          size="small"
          color="error"
          variant="contained"
          onClick={() => {
            setStage('asked')
            onCancel()
          }}
        >
          {t('job.cancelYes')}
        </Button>
        <Button size="small" autoFocus onClick={keep}>
          {t('job.cancelNo')}
        </Button>
      </Box>
    )
  }
  const isAsked = stage === 'asked'
  return (
    <Button
      size="small"
      aria-label={isAsked ? undefined : t('job.cancelIt', { title })}
      // Not `disabled`: whoever pressed a button that is gone now must not lose the place.
      aria-disabled={isAsked}
      autoFocus={stage !== 'first'}
      onClick={() => {
        if (!isAsked) setStage('asking')
      }}
      sx={isAsked ? { color: 'text.secondary', cursor: 'default' } : {}}
    >
      {t(isAsked ? 'job.cancelling' : 'job.cancel')}
    </Button>
  )
}
