import Alert from '@mui/material/Alert'
import { Component, lazy, Suspense, type ReactNode } from 'react'
import type { BacktestData, CommandResult, ComparisonData, FailureData, ResultData } from '../wire'
import { ServerText } from './ServerText'
import { useWords } from './useWords'

// Most rooms are read before anything is run: charts and tables are loaded with the first result.
const BacktestCard = lazy(() => import('./BacktestCard'))
const ComparisonCard = lazy(() => import('./ComparisonCard'))

export interface ResultCardProps {
  /** Of the log, or one that only we see. */
  entry: CommandResult
  /** The server, if it is not the page's. */
  url?: string | undefined
}

/** The end of a command: a card if there is one for it, else the server's text. */
export default function ResultCard({ entry, url }: ResultCardProps) {
  const { data, success, message } = entry
  if (!success) return <Failed data={data} message={message} />
  const text = <ServerText text={message} />
  if (isBacktest(data)) {
    return (
      <Loaded meanwhile={text}>
        <BacktestCard data={data} note={noteOf(message)} url={url} />
      </Loaded>
    )
  }
  if (isComparison(data)) {
    return (
      <Loaded meanwhile={text}>
        <ComparisonCard data={data} note={noteOf(message)} url={url} />
      </Loaded>
    )
  }
  return text
}

function Failed({ data, message }: { data: ResultData | undefined; message: string }) {
  const { t } = useWords()
  const error = isFailure(data) ? data.error : { message, hint: null }
  return (
    // Not an alert: it stands in a log that is read in its own time.
    <Alert severity="error" role="group" aria-label={t('result.failed')}>
      <ServerText text={error.message} />
      {error.hint !== null && <ServerText text={error.hint} />}
    </Alert>
  )
}

/**
 * A part that may still be on its way, or never come: a page that is older than the server asks
 * for files that are gone. The server's text says the same, so it is shown then.
 */
class Loaded extends Component<{ meanwhile: ReactNode; children: ReactNode }, { isLost: boolean }> {
  override state = { isLost: false }

  static getDerivedStateFromError() {
    return { isLost: true }
  }

  override render() {
    const { meanwhile, children } = this.props
    return this.state.isLost ? meanwhile : <Suspense fallback={meanwhile}>{children}</Suspense>
  }
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
