/** The lines that a person sees, made from the state of a room. */
import type { AnswerMetadata, Author, CommandResult, Message, Metadata } from '../wire'
import type { Aside, Entry, Pending, RoomState, Writing } from './state'

/** One line of the room: of the log, or on its way into it. */
export interface ChatMessage {
  /** The same from the moment it is first seen; for React. */
  readonly key: string
  /** Of the message, or of the command that it is the result of. */
  readonly id: string
  readonly sessionId: string
  readonly kind: 'message' | 'result'
  /**
   * `stored`: in the log. `pending`: ours, not acked yet. `writing`: more of it will come.
   * `private`: a command that only we see, or its result.
   */
  readonly status: 'stored' | 'pending' | 'writing' | 'private'
  /** Number in the log; null if it is not there, or not yet. */
  readonly seq: number | null
  readonly role: 'user' | 'assistant' | 'system'
  readonly author: Author | null
  /** Whether we wrote it. */
  readonly own: boolean
  /** Text; of a result, Markdown. */
  readonly content: string
  /** RFC 3339 UTC; null if it is not known. */
  readonly timestamp: string | null
  readonly metadata: Metadata
  /** If it is an answer of the assistant: to what, with which steps, how it ended. */
  readonly answer: AnswerMetadata | null
  /** If it is a command, or the result of one. */
  readonly commandId: string | null
  /** If its kind is `result`. */
  readonly result: CommandResult | null
  /** The command that its writer runs now. */
  readonly doing: string | null
  /** Entries before it are no longer kept by the server. */
  readonly afterGap: boolean
}

/** Who writes something now. */
export interface Typing {
  readonly id: string
  readonly name: string
  readonly replyTo: string
  readonly doing: string | null
}

const ASSISTANT: Author = { id: 'assistant', name: 'assistant' }

const PLAIN = {
  seq: null,
  metadata: {},
  commandId: null,
  result: null,
  answer: null,
  doing: null,
  afterGap: false,
} as const

/** Lines of entries: an entry never changes, so neither does its line, but for whose it is. */
const made = new WeakMap<Entry, ChatMessage>()

/**
 * All lines in their order: the log with private answers where they came, then what is being
 * written, then what of ours is on its way. Lines that did not change are the same objects.
 */
export function linesOf(state: RoomState, sessionId: string): readonly ChatMessage[] {
  const lines: ChatMessage[] = []
  const asides = [...state.asides].sort((one, other) => one.afterSeq - other.afterSeq)
  let next = 0
  const asidesUntil = (seq: number) => {
    for (let aside = asides[next]; aside && aside.afterSeq < seq; aside = asides[++next]) {
      lines.push(...linesOfAside(aside, state, sessionId))
    }
  }
  state.entries.forEach((entry, at) => {
    asidesUntil(entry.seq)
    lines.push(lineOf(state, entry, at))
  })
  asidesUntil(Infinity)
  lines.push(...state.writing.map((one) => lineOfWriting(one, sessionId)))
  lines.push(...state.pending.map((one) => lineOfPending(one, state.me, sessionId)))
  return lines
}

export function typingOf(state: RoomState): readonly Typing[] {
  return state.writing.map(({ replyTo, doing }) => ({ ...ASSISTANT, replyTo, doing }))
}

function lineOf(state: RoomState, entry: Entry, at: number): ChatMessage {
  const known = made.get(entry)
  const author = entry.type === 'message' ? entry.author : entry.requestedBy
  if (known?.own === (author?.id === state.me.id)) return known
  const before = state.entries[at - 1]
  const afterGap = before !== undefined && before.seq !== entry.seq - 1
  const line =
    entry.type === 'message'
      ? lineOfMessage(entry, state.me, afterGap)
      : {
          ...lineOfResult(entry, state.me, 'stored', timeOf(state.entries, at, entry)),
          seq: entry.seq,
          afterGap,
        }
  made.set(entry, line)
  return line
}

function lineOfMessage(
  entry: Extract<Entry, { type: 'message' }>,
  me: Author,
  afterGap: boolean,
): ChatMessage {
  const { id, sessionId, seq, role, content, timestamp, metadata = {}, author = null } = entry
  const own = author?.id === me.id
  return {
    ...PLAIN,
    key: own ? (entry.clientMessageId ?? id) : id,
    id,
    sessionId,
    kind: 'message',
    status: 'stored',
    seq,
    role,
    author,
    own,
    content,
    timestamp,
    metadata,
    commandId: commandIdOf(entry),
    answer: 'replyTo' in metadata && role === 'assistant' ? (metadata as AnswerMetadata) : null,
    afterGap,
  }
}

function lineOfResult(
  result: CommandResult,
  me: Author,
  status: 'stored' | 'private',
  timestamp: string | null,
): ChatMessage {
  const { commandId, sessionId, requestedBy, message } = result
  return {
    ...PLAIN,
    key: `result:${commandId}`,
    id: commandId,
    sessionId,
    kind: 'result',
    status,
    role: 'system',
    author: requestedBy,
    own: requestedBy.id === me.id,
    content: message,
    timestamp,
    commandId,
    result,
  }
}

function linesOfAside(aside: Aside, state: RoomState, sessionId: string): ChatMessage[] {
  const { asked, commandId, result } = aside
  if (asked === null) return [] // its ack will come, or is lost, and then it is asked again
  const own = lineOfPending(asked, state.me, sessionId)
  const lines: ChatMessage[] = [{ ...own, status: 'private', commandId }]
  if (result !== null) {
    const at = later(asked.timestamp, result.durationMs)
    lines.push(lineOfResult(result, state.me, 'private', at))
  }
  return lines
}

function lineOfWriting(writing: Writing, sessionId: string): ChatMessage {
  return {
    ...PLAIN,
    key: writing.messageId,
    id: writing.messageId,
    sessionId,
    kind: 'message',
    status: 'writing',
    role: 'assistant',
    author: ASSISTANT,
    own: false,
    content: writing.content,
    timestamp: null,
    metadata: { replyTo: writing.replyTo },
    doing: writing.doing,
  }
}

function lineOfPending(pending: Pending, me: Author, sessionId: string): ChatMessage {
  return {
    ...PLAIN,
    key: pending.id,
    id: pending.id,
    sessionId,
    kind: 'message',
    status: 'pending',
    role: 'user',
    author: me,
    own: true,
    content: pending.content,
    timestamp: pending.timestamp,
  }
}

function commandIdOf({ metadata }: Message): string | null {
  const id = metadata !== undefined && 'commandId' in metadata ? metadata.commandId : null
  return typeof id === 'string' ? id : null
}

/** When the result came: the time of its command, and how long that took. */
function timeOf(entries: readonly Entry[], at: number, result: CommandResult): string | null {
  for (let before = at - 1; before >= 0; before--) {
    const entry = entries[before]
    if (entry?.type === 'message' && commandIdOf(entry) === result.commandId) {
      return later(entry.timestamp, result.durationMs)
    }
  }
  return null
}

function later(timestamp: string, durationMs: number): string {
  return new Date(Date.parse(timestamp) + durationMs).toISOString()
}

