/** What stands in the transcript, row by row: lines, sends that failed, and jobs under way. */
import { hasEnded } from '../room/jobs'
import type { ChatMessage } from '../room/lines'
import type { Problem } from '../room/problem'
import type { BacktestProgress } from '../wire'

/** Something of ours that the server did not take. */
export interface FailedSend {
  id: string
  sessionId: string
  content: string
  problem: Problem
}

export interface LineRow {
  kind: 'line'
  key: string
  line: ChatMessage
  /** It continues what its author said just before. */
  continues: boolean
  /** Its time, if it is the first of a day. */
  newDay: string | null
  /** What it answers, unless that stands right before it. */
  answers: ChatMessage | null
}

export type Row =
  | LineRow
  | { kind: 'failed'; key: string; failed: FailedSend }
  | { kind: 'job'; key: string; job: BacktestProgress }

const TOGETHER_MS = 5 * 60_000

/** Jobs stand last, where everybody looks; the result takes the place of its job in the log. */
export function rowsOf(
  messages: readonly ChatMessage[],
  jobs: readonly BacktestProgress[],
  failed: readonly FailedSend[],
): Row[] {
  const byId = new Map(messages.map((line) => [line.id, line]))
  let day = ''
  const lines = messages.map((line, at): Row => {
    const before = messages[at - 1]
    const ofDay = dayOf(line) ?? day
    const newDay = ofDay === day ? null : line.timestamp
    day = ofDay
    const question = questionOf(line)
    return {
      kind: 'line',
      key: line.key,
      line,
      continues: newDay === null && before !== undefined && belongTogether(before, line),
      newDay,
      answers: question === before?.id ? null : (byId.get(question ?? '') ?? null),
    }
  })
  const shown = new Set(messages.map(jobOf))
  return [
    ...lines,
    ...failed.map((one): Row => ({ kind: 'failed', key: `failed:${one.id}`, failed: one })),
    ...jobs
      .filter((job) => !hasEnded(job) || !shown.has(job.backtestId))
      .map((job): Row => ({ kind: 'job', key: `job:${job.backtestId}`, job })),
  ]
}

/** Days are those of the reader's clock. Asked for all lines at each change, hence the memory. */
const days = new WeakMap<ChatMessage, string>()

function dayOf(line: ChatMessage): string | null {
  if (line.timestamp === null) return null
  const known = days.get(line) ?? new Date(line.timestamp).toDateString()
  days.set(line, known)
  return known
}

function questionOf({ metadata }: ChatMessage): string | null {
  return 'replyTo' in metadata && typeof metadata.replyTo === 'string' ? metadata.replyTo : null
}

function jobOf({ result }: ChatMessage): unknown {
  const data = result?.data
  return data !== undefined && 'backtestId' in data ? data.backtestId : undefined
}

function belongTogether(one: ChatMessage, other: ChatMessage): boolean {
  if (speakerOf(one) === null || speakerOf(one) !== speakerOf(other) || other.afterGap) return false
  return Date.parse(other.timestamp ?? '') - Date.parse(one.timestamp ?? '') < TOGETHER_MS
}

function speakerOf({ kind, role, author }: ChatMessage): string | null {
  return kind === 'message' && role !== 'system' ? (author?.id ?? null) : null
}
