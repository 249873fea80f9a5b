import Alert from '@mui/material/Alert'
import { lazy } from 'react'
import { Fallback } from '../components/Fallback'
import { Markdown } from '../components/Markdown'
import type { BacktestData, CommandResult, ComparisonData, FailureData, ResultData } from '../wire'
import { useLocale } from '../i18n'

// Most rooms are read before anything is run: charts and tables are loaded with the first result.
const BacktestCard = lazy(() => import('./BacktestCard'))
const ComparisonCard = lazy(() => import('./ComparisonCard'))

export interface ResultCardProps {
  /** Of the log, or one that only we see. */
  entry: CommandResult
}

/** The end of a command: a card if there is one for it, else the server's text. */
export default function ResultCard({ entry }: ResultCardProps) {
  const { data, success, message } = entry
  if (!success) return <Failed data={data} message={message} />
  const text = <Markdown text={message} />
  if (isBacktest(data)) {
    return (
      <Fallback instead={text}>
        <BacktestCard data={data} note={noteOf(message)} />
      </Fallback>
    )
  }
  if (isComparison(data)) {
    return (
      <Fallback instead={text}>
        <ComparisonCard data={data} note={noteOf(message)} />
      </Fallback>
    )
  }
  return text
}

function Failed({ data, message }: { data: ResultData | undefined; message: string }) {
  const { t } = useLocale()
  const error = isFailure(data) ? data.error : { message, hint: null }
  return (
    // Not an alert: it stands in a log that is read in its own time.
    <Alert severity="error" role="group" aria-label={t('result.failed')}>
      <Markdown text={error.message} />
      {error.hint !== null && <Markdown text={error.hint} />}
    </Alert>
  )
}

/** What the server says before the title: whose run this is the result of. */
function noteOf(message: string): string | null {
  return /^(?!\*\*)(.+)\n\n\*\*/.exec(message)?.[1] ?? null
}

function isBacktest(data: ResultData | undefined): data is BacktestData {
  return data !== undefined && 'metrics' in data && 'points' in data
}

function isComparison(data: ResultData | undefined): data is ComparisonData {
  return data !== undefined && 'ranking' in data && 'monteCarlo' in data
}

function isFailure(data: ResultData | undefined): data is FailureData {
  return data !== undefined && 'error' in data
}
