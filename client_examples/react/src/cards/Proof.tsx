import Box from '@mui/material/Box'
import Chip from '@mui/material/Chip'
import Typography from '@mui/material/Typography'
import type { BacktestData, ComparisonData } from '../wire'
import { CopyChip } from './CopyChip'
import { useWords } from './useWords'

interface ProofProps {
  data: BacktestData | ComparisonData
  /** What the server says of where the result comes from. */
  note: string | null
}

/** Where a result comes from: run now or before, its proof, and how to repeat it. */
export function Proof({ data, note }: ProofProps) {
  const { t } = useWords()
  const { backtestId, fingerprint, reused, rerunOf } = data
  return (
    <>
      <Box sx={{ display: 'flex', flexWrap: 'wrap', gap: 0.5, minWidth: 0 }}>
        {reused && <Chip size="small" color="info" label={t('result.reused')} />}
        {rerunOf && (
          <Chip
            size="small"
            color={rerunOf.identical ? 'success' : 'warning'}
            label={t(rerunOf.identical ? 'result.identical' : 'result.differs', {
              id: rerunOf.backtestId,
            })}
          />
        )}
        <CopyChip
          label={t('result.proof', { proof: fingerprint.slice(0, 12) })}
          text={fingerprint}
        />
        <CopyChip label={`/rerun ${backtestId}`} text={`/rerun ${backtestId}`} />
      </Box>
      {[...(note === null ? [] : [note]), ...(rerunOf?.differences ?? [])].map((sentence) => (
        <Typography key={sentence} variant="body2" color="text.secondary">
          {sentence}
        </Typography>
      ))}
    </>
  )
}
