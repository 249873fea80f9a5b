/**
 * What a member of a room knows, and how each event changes it: a pure function.
 *
 * The log is the truth. `entries` are its entries in the order of `seq`, each once; one that leaves
 * a hole behind it waits in `ahead`, and whoever owns the state joins again to fill the hole.
 */
import type {
  Author,
  BacktestProgress,
  CommandResult,
  CommandResultEntry,
  JoinAck,
  Member,
  MessageDelta,
  MessageEntry,
  Presence,
  SessionInfo,
} from '../wire'
import { afterJoin, withJob } from './jobs'
import type { Problem } from './problem'

/** One entry of the log. */
export type Entry = MessageEntry | (CommandResultEntry & { seq: number })

/** Something of ours that the log does not have yet. `id` is its `clientMessageId`. */
export interface Pending {
  id: string
  content: string
  /** When it was written, RFC 3339 UTC. */
  timestamp: string
  /** If it was given as a command by name and values. */
  command?: { name: string; parameters: Record<string, unknown> }
}

/** A private command, such as `/help`, and its result: the log has neither. */
export interface Aside {
  commandId: string
  /** Where it stands in the log: after this entry. */
  afterSeq: number
  /** What was asked; null if its result came before its ack. */
  asked: Pending | null
  result: CommandResult | null
}

/** A message that is being written, as far as we have heard. */
export interface Writing {
  messageId: string
  replyTo: string
  index: number
  content: string
  /** The command that its writer runs now. */
  doing: string | null
}

export interface RoomState {
  /** Who we are as an author. */
  readonly me: Author
  /** Of the log; null until the first join, and after the server lost the log. */
  readonly epoch: string | null
  /** Number of the last entry of `entries`; null before the first join. */
  readonly seq: number | null
  readonly entries: readonly Entry[]
  /** Entries behind a hole, by seq. */
  readonly ahead: ReadonlyMap<number, Entry>
  /** As the last join told it. */
  readonly session: SessionInfo | null
  /** Whether we are in the room, so that what happens is heard at once. */
  readonly joined: boolean
  readonly members: readonly Member[]
  /** How many members there are; `members` are the 100 longest present. */
  readonly memberCount: number
  /** In the order in which they were first seen; one with an `outcome` has ended. */
  readonly jobs: readonly BacktestProgress[]
  readonly writing: readonly Writing[]
  readonly pending: readonly Pending[]
  readonly asides: readonly Aside[]
  /** What went wrong last, until somebody has read it. */
  readonly error: Problem | null
  /** Why the server does not let us into this room; it is not tried again. */
  readonly refusal: Problem | null
}

export type RoomEvent =
  | { type: 'restored'; epoch: string; entries: readonly Entry[] }
  | { type: 'page'; ack: JoinAck }
  | { type: 'entry'; entry: Entry }
  | { type: 'privateResult'; result: CommandResult }
  | { type: 'job'; job: BacktestProgress }
  | { type: 'delta'; delta: MessageDelta }
  | { type: 'presence'; presence: Presence }
  | { type: 'queued'; pending: Pending }
  | { type: 'stored'; id: string; entry: Entry }
  | { type: 'accepted'; id: string; commandId: string }
  | { type: 'declined'; id: string }
  | { type: 'error'; error: Problem | null }
  | { type: 'refused'; error: Problem | null }
  | { type: 'renamed'; name: string }
  | { type: 'offline' }

export function emptyRoom(me: Author): RoomState {
  return {
    me,
    epoch: null,
    seq: null,
    entries: [],
    ahead: new Map(),
    session: null,
    joined: false,
    members: [],
    memberCount: 0,
    jobs: [],
    writing: [],
    pending: [],
    asides: [],
    error: null,
    refusal: null,
  }
}

/** Whether entries are missing, so that the room must be joined again. */
export function hasHole(state: RoomState): boolean {
  return state.ahead.size > 0
}

/** Whether the entry may be of another log than ours: its number is taken, and not by it. */
export function mayBeOfAnotherLog(state: RoomState, entry: Entry): boolean {
  if (state.seq === null || entry.seq > state.seq) return false
  const ours = state.entries.at(entry.seq - state.seq - 1)
  return ours?.seq !== entry.seq || keyOf(ours) !== keyOf(entry)
}

function keyOf(entry: Entry): string {
  return entry.type === 'message' ? entry.id : `result:${entry.commandId}`
}

/** The state after the event; the same object if it changes nothing. */
export function reduce(state: RoomState, event: RoomEvent): RoomState {
  switch (event.type) {
    case 'restored':
      return restored(state, event.epoch, event.entries)
    case 'page':
      return withPage(state, event.ack)
    case 'entry':
      return withEntries(state, [event.entry])
    case 'delta':
      return withDelta(state, event.delta)
    case 'job': {
      const jobs = withJob(state.jobs, event.job)
      return jobs === state.jobs ? state : { ...state, jobs }
    }
    case 'presence':
      return { ...state, members: event.presence.members, memberCount: event.presence.total }
    case 'offline':
      return state.joined ? { ...state, joined: false } : state
    default:
      return withOurs(state, event)
  }
}

/** What becomes of what we did. */
type Ours = Exclude<
  RoomEvent,
  { type: 'restored' | 'page' | 'entry' | 'delta' | 'job' | 'presence' | 'offline' }
>

function withOurs(state: RoomState, event: Ours): RoomState {
  switch (event.type) {
    case 'queued':
      return { ...state, pending: [...state.pending, event.pending] }
    case 'stored':
      return withStored(state, event.id, event.entry)
    case 'accepted':
      return withAccepted(state, event.id, event.commandId)
    case 'privateResult':
      return withPrivateResult(state, event.result)
    case 'declined':
      return { ...state, pending: without(state.pending, event.id) }
    case 'error':
      return { ...state, error: event.error }
    case 'refused':
      return { ...state, refusal: event.error }
    case 'renamed':
      return { ...state, me: { ...state.me, name: event.name } }
  }
}

// ---------------------------------------------------------------- the log

function restored(state: RoomState, epoch: string, entries: readonly Entry[]): RoomState {
  const last = entries.at(-1)
  if (state.epoch !== null || last === undefined) return state
  return withEntries({ ...state, epoch, entries, seq: last.seq }, [])
}

function withPage(state: RoomState, ack: JoinAck): RoomState {
  if (state.epoch !== null && state.epoch !== ack.session.epoch) {
    // The server lost the log: forget what was shown, and join the new one from its end.
    return { ...emptyRoom(state.me), pending: state.pending, error: state.error }
  }
  const page = ack.entries.filter(isLogged)
  let { seq, entries } = state
  if (seq === null || ack.gap) {
    const first = page.at(0)
    const reached = first === undefined ? ack.session.lastSeq : first.seq - 1
    seq = reached
    entries = entries.filter((one) => one.seq <= reached)
  }
  const { session, you } = ack
  const me = state.me.id === you.id ? state.me : { ...state.me, id: you.id }
  const base = { ...state, me, epoch: session.epoch, session, seq, entries }
  const read = withEntries(base, page)
  if (ack.more) return read
  return {
    ...read,
    joined: true,
    members: ack.session.members,
    memberCount: ack.session.members.length,
    jobs: afterJoin(read, ack.jobs),
    writing: (ack.streams ?? []).map((stream) => ({ ...stream, doing: null })),
  }
}

/** Take entries in any order, some of them known. */
function withEntries(state: RoomState, more: readonly Entry[]): RoomState {
  const ahead = new Map(state.ahead)
  for (const entry of more) ahead.set(entry.seq, entry)
  let { seq } = state
  if (seq === null) return { ...state, ahead }
  const next: Entry[] = []
  for (let entry = ahead.get(seq + 1); entry !== undefined; entry = ahead.get(seq + 1)) {
    next.push(entry)
    seq = entry.seq
  }
  for (const known of ahead.keys()) if (known <= seq) ahead.delete(known)
  if (next.length === 0) {
    return ahead.size === state.ahead.size ? state : { ...state, ahead }
  }
  const ids = new Set(next.map(keyOf))
  const ours = new Set(next.filter((one) => isMine(state, one)).map(clientMessageIdOf))
  return {
    ...state,
    seq,
    ahead,
    entries: [...state.entries, ...next],
    pending: keep(state.pending, (one) => !ours.has(one.id)),
    writing: keep(state.writing, (one) => !ids.has(one.messageId)),
  }
}

function isLogged(entry: MessageEntry | CommandResultEntry): entry is Entry {
  return entry.seq !== undefined
}

function isMine(state: RoomState, entry: Entry): boolean {
  return entry.type === 'message' && entry.author?.id === state.me.id
}

function clientMessageIdOf(entry: Entry): string | undefined {
  return entry.type === 'message' ? entry.clientMessageId : undefined
}

// ---------------------------------------------------------------- what is being written

function withDelta(state: RoomState, told: MessageDelta): RoomState {
  const { messageId, replyTo, index } = told
  const doing = told.doing ?? null
  const known = state.writing.find((one) => one.messageId === messageId)
  if (known === undefined) {
    if (hasMessage(state, messageId)) return state
    const begun = { messageId, replyTo, index, content: told.delta, doing }
    return { ...state, writing: [...state.writing, begun] }
  }
  if (index <= known.index) return state
  const grown = { ...known, index, doing, content: known.content + told.delta }
  return { ...state, writing: state.writing.map((one) => (one === known ? grown : one)) }
}

function hasMessage(state: RoomState, id: string): boolean {
  const isIt = (one: Entry) => one.type === 'message' && one.id === id
  return state.entries.findLast(isIt) !== undefined || [...state.ahead.values()].some(isIt)
}

// ---------------------------------------------------------------- what we sent

/** The ack of something that the log has. */
function withStored(state: RoomState, id: string, entry: Entry): RoomState {
  const taken = withEntries(state, [entry])
  // Until the entries before it are here, it is shown as pending.
  if (taken.seq === null || entry.seq > taken.seq) return taken
  return { ...taken, pending: without(taken.pending, id) }
}

/** The ack of a private command. It may be asked again, and its result may be here already. */
function withAccepted(state: RoomState, id: string, commandId: string): RoomState {
  const earlier = state.asides.find((one) => one.asked?.id === id)
  const asked = state.pending.find((one) => one.id === id) ?? earlier?.asked ?? null
  const result = state.asides.find((one) => one.commandId === commandId)?.result ?? null
  const aside = { commandId, asked, result, afterSeq: earlier?.afterSeq ?? state.seq ?? 0 }
  const others = state.asides.filter((one) => one !== earlier && one.commandId !== commandId)
  return { ...state, pending: without(state.pending, id), asides: [...others, aside] }
}

function withPrivateResult(state: RoomState, result: CommandResult): RoomState {
  const { commandId } = result
  const known = state.asides.find((one) => one.commandId === commandId)
  if (known === undefined) {
    const aside = { commandId, afterSeq: state.seq ?? 0, asked: null, result }
    return { ...state, asides: [...state.asides, aside] }
  }
  const answered = { ...known, result }
  return { ...state, asides: state.asides.map((one) => (one === known ? answered : one)) }
}

function without(pending: readonly Pending[], id: string): readonly Pending[] {
  return keep(pending, (one) => one.id !== id)
}

/** As `filter`, but the same array if all stay. */
function keep<T>(list: readonly T[], stays: (one: T) => boolean): readonly T[] {
  return list.every(stays) ? list : list.filter(stays)
}
