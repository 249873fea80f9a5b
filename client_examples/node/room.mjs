/**
 * A member of a chatops session that loses nothing and doubles nothing, over the public wire alone.
 *
 *   const room = new Room('http://127.0.0.1:8500', 'desk', { name: 'Mina' })
 *   room.on('message', (message) => console.log(message.content))
 *   await room.connect()
 *   const result = await room.run('/run_backtest sma_crossover AAPL')
 *   room.close()
 *
 * - Every (re)connect joins with `afterSeq`, the number of the last entry seen, and asks again while
 *   the ack says `more`. Entries are emitted in the order of `seq`, each once.
 * - An entry that leaves a hole behind it is held back and the session joined again.
 * - Messages go out one at a time. Each is sent with the same `clientMessageId` until the server acks
 *   it, over as many connections as that takes; the server stores it once.
 * - Pieces of an answer that is being written are told in order and each once, over as many
 *   connections as that takes, and none after the answer itself.
 * - It never stops trying to connect, unless the server refuses it by name.
 *
 * Events: `message`, `commandResult`, `backtestProgress`, `messageDelta`, `presence` as on the wire;
 * `messageDelta` has `text`, all until then, and the `message` of its `messageId` takes its place;
 * `problem` is the wire's `error`; `joined` (the join's ack), `offline`, `gap` (entries are no longer
 * kept), `afresh` (the server lost the log: forget what was shown) and `refused` (the room ends).
 */
import { randomUUID } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { io } from 'socket.io-client'

const ACK_WITHIN_MS = 10_000
const BREATH_MS = 100
const REMEMBERED = 256
const LEFT = 'The room was left.'
const LIVE = ['message', 'commandResult', 'backtestProgress', 'messageDelta', 'presence', 'error']

/** Codes of errors after which the server will take the same request later. */
const LATER = new Set(['rate_limited', 'shutting_down', 'store_unavailable'])

/** The server said no; `error` is the wire's error: message, code, hint, ... */
export class RefusedError extends Error {
  constructor(error) {
    super([error.message, error.hint].filter(Boolean).join(' '))
    this.name = 'RefusedError'
    this.error = error
  }
}

export class Room extends EventEmitter {
  #socket
  #sessionId
  #name
  #history
  #epoch = null
  #seq = null // of the last entry emitted
  #ahead = new Map() // entries behind a hole, by seq
  #visit = 0 // counts connections, so that a join of an old one stops
  #joining = false
  #inRoom = false
  #refusal = null
  #closed = false
  #versions = new Map() // of the running jobs
  #writing = new Map() // message id -> { index, text }, while it is being written
  #written = [] // ids of the newest messages
  #held = null // pieces that come during a join: only its ack shows which of them it has already
  #outgoing = []
  #sending = false
  #ownIds = []
  #results = new Map() // the newest, by command id
  #waiting = new Map() // command id -> { resolve, reject }

  /**
   * @param {string} url the server, such as `http://127.0.0.1:8500`
   * @param {string} sessionId 1 to 64 letters, digits, `_` and `-`; a new one creates the session
   * @param {{name: string, clientId?: string, history?: number}} options `clientId` is a stable
   *   random word that makes us the same person after a restart; `history` is how many of the newest
   *   entries the first join brings
   */
  constructor(url, sessionId, { name, clientId = randomUUID(), history = 50 }) {
    super()
    this.#sessionId = sessionId
    this.#name = name
    this.#history = history
    this.#socket = io(url, {
      path: '/ws/chatops',
      transports: ['websocket'],
      auth: { name, clientId },
      autoConnect: false,
      reconnectionDelay: 250,
      reconnectionDelayMax: 8_000,
    })
    this.#socket.on('connect', () => this.#join(++this.#visit))
    this.#socket.on('disconnect', (reason) => this.#offline(reason))
    this.#socket.on('connect_error', (error) => this.#notConnected(error))
    for (const event of LIVE) {
      this.#socket.on(event, (payload) => this.#received(event, payload))
    }
  }

  /** Connect; resolves when we are in the room and up to date. */
  connect() {
    const joined = this.#joined()
    this.#socket.connect()
    return joined
  }

  /** Leave. What is not acked by now may or may not have arrived. */
  close() {
    this.#closed = true
    this.#socket.disconnect()
    this.#end(new Error(LEFT))
  }

  /** Send; resolves to the server's ack, rejects with RefusedError if it does not take it. */
  send(content) {
    if (this.#refusal || this.#closed) return Promise.reject(this.#refusal ?? new Error(LEFT))
    return new Promise((resolve, reject) => {
      const id = randomUUID()
      this.#ownIds.push(id)
      this.#ownIds.splice(0, this.#ownIds.length - REMEMBERED)
      this.#outgoing.push({ id, content, resolve, reject })
      this.#sendAll()
    })
  }

  /** End the answer that is being written, or the one of `messageId`; whether there was one. */
  async stop(messageId) {
    const asked = { sessionId: this.#sessionId, messageId }
    const ack = await this.#ask('stopGeneration', asked).catch(() => null)
    return ack?.stopped ?? false
  }

  /** Send a command and return its `commandResult`, however long that takes. */
  async run(command) {
    for (;;) {
      const ack = await this.send(command)
      if (!ack.commandId) throw new RefusedError({ message: 'This is not a command.' })
      const result = this.#resultOf(ack.commandId)
      if (ack.message) return result
      // The answer to a private command, such as /help, is not stored: a connection that ends
      // before it came has lost it, and asking again changes nothing.
      const answer = await Promise.race([result, this.#disconnected()])
      if (answer) return answer
    }
  }

  // ---------------------------------------------------------------- connection

  async #join(visit) {
    if (this.#joining === visit) return
    this.#joining = visit
    this.#held = []
    try {
      for (let more = true; more; ) {
        const where = this.#seq === null ? { limit: this.#history } : { afterSeq: this.#seq }
        const asked = { sessionId: this.#sessionId, name: this.#name, ...where }
        const ack = await this.#ask('joinSession', asked)
        if (visit !== this.#visit) return
        if (!ack.ok && LATER.has(ack.error.code)) {
          await pause((ack.error.retryAfterSeconds ?? 1) * 1000)
        } else if (!ack.ok) {
          this.#refused(ack.error)
          return
        } else {
          more = this.#takePage(ack)
        }
      }
    } catch {
      // No ack. Either the connection has ended, and the next one joins, or it is silent.
      if (visit === this.#visit && this.#socket.connected) this.#socket.disconnect().connect()
    } finally {
      if (this.#joining === visit) this.#joining = false
    }
    if (this.#inRoom && this.#ahead.size > 0) {
      await pause(BREATH_MS)
      if (visit === this.#visit) this.#join(visit)
    }
  }

  /** Take what a join brought; whether there is more. */
  #takePage(ack) {
    const { session, entries } = ack
    if (this.#epoch !== null && this.#epoch !== session.epoch) {
      this.#startAfresh()
      return true
    }
    this.#epoch = session.epoch
    if (ack.gap) {
      this.#lose('Entries of this session are no longer kept. Send the command again.')
      this.emit('gap', session)
    }
    if (this.#seq === null || ack.gap) {
      this.#seq = entries.length > 0 ? entries[0].seq - 1 : session.lastSeq
    }
    for (const { type, ...entry } of entries) this.#take(type, entry)
    if (ack.more) return true
    for (const seq of this.#ahead.keys()) if (seq <= this.#seq) this.#ahead.delete(seq)
    const known = this.#versions
    this.#versions = new Map(ack.jobs.map(({ backtestId: id }) => [id, known.get(id) ?? 0]))
    this.#inRoom = true
    this.emit('joined', ack)
    for (const job of ack.jobs) this.#received('backtestProgress', job)
    this.#streamed(ack.streams ?? [])
    this.#sendAll()
    return false
  }

  #startAfresh() {
    this.#epoch = this.#seq = null
    this.#ahead.clear()
    this.#results.clear()
    this.#lose('The server lost the log of this session. Send the command again.')
    this.emit('afresh')
  }

  #offline(reason) {
    this.#inRoom = false
    this.#visit++
    if (this.#closed || this.#refusal) return
    this.emit('offline', { reason })
    // After this the library does not connect again by itself.
    if (reason === 'io server disconnect') this.#socket.connect()
  }

  #notConnected(error) {
    if (this.#socket.active || this.#closed) return // it tries again by itself
    const refusal = { message: error.message, ...error.data }
    if (LATER.has(refusal.code)) {
      pause(1000).then(() => this.#closed || this.#socket.connect())
    } else {
      this.#refused(refusal)
    }
  }

  #refused(error) {
    this.#refusal = new RefusedError(error)
    this.#socket.disconnect()
    this.#end(this.#refusal)
    this.emit('refused', error)
  }

  #joined() {
    if (this.#inRoom) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.once('joined', resolve)
      this.once('refused', (error) => reject(new RefusedError(error)))
    })
  }

  #disconnected() {
    if (!this.#socket.connected) return Promise.resolve(null)
    return new Promise((resolve) => this.#socket.once('disconnect', () => resolve(null)))
  }

  /** Emit and return the ack; rejects when the connection ends or is silent. */
  #ask(event, payload) {
    return this.#socket.timeout(ACK_WITHIN_MS).emitWithAck(event, payload)
  }

  // ---------------------------------------------------------------- what comes

  #received(event, payload) {
    if (payload?.sessionId !== undefined && payload.sessionId !== this.#sessionId) return
    if (payload?.seq !== undefined) {
      this.#take(event, payload)
    } else if (event === 'commandResult') {
      this.#keepResult(payload)
      this.emit(event, payload)
    } else if (event === 'backtestProgress') {
      if (payload.version <= (this.#versions.get(payload.backtestId) ?? 0)) return
      this.#versions.set(payload.backtestId, payload.version)
      this.emit(event, payload)
    } else if (event === 'messageDelta') {
      if (this.#held) this.#held.push(payload)
      else this.#grow(payload)
    } else if (event === 'error') {
      // What concerns our own requests is in their acks.
      if (this.#ownIds.includes(payload.clientMessageId) || payload.code === 'rate_limited') return
      this.emit('problem', payload)
    } else {
      this.emit(event, payload)
    }
  }

  /** Go on with what a join says is being written. */
  #streamed(streams) {
    const known = this.#writing
    this.#writing = new Map()
    for (const { content, ...stream } of streams) {
      const before = known.get(stream.messageId)
      if (before) this.#writing.set(stream.messageId, before)
      this.#grow({ ...stream, delta: content.slice(before?.text.length ?? 0) })
    }
    const held = this.#held ?? []
    this.#held = null
    for (const piece of held) this.#grow(piece)
  }

  #grow(piece) {
    const { messageId: id, index, delta } = piece
    const known = this.#writing.get(id)
    if (this.#written.includes(id) || index <= known?.index) return
    const text = (known?.text ?? '') + delta
    this.#writing.set(id, { index, text })
    this.emit('messageDelta', { ...piece, text })
  }

  #wrote(messageId) {
    this.#writing.delete(messageId)
    this.#written.push(messageId)
    this.#written.splice(0, this.#written.length - REMEMBERED)
  }

  /** Emit the entry if it is the next; hold it back if others are missing before it. */
  #take(event, entry) {
    if (this.#seq !== null && entry.seq <= this.#seq) return
    this.#ahead.set(entry.seq, [event, entry])
    while (this.#seq !== null && this.#ahead.has(this.#seq + 1)) {
      const [kind, next] = this.#ahead.get(++this.#seq)
      this.#ahead.delete(this.#seq)
      if (kind === 'commandResult') this.#keepResult(next)
      else this.#wrote(next.id)
      this.emit(kind, next)
    }
    if (this.#ahead.size > 0 && this.#inRoom && !this.#joining) this.#join(this.#visit)
  }

  // ---------------------------------------------------------------- commands and sending

  #resultOf(commandId) {
    const result = this.#results.get(commandId)
    if (result) return Promise.resolve(result)
    return new Promise((resolve, reject) => this.#waiting.set(commandId, { resolve, reject }))
  }

  /** Remember it: after a retry, a command's result may be here before its ack. */
  #keepResult(result) {
    this.#results.set(result.commandId, result)
    if (this.#results.size > REMEMBERED) this.#results.delete(this.#results.keys().next().value)
    this.#waiting.get(result.commandId)?.resolve(result)
    this.#waiting.delete(result.commandId)
  }

  #lose(why) {
    for (const { reject } of this.#waiting.values()) reject(new Error(why))
    this.#waiting.clear()
  }

  #end(error) {
    this.#lose(error.message)
    for (const { reject } of this.#outgoing.splice(0)) reject(error)
  }

  async #sendAll() {
    if (this.#sending) return
    this.#sending = true
    while (this.#inRoom && this.#outgoing.length > 0) {
      const [{ id, content, resolve, reject }] = this.#outgoing
      const asked = { sessionId: this.#sessionId, content, clientMessageId: id }
      const ack = await this.#ask('sendMessage', asked).catch(() => null)
      if (ack === null) {
        await pause(BREATH_MS) // no ack: the same again, on this connection or the next
      } else if (!ack.ok && LATER.has(ack.error.code)) {
        await pause((ack.error.retryAfterSeconds ?? 1) * 1000)
      } else {
        this.#outgoing.shift()
        if (ack.ok) resolve(ack)
        else reject(new RefusedError(ack.error))
      }
    }
    this.#sending = false
  }
}
