/**
 * One connection and the room that is open on it: what a page needs, without React.
 *
 *   const chat = new ChatOps({ url: 'http://127.0.0.1:8500' })
 *   chat.subscribe(() => console.log(chat.getSnapshot().messages))
 *   chat.open()
 *   chat.joinSession('desk')
 *   const ack = await chat.sendMessage('hello')
 */
import type {
  Author,
  BacktestProgress,
  CompletionItem,
  Member,
  SessionInfo,
  StopAck,
} from '../wire'
import { Connection, type ChatSocket, type ConnectionState } from './connection'
import { browserHistory, type History } from './history'
import { newId, readIdentity, storageOf, writeName } from './identity'
import { linesOf, typingOf, type ChatMessage, type Typing } from './lines'
import type { SendAck } from './outbox'
import { NO_SESSION, type Declined, type Problem } from './problem'
import { Room } from './room'
import { emptyRoom, type RoomState } from './state'
import { upload, type FileImported } from './upload'

const FRAME_MS = 16

export interface ChatOpsOptions {
  /** The server; without it, where the page came from. */
  url?: string | undefined
  /** What others see; without it, the name used last in this browser, or a guest's. */
  name?: string | undefined
  /** A stable secret word that makes us the same person; without it, this browser's. */
  clientId?: string | undefined
  /** How often a lost connection is tried again; without it, for ever. */
  reconnectionAttempts?: number | undefined
  /** How many of the newest entries the first visit of a session brings; 200, at most 500. */
  newest?: number | undefined
  /** Where entries are kept over a reload; null: nowhere. Without it, in this browser. */
  history?: History | null | undefined
}

/** What a page shows. Parts that did not change are the same objects as before. */
export interface ChatOpsState {
  connectionState: ConnectionState
  isConnected: boolean
  currentSessionId: string | null
  /** As the last join told it; null until then. */
  session: SessionInfo | null
  /** Whether we are in the session and have all of it. */
  upToDate: boolean
  messages: readonly ChatMessage[]
  jobs: readonly BacktestProgress[]
  members: readonly Member[]
  /** How many are in the room; `members` are the 100 longest present. */
  memberCount: number
  typing: readonly Typing[]
  /** What went wrong last, until it is dismissed. */
  error: Problem | null
  /** Who we are as an author. */
  me: Author
}

export class ChatOps {
  readonly history: History | null
  #url: string
  #connection: Connection
  #newest: number | undefined
  #room: Room | null = null
  #rooms = new Map<string, Room>() // the current one, and those with something unsent
  #ownError: Problem | null = null
  #snapshot: ChatOpsState | null = null
  #lines: { of: RoomState | null; messages: readonly ChatMessage[]; typing: readonly Typing[] }
  #listeners = new Set<() => void>()
  #toldAt = 0
  #telling: ReturnType<typeof setTimeout> | undefined

  constructor(options: ChatOpsOptions = {}) {
    // Where a page is rendered on a server, nothing connects.
    const here = typeof window === 'undefined' ? 'http://localhost' : window.location.origin
    const url = options.url ?? here
    this.#url = url
    const known = readIdentity(storageOf('localStorage'))
    const identity = {
      name: options.name ?? known.name,
      clientId: options.clientId ?? known.clientId,
    }
    this.history = options.history === undefined ? browserHistory(url) : options.history
    this.#newest = options.newest
    this.#lines = { of: null, messages: [], typing: [] }
    const { reconnectionAttempts } = options
    this.#connection = new Connection({ url, identity, reconnectionAttempts })
    this.#connection.subscribe(this.#changed)
  }

  /** The same for as long as this lives. */
  get socket(): ChatSocket {
    return this.#connection.socket
  }

  /** Connect, and stay connected. */
  open(): void {
    this.#connection.open()
  }

  /** Disconnect. Rooms and what is unsent stay; `open` goes on with them. */
  close(): void {
    this.#connection.close()
  }

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  getSnapshot = (): ChatOpsState => (this.#snapshot ??= this.#look())

  /** Join a new session and return its id. With a name, that becomes the session's title. */
  createSession(name?: string): string {
    const id = `session_${Date.now()}_${newId().slice(0, 6)}`
    this.joinSession(id)
    if (name?.trim()) void this.executeCommand('rename', { title: name.trim() })
    return id
  }

  /** Join the session, which is created if it is new, and leave the one before. */
  joinSession(sessionId: string): void {
    if (this.#room?.sessionId === sessionId) return
    const before = this.#room
    this.#room = this.#rooms.get(sessionId) ?? this.#enter(sessionId)
    this.#left(before)
  }

  /** Leave the session. What is unsent is sent first, out of sight. */
  leaveSession(): void {
    const before = this.#room
    this.#room = null
    this.#left(before)
  }

  /** Say something, or give a command by its text; resolves to the ack, and never rejects. */
  sendMessage(content: string): Promise<SendAck> {
    return this.#inRoom((room) => room.send(content))
  }

  /** Give a command by name and values; resolves to the ack, and never rejects. */
  executeCommand(command: string, params?: Record<string, unknown>): Promise<SendAck> {
    return this.#inRoom((room) => room.execute(command, params))
  }

  triggerBacktest(strategyId: string, params?: Record<string, unknown>): Promise<SendAck> {
    return this.executeCommand('run_backtest', { strategy_id: strategyId, ...params })
  }

  compareStrategies(strategyIds: readonly string[]): Promise<SendAck> {
    return this.executeCommand('compare_strategies', { strategy_ids: strategyIds })
  }

  /**
   * Have the server import a file of prices or strategies and tell the session. Other prices of
   * the same symbol are replaced if `replace` says so; without it the error's code is `conflict`.
   */
  importFile(file: File, replace = false): Promise<FileImported | Declined> {
    const sessionId = this.#room?.sessionId
    if (sessionId === undefined) return Promise.resolve({ ok: false, error: NO_SESSION })
    const { identity } = this.#connection
    return upload({ url: this.#url, identity, sessionId, file, replace })
  }

  /** End the answer that is being given, or the one of `messageId`. */
  stop(messageId?: string): Promise<StopAck | Declined> {
    return this.#inRoom((room) => room.stop(messageId))
  }

  /** What could stand in the input box. */
  complete(text: string): Promise<readonly CompletionItem[]> {
    return this.#room?.complete(text) ?? Promise.resolve([])
  }

  /** Be called this from now on, here and on the next visit. */
  setName(name: string): void {
    writeName(storageOf('localStorage'), name)
    this.#connection.rename(name)
    if (this.#connection.state === 'refused') {
      this.close()
      this.open()
    }
    for (const room of this.#rooms.values()) room.rename()
    this.#tell()
  }

  dismissError(): void {
    this.#ownError = null
    this.#room?.dismissError()
    this.#tell()
  }

  #enter(sessionId: string): Room {
    const room = new Room(this.#connection, sessionId, {
      newest: this.#newest,
      history: this.history,
      unsent: storageOf('sessionStorage'),
    })
    this.#rooms.set(sessionId, room)
    room.subscribe(() => {
      if (room === this.#room) this.#changed()
      else this.#closeIfIdle(room)
    })
    return room
  }

  #left(before: Room | null): void {
    this.#ownError = null
    this.#tell()
    if (before !== null) this.#closeIfIdle(before)
  }

  #closeIfIdle(room: Room): void {
    if (!room.idle || this.#rooms.get(room.sessionId) !== room) return
    this.#rooms.delete(room.sessionId)
    room.close()
  }

  async #inRoom<T extends { ok: true }>(
    act: (room: Room) => Promise<T | Declined>,
  ): Promise<T | Declined> {
    const room = this.#room
    const ack: T | Declined = room ? await act(room) : { ok: false, error: NO_SESSION }
    if (!ack.ok && room === this.#room) {
      this.#ownError = ack.error
      this.#tell()
    }
    return ack
  }

  #look(): ChatOpsState {
    const connection = this.#connection
    const state = this.#room?.getSnapshot() ?? null
    const { messages, typing } = this.#linesOf(state)
    const shown = state ?? emptyRoom(connection.me)
    const refusal = connection.refusal ?? shown.refusal
    return {
      connectionState: refusal === null ? connection.state : 'refused',
      isConnected: connection.state === 'connected',
      currentSessionId: this.#room?.sessionId ?? null,
      session: shown.session,
      upToDate: shown.joined,
      messages,
      jobs: shown.jobs,
      members: shown.members,
      memberCount: shown.memberCount,
      typing,
      error: refusal ?? this.#ownError ?? shown.error,
      me: shown.me,
    }
  }

  #linesOf(state: RoomState | null) {
    const { of } = this.#lines
    if (state === null || this.#room === null) {
      if (of !== null) this.#lines = { of: null, messages: [], typing: [] }
    } else if (of === null || !hasSameLines(of, state)) {
      const messages = linesOf(state, this.#room.sessionId)
      const typing = of?.writing === state.writing ? this.#lines.typing : typingOf(state)
      this.#lines = { of: state, messages, typing }
    }
    return this.#lines
  }

  /** Tell it soon: not more often than a screen shows it. */
  #changed = (): void => {
    this.#snapshot = null
    if (this.#telling !== undefined) return
    const waitMs = this.#toldAt + FRAME_MS - Date.now()
    if (waitMs <= 0) this.#tell()
    else this.#telling = setTimeout(this.#tell, waitMs)
  }

  /** Tell it now: a person did it and waits for it. */
  #tell = (): void => {
    clearTimeout(this.#telling)
    this.#telling = undefined
    this.#snapshot = null
    this.#toldAt = Date.now()
    for (const listener of [...this.#listeners]) listener()
  }
}

function hasSameLines(one: RoomState, other: RoomState): boolean {
  const shown = ['me', 'entries', 'asides', 'writing', 'pending'] as const
  return shown.every((part) => one[part] === other[part])
}
