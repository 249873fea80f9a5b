/** The log on the screen: only what is seen is in the page, so that 5,000 lines scroll smoothly. */
import Box from '@mui/material/Box'
import Fab from '@mui/material/Fab'
import Link from '@mui/material/Link'
import { memo, useCallback, useRef, useState, type UIEvent } from 'react'
import { Virtuoso, type ListProps, type VirtuosoHandle } from 'react-virtuoso'
import JobCard from '../cards/JobCard'
import { useLocale } from '../i18n'
import type { ChatMessage } from '../room/lines'
import type { BacktestProgress } from '../wire'
import { DownIcon } from './icons'
import { FailedRow, MessageRow, nameOf, Note } from './MessageRow'
import type { FailedSend, Row } from './rows'
import { useServer } from './server'

/** Within so many pixels of the end a reader is taken along. */
const NEAR_END_PX = 80

interface Props {
  sessionId: string
  rows: readonly Row[]
  connected: boolean
  onRetry: (failed: FailedSend) => void
  onDiscard: (failed: FailedSend) => void
  onCancel: (job: BacktestProgress) => void
}

export const Transcript = memo(function Transcript(props: Props) {
  const { rows, connected, onRetry, onDiscard, onCancel } = props
  const { t } = useLocale()
  const list = useRef<VirtuosoHandle>(null)
  // How many lines there were when the reader went up; null: the reader is taken along.
  const [leftAt, setLeftAt] = useState<number | null>(null)
  const seen = useRef({ scrollTop: 0, scrollHeight: 0 })
  const lines = rows.filter((row) => row.kind === 'line').length

  const show = useCallback(
    (line: ChatMessage) => {
      const index = rows.findIndex((row) => row.key === line.key)
      setLeftAt((before) => before ?? lines)
      list.current?.scrollToIndex({ index, align: 'center' })
    },
    [rows, lines],
  )
  const toEnd = () => {
    list.current?.scrollToIndex({ index: 'LAST', align: 'end' })
  }
  const scrolled = ({ currentTarget: { scrollTop, scrollHeight, clientHeight } }: UIEvent) => {
    const isUp = scrollTop < seen.current.scrollTop
    const isSame = scrollHeight === seen.current.scrollHeight
    seen.current = { scrollTop, scrollHeight }
    if (scrollHeight - scrollTop - clientHeight <= NEAR_END_PX) setLeftAt(null)
    // What grows or turns out smaller moves the list too; a reader moves it while it stays as it is.
    else if (isUp && isSame) setLeftAt((before) => before ?? lines)
  }
  const content = (row: Row) => {
    if (row.kind === 'failed') {
      return <FailedRow failed={row.failed} onRetry={onRetry} onDiscard={onDiscard} />
    }
    if (row.kind === 'job') {
      const cancel = () => {
        onCancel(row.job)
      }
      return <JobCard job={row.job} onCancel={cancel} />
    }
    const { line, continues, newDay, answers } = row
    return <MessageRow {...{ line, continues, newDay, answers, connected }} onShow={show} />
  }

  return (
    <Box sx={{ flexGrow: 1, minHeight: 0, position: 'relative' }}>
      <Virtuoso
        ref={list}
        data={rows}
        context={{ sessionId: props.sessionId, isPart: isPart(rows) }}
        components={PARTS}
        computeItemKey={(_, row) => row.key}
        itemContent={(index, row) => (
          <Box
            role="article"
            data-seq={row.kind === 'line' ? (row.line.seq ?? undefined) : undefined}
            aria-label={labelOf(row, t)}
            aria-posinset={index + 1}
            aria-setsize={rows.length}
            sx={{ px: { xs: 1, sm: 2 }, pb: 0.25 }}
          >
            {content(row)}
          </Box>
        )}
        initialTopMostItemIndex={{ index: 'LAST', align: 'end' }}
        followOutput={() => leftAt === null || isOurs(rows.at(-1))}
        totalListHeightChanged={() => {
          if (leftAt === null) toEnd()
        }}
        onScroll={scrolled}
        increaseViewportBy={200}
        aria-label={t('transcript')}
        role="region"
      />
      {leftAt !== null && (
        <Fab
          variant="extended"
          size="small"
          color={lines > leftAt ? 'primary' : 'default'}
          onClick={() => {
            setLeftAt(null)
            toEnd()
          }}
          sx={{ position: 'absolute', bottom: 8, left: '50%', transform: 'translateX(-50%)' }}
        >
          <DownIcon sx={{ mr: 0.5 }} />
          {lines > leftAt ? t('newMessages', { count: lines - leftAt }) : t('toLatest')}
        </Fab>
      )}
    </Box>
  )
})

function isOurs(row: Row | undefined): boolean {
  return row?.kind === 'failed' || (row?.kind === 'line' && row.line.status === 'pending')
}

function isPart(rows: readonly Row[]): boolean {
  const first = rows.find((row) => row.kind === 'line' && row.line.seq !== null)
  return first?.kind === 'line' && first.line.seq !== 1
}

function labelOf(row: Row, t: ReturnType<typeof useLocale>['t']): string {
  if (row.kind === 'line') return nameOf(row.line, t)
  return row.kind === 'failed' ? t('notSent') : (row.job.message ?? row.job.backtestId)
}

/** What the parts of the list are told: of which session, and whether it has more than is shown. */
interface Context {
  sessionId: string
  isPart: boolean
}

function Feed({ children, ref, style }: ListProps) {
  return (
    <div role="feed" ref={ref} style={style} data-testid="virtuoso-item-list">
      {children}
    </div>
  )
}

function Earlier({ context: { sessionId, isPart } }: { context: Context }) {
  const { t } = useLocale()
  const server = useServer()
  if (!isPart) return null
  const path = `/api/v1/chatops-advanced/session/${sessionId}/export?format=markdown`
  return (
    <Note>
      {t('earlier')}{' '}
      <Link href={server + path} download>
        {t('downloadAll')}
      </Link>
    </Note>
  )
}

/** Air between the newest line and the input box. */
function End() {
  return <Box sx={{ height: 8 }} />
}

const PARTS = { List: Feed, Header: Earlier, Footer: End }
