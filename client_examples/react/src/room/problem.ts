import type { ErrorCode, WireError } from '../wire'

/**
 * What went wrong, for a person: the wire's error, or one of our own.
 *
 * - `no_session`: no session is joined.
 * - `left`: the session was left, or the page closed it, before the server had answered.
 * - `unreachable`: there is no connection, or the server was silent for 10 s.
 * - `unreadable`: what was dropped is no file, or cannot be read.
 */
export interface Problem extends Partial<Omit<WireError, 'code' | 'message'>> {
  code: ErrorCode | 'no_session' | 'left' | 'unreachable' | 'unreadable'
  message: string
}

/** It was not done; `error` says why. The form of the wire's `ErrorAck`. */
export interface Declined {
  ok: false
  error: Problem
}

/** Codes of errors after which the server will take the same request later. */
export const LATER: ReadonlySet<string> = new Set([
  'rate_limited',
  'shutting_down',
  'store_unavailable',
])

/** How long to wait before the same request again. */
export function laterMs(problem: Problem): number {
  return (problem.retryAfterSeconds ?? 1) * 1000
}

export const NO_SESSION: Problem = {
  code: 'no_session',
  message: 'No session is joined.',
  hint: 'Join or create one first.',
}

export const LEFT: Problem = {
  code: 'left',
  message: 'The session was left before the server had answered.',
}

export const UNREACHABLE: Problem = {
  code: 'unreachable',
  message: 'The server does not answer.',
  hint: 'It is tried again by itself.',
}

export const UNREADABLE: Problem = {
  code: 'unreadable',
  message: 'This is no file that can be read.',
}
