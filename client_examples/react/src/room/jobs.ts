import type { BacktestProgress, CommandResult } from '../wire'
import type { Entry, RoomState } from './state'

/** Ended jobs that are remembered, so that a long day does not fill the memory. */
const ENDED_KEPT = 100

/** The list with this news of a job in its place; the same list if it is old news. */
export function withJob(
  jobs: readonly BacktestProgress[],
  news: BacktestProgress,
): readonly BacktestProgress[] {
  const at = jobs.findIndex((one) => one.backtestId === news.backtestId)
  const known = jobs[at]
  if (known === undefined) return [...jobs, news]
  return news.version > known.version ? jobs.with(at, news) : jobs
}

/**
 * The jobs after a join, which tells those that run. One that ran when we were last there and is
 * not among them has ended meanwhile, as its result in the log says.
 */
export function afterJoin(
  state: RoomState,
  running: readonly BacktestProgress[],
): readonly BacktestProgress[] {
  const ids = new Set(running.map((one) => one.backtestId))
  const known = state.jobs.flatMap((job) =>
    ids.has(job.backtestId) || hasEnded(job) ? [job] : ended(job, state.entries),
  )
  const surplus = known.filter(hasEnded).length - ENDED_KEPT
  const forgotten = new Set(known.filter(hasEnded).slice(0, Math.max(surplus, 0)))
  return running.reduce(
    withJob,
    known.filter((job) => !forgotten.has(job)),
  )
}

export function hasEnded(job: BacktestProgress): boolean {
  return job.outcome !== undefined
}

function ended(job: BacktestProgress, entries: readonly Entry[]): BacktestProgress[] {
  const result = entries.findLast(
    (one) => one.type === 'commandResult' && idOfJob(one) === job.backtestId,
  )
  if (result?.type !== 'commandResult') return [] // it is no longer kept
  const { success } = result
  const last: BacktestProgress = {
    ...job,
    phase: 'done',
    progress: success ? 100 : job.progress,
    status: success ? 'completed' : 'failed',
    outcome: success ? 'completed' : outcomeOf(result.data),
  }
  delete last.queuePosition
  delete last.etaSeconds
  return [last]
}

function idOfJob({ data }: CommandResult): unknown {
  return data !== undefined && 'backtestId' in data ? data.backtestId : undefined
}

function outcomeOf(data: unknown): 'failed' | 'cancelled' | 'interrupted' {
  const code = (data as { error?: { code?: unknown } } | undefined)?.error?.code
  return code === 'cancelled' || code === 'interrupted' ? code : 'failed'
}
