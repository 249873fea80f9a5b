/**
 * A room of a chatops server, kept up to date on a connection that comes and goes.
 *
 * - Every connect joins with `afterSeq`, the number of the last entry known, and asks again while the
 *   ack says `more`. An entry that leaves a hole behind it is held back and the room joined again.
 * - What is sent goes through an {@link Outbox}, and is shown as pending until the log has it.
 * - The newest entries are kept in the browser; a new page shows them before it is connected.
 */
import type { CompletionItem, ErrorAck, JoinAck, StopAck } from '../wire'
import { NoAnswerError, type Connection, type LiveEvent, type Occupant } from './connection'
import type { History } from './history'
import { newId } from './identity'
import { Outbox, pause, type SendAck, type Sent } from './outbox'
import { LATER, laterMs, LEFT, UNREACHABLE, type Declined, type Problem } from './problem'
import {
  emptyRoom,
  hasHole,
  mayBeOfAnotherLog,
  reduce,
  type Entry,
  type Pending,
  type RoomEvent,
  type RoomState,
} from './state'
import { commandText } from './text'
import { unsentOf } from './unsent'

const BREATH_MS = 100
const RESTORE_WITHIN_MS = 1_000
const KEEP_AFTER_MS = 200

export interface RoomOptions {
  /** How many of the newest entries the first join brings, at most 500. */
  newest?: number | undefined
  /** Where entries are kept over a reload. */
  history?: History | null
  /** Where unsent messages are kept over a reload of this tab. */
  unsent?: Storage | null
}

export class Room implements Occupant {
  readonly sessionId: string
  #connection: Connection
  #history: History | null
  #newest: number
  #state: RoomState
  #outbox: Outbox
  #listeners = new Set<() => void>()
  #detach: () => void
  #restored: Promise<void>
  #closed = false
  #visit = 0 // counts connections, so that a join of an old one stops
  #joining: number | null = null // the visit of the join under way
  #unanswered = new Map<string, Pending>() // private commands that were acked, by command id
  #kept = { epoch: '', seq: 0 } // of the newest entry in the history
  #keeping = false

  constructor(connection: Connection, sessionId: string, options: RoomOptions = {}) {
    const { newest = 200, history = null, unsent = null } = options
    this.sessionId = sessionId
    this.#connection = connection
    this.#history = history
    this.#newest = newest
    this.#state = emptyRoom(connection.me)
    this.#outbox = new Outbox({
      send: (one) => this.#send(one),
      settled: (one, ack) => {
        this.#settled(one, ack)
      },
      storage: unsentOf(unsent, connection.identity.clientId, sessionId),
    })
    for (const pending of this.#outbox.unsent) this.#dispatch({ type: 'queued', pending })
    this.#restored = this.#restore()
    this.#detach = connection.attach(this)
  }

  // ---------------------------------------------------------------- what one does with a room

  getSnapshot = (): RoomState => this.#state

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /** Whether all that was sent has been acked. */
  get idle(): boolean {
    return this.#outbox.unsent.length === 0
  }

  /** Say something, or give a command by its text. Resolves when the server has acked it. */
  send(content: string): Promise<SendAck> {
    return this.#post({ id: newId(), content, timestamp: new Date().toISOString() })
  }

  /** Give a command by name and values. Resolves when the server has acked it. */
  execute(name: string, parameters: Record<string, unknown> = {}): Promise<SendAck> {
    return this.#post({
      id: newId(),
      content: commandText(name, parameters),
      timestamp: new Date().toISOString(),
      command: { name, parameters },
    })
  }

  /** End the answer that is being given, or the one of `messageId`. */
  async stop(messageId?: string): Promise<StopAck | Declined> {
    const asked = { sessionId: this.sessionId, ...(messageId === undefined ? {} : { messageId }) }
    const ack = await this.#ask(() => this.#connection.ask('stopGeneration', asked))
    return ack ?? { ok: false, error: UNREACHABLE }
  }

  /** What could stand in the input box; nothing while there is no connection. */
  async complete(text: string): Promise<readonly CompletionItem[]> {
    const asked = { sessionId: this.sessionId, text }
    const ack = await this.#ask(() => this.#connection.ask('completeCommand', asked))
    return ack?.ok === true ? ack.items : []
  }

  /** Show us under the connection's new name. */
  rename(): void {
    this.#dispatch({ type: 'renamed', name: this.#connection.me.name })
    void this.#join()
  }

  /** The error was read. */
  dismissError(): void {
    this.#dispatch({ type: 'error', error: null })
  }

  /** Leave. What is not acked by now may or may not have arrived. A second call does nothing. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#visit++
    this.#detach()
    this.#outbox.end(LEFT)
    const { sessionId } = this
    void this.#ask(() => this.#connection.ask('leaveSession', { sessionId }))
    void this.#keep()
  }

  // ---------------------------------------------------------------- connection

  connected(): void {
    this.#visit++
    this.#dispatch({ type: 'refused', error: null })
    void this.#join()
  }

  disconnected(): void {
    this.#visit++
    this.#outbox.pause()
    this.#dispatch({ type: 'offline' })
    // A connection that ends before the answer to a private command came has lost it, and asking
    // again changes nothing.
    this.#outbox.addFirst([...this.#unanswered.values()])
    this.#unanswered.clear()
  }

  refused(error: Problem): void {
    this.#visit++
    this.#dispatch({ type: 'offline' })
    this.#dispatch({ type: 'refused', error })
    this.#outbox.end(error)
  }

  async #join(): Promise<void> {
    const visit = this.#visit
    if (this.#joining === visit) return
    this.#joining = visit
    await this.#restored
    while (visit === this.#visit && !(await this.#joinOnce(visit)));
    if (this.#joining === visit) this.#joining = null
    if (visit === this.#visit && hasHole(this.#state)) {
      await pause(BREATH_MS)
      if (visit === this.#visit) void this.#join()
    }
  }

  /** Ask for one page; whether there is no more to ask for. */
  async #joinOnce(visit: number): Promise<boolean> {
    const { seq } = this.#state
    const asked = {
      sessionId: this.sessionId,
      name: this.#connection.me.name,
      ...(seq === null ? { limit: this.#newest } : { afterSeq: seq }),
    }
    const ack = await this.#ask(() => this.#connection.ask('joinSession', asked))
    if (visit !== this.#visit) return true
    if (ack === null) {
      this.#connection.renew() // it is silent: the next connection joins
      return true
    }
    if (ack.ok) return this.#takePage(ack)
    if (!LATER.has(ack.error.code)) {
      this.refused(ack.error)
      return true
    }
    await pause(laterMs(ack.error))
    return false
  }

  #takePage(ack: JoinAck): boolean {
    this.#connection.met(ack.you)
    this.#dispatch({ type: 'page', ack })
    if (this.#state.epoch === null || ack.more) return false
    this.#outbox.start()
    this.#opened(ack.session.title)
    return true
  }

  // ---------------------------------------------------------------- what comes

  received({ event, payload }: LiveEvent): void {
    switch (event) {
      case 'message':
        this.#take({ ...payload, type: 'message' })
        break
      case 'commandResult': {
        const { seq } = payload
        if (seq !== undefined) {
          this.#take({ ...payload, seq, type: 'commandResult' })
        } else {
          this.#unanswered.delete(payload.commandId)
          this.#dispatch({ type: 'privateResult', result: payload })
        }
        break
      }
      case 'backtestProgress':
        this.#dispatch({ type: 'job', job: payload })
        break
      case 'messageDelta':
        this.#dispatch({ type: 'delta', delta: payload })
        break
      case 'presence':
        this.#dispatch({ type: 'presence', presence: payload })
        break
      case 'error':
        this.#dispatch({ type: 'error', error: payload })
    }
  }

  #take(entry: Entry): void {
    const again = mayBeOfAnotherLog(this.#state, entry) || changesSession(entry)
    this.#dispatch({ type: 'entry', entry })
    this.#joinIfNeeded(again)
  }

  /** Fill a hole, or hear of the session again: a join tells its epoch, title and mode. */
  #joinIfNeeded(again: boolean): void {
    if (this.#state.joined && (again || hasHole(this.#state))) void this.#join()
  }

  // ---------------------------------------------------------------- what we send

  #post(one: Pending): Promise<SendAck> {
    const error = this.#state.refusal ?? (this.#closed ? LEFT : null)
    if (error !== null) return Promise.resolve({ ok: false, error })
    this.#dispatch({ type: 'queued', pending: one })
    return this.#outbox.add(one)
  }

  #send({ id, content, command }: Pending): Promise<Sent | ErrorAck | null> {
    const whose = { sessionId: this.sessionId, clientMessageId: id }
    return this.#ask<Sent | ErrorAck>(() =>
      command === undefined
        ? this.#connection.ask('sendMessage', { ...whose, content })
        : this.#connection.ask('executeCommand', {
            ...whose,
            command: command.name,
            parameters: command.parameters,
          }),
    )
  }

  #settled(one: Pending, ack: SendAck): void {
    const { id } = one
    if (!ack.ok) {
      this.#dispatch({ type: 'declined', id })
    } else if (ack.message !== undefined) {
      const entry: Entry = { ...ack.message, type: 'message' }
      const foreign = mayBeOfAnotherLog(this.#state, entry)
      this.#dispatch({ type: 'stored', id, entry })
      this.#joinIfNeeded(foreign)
    } else if (ack.commandId !== undefined) {
      const { commandId } = ack
      this.#dispatch({ type: 'accepted', id, commandId })
      const aside = this.#state.asides.find((known) => known.commandId === commandId)
      if (aside?.result === null) this.#unanswered.set(commandId, one)
    }
    this.#tell() // whether or not the state changed, we may be idle now
  }

  /** The ack, or null if there is none. */
  async #ask<T>(ask: () => Promise<T>): Promise<T | null> {
    try {
      return await ask()
    } catch (error) {
      if (error instanceof NoAnswerError) return null
      throw error
    }
  }

  // ---------------------------------------------------------------- state and history

  #dispatch(event: RoomEvent): void {
    const before = this.#state
    this.#state = reduce(before, event)
    if (this.#state === before) return
    if (this.#state.entries !== before.entries) this.#keepSoon()
    this.#tell()
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener()
  }

  async #restore(): Promise<void> {
    if (this.#history === null) return
    const kept = await Promise.race([
      this.#history.load(this.sessionId).catch(() => null),
      pause(RESTORE_WITHIN_MS).then(() => null),
    ])
    const last = kept?.entries.at(-1)
    if (kept === null || last === undefined) return
    this.#kept = { epoch: kept.epoch, seq: last.seq }
    this.#dispatch({ type: 'restored', ...kept })
  }

  #keepSoon(): void {
    if (this.#keeping || this.#history === null) return
    this.#keeping = true
    setTimeout(() => {
      this.#keeping = false
      void this.#keep()
    }, KEEP_AFTER_MS)
  }

  async #keep(): Promise<void> {
    const { epoch, seq, entries } = this.#state
    const history = this.#history
    if (history === null || epoch === null || seq === null) return
    const kept = this.#kept
    this.#kept = { epoch, seq }
    try {
      // The server went back behind what it had told: what was kept of that is no longer true.
      if (epoch === kept.epoch && seq < kept.seq) await history.forget(this.sessionId)
      const known = epoch === kept.epoch && seq >= kept.seq ? kept.seq : 0
      await history.keep(
        this.sessionId,
        epoch,
        entries.filter((one) => one.seq > known),
      )
    } catch {
      this.#history = null // the browser's database failed: then there is no history
    }
  }

  #opened(title: string): void {
    this.#history?.opened(this.sessionId, title).catch(() => {
      this.#history = null // as above
    })
  }
}

function changesSession(entry: Entry): boolean {
  return entry.type === 'commandResult' && /^\/(rename|assistant)\b/.test(entry.command)
}
