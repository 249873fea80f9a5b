/**
 * The connection to a chatops server: one Socket.IO socket for life, under all rooms.
 *
 * It never stops trying to connect, unless it is told how often, or the server refuses it by name.
 */
import { io, type Socket } from 'socket.io-client'
import type { Author, ClientToServerEvents, ErrorAck, Refusal, ServerToClientEvents } from '../wire'
import { readPersonId, storageOf, writePersonId, type Identity } from './identity'
import { LATER, type Problem } from './problem'

const PATH = '/ws/chatops'
const ACK_WITHIN_MS = 10_000
const AGAIN_MS = 1_000
const REMEMBERED = 256
const LIVE = [
  'message',
  'commandResult',
  'backtestProgress',
  'messageDelta',
  'presence',
  'error',
] as const

export type ChatSocket = Socket<ServerToClientEvents, ClientToServerEvents>

/**
 * `connecting`: for the first time. `reconnecting`: it was lost and is tried again. `offline`: the
 * browser has no network, or the attempts are used up. `refused`: the server does not let us in.
 */
export type ConnectionState = 'connecting' | 'connected' | 'reconnecting' | 'offline' | 'refused'

export type ClientEvent = keyof ClientToServerEvents
export type Payload<E extends ClientEvent> = Exclude<
  Parameters<ClientToServerEvents[E]>[0],
  string
>
export type Ack<E extends ClientEvent> = Parameters<
  NonNullable<Parameters<ClientToServerEvents[E]>[1]>
>[0]

export type LiveEvent = {
  [E in keyof ServerToClientEvents]: {
    event: E
    payload: Parameters<ServerToClientEvents[E]>[0]
  }
}[keyof ServerToClientEvents]

/** A room on the connection. */
export interface Occupant {
  readonly sessionId: string
  /** The connection was made; nothing is joined on it yet. */
  connected(): void
  disconnected(): void
  /** There will be no connection any more. */
  refused(problem: Problem): void
  received(live: LiveEvent): void
}

export interface ConnectionOptions {
  /** The server, such as `http://127.0.0.1:8500`. */
  url: string
  identity: Identity
  /** How often it tries again after the connection was lost; without it, for ever. */
  reconnectionAttempts?: number | undefined
}

/** There was no ack: the connection ended, or is silent. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError'
}

export class Connection {
  readonly socket: ChatSocket
  #identity: Identity
  #personId: string
  #state: ConnectionState = 'connecting'
  #refusal: Problem | null = null
  #open = false
  #was = false // connected, once
  #occupants = new Set<Occupant>()
  #listeners = new Set<() => void>()
  #told = new Set<string>() // request ids of refusals that an ack has told

  constructor({ url, identity, reconnectionAttempts = Infinity }: ConnectionOptions) {
    this.#identity = identity
    this.#personId = readPersonId(storageOf('localStorage'), identity.clientId)
    this.socket = io(url, {
      path: PATH,
      transports: ['websocket'],
      auth: (give) => {
        give({ ...this.#identity })
      },
      autoConnect: false,
      forceNew: true,
      reconnectionAttempts,
      reconnectionDelay: 250,
      reconnectionDelayMax: 8_000,
    })
    this.socket.on('connect', () => {
      this.#connected()
    })
    this.socket.on('disconnect', (reason) => {
      this.#disconnected(reason)
    })
    this.socket.on('connect_error', (error) => {
      this.#notConnected(error)
    })
    this.socket.io.on('reconnect_failed', () => {
      this.#become('offline')
    })
    for (const event of LIVE) {
      this.socket.on(event, (payload: LiveEvent['payload']) => {
        this.#received({ event, payload } as LiveEvent)
      })
    }
  }

  get state(): ConnectionState {
    return this.#state
  }

  /** Why the server does not let us in. */
  get refusal(): Problem | null {
    return this.#refusal
  }

  /** Who we are as an author of entries; the id is empty until a server has told it. */
  get me(): Author {
    return { id: this.#personId, name: this.#identity.name }
  }

  /** Our name, and the word by which the server knows us; others are not told that. */
  get identity(): Identity {
    return this.#identity
  }

  /** The server told who we are to the others. */
  met({ id }: Author): void {
    if (id === this.#personId) return
    this.#personId = id
    writePersonId(storageOf('localStorage'), this.#identity.clientId, id)
  }

  /** Use this name from the next join on. */
  rename(name: string): void {
    this.#identity = { ...this.#identity, name }
  }

  /** Connect, and stay connected. A second call does nothing. */
  open(): void {
    if (this.#open) return
    this.#open = true
    this.#refusal = null
    this.#become(isOffline() ? 'offline' : 'connecting')
    if (typeof window !== 'undefined') {
      window.addEventListener('online', this.#networkCame)
      window.addEventListener('offline', this.#networkWent)
    }
    // An effect that React runs, undoes and runs again makes one connection.
    queueMicrotask(() => {
      if (this.#open) this.socket.connect()
    })
  }

  /** Disconnect; `open` connects again. A second call does nothing. */
  close(): void {
    this.#open = this.#was = false
    if (typeof window !== 'undefined') {
      window.removeEventListener('online', this.#networkCame)
      window.removeEventListener('offline', this.#networkWent)
    }
    this.socket.disconnect()
    this.#become('connecting')
  }

  /** Connect anew, at once: this connection is silent, or waits for its next attempt. */
  renew(): void {
    if (!this.#open || this.#refusal !== null) return
    this.socket.disconnect().connect()
  }

  /** Emit and return the ack; rejects with {@link NoAnswerError} if none comes within 10 s. */
  ask<E extends ClientEvent>(event: E, payload: Payload<E>): Promise<Ack<E>> {
    const socket = this.socket as unknown as Socket
    if (!socket.connected) return Promise.reject(new NoAnswerError())
    return new Promise((resolve, reject) => {
      socket.timeout(ACK_WITHIN_MS).emit(event, payload, (error: Error | null, ack: Ack<E>) => {
        if (error !== null) {
          reject(new NoAnswerError())
          return
        }
        if (!ack.ok) this.#noteTold(ack)
        resolve(ack)
      })
    })
  }

  /** Put a room on the connection; returns what takes it off. */
  attach(occupant: Occupant): () => void {
    this.#occupants.add(occupant)
    if (this.#refusal !== null) occupant.refused(this.#refusal)
    else if (this.socket.connected) occupant.connected()
    return () => {
      this.#occupants.delete(occupant)
    }
  }

  /** Be told when the state changes; returns what ends that. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  #connected(): void {
    this.#was = true
    this.#become('connected')
    for (const one of [...this.#occupants]) one.connected()
  }

  #disconnected(reason: string): void {
    if (this.#open && this.#refusal === null) this.#become(this.#lostState())
    for (const one of [...this.#occupants]) one.disconnected()
    // After this the library does not connect again by itself.
    if (reason === 'io server disconnect') this.#connectLater()
  }

  #notConnected(error: Error & { data?: Partial<Refusal> }): void {
    if (!this.#open) return
    this.#become(this.#lostState())
    if (this.socket.active) return // it tries again by itself
    const { code = 'internal', hint } = error.data ?? {}
    if (LATER.has(code)) {
      this.#connectLater()
      return
    }
    this.#refusal = { code, message: error.message, ...(hint ? { hint } : {}) }
    this.#become('refused')
    for (const one of [...this.#occupants]) one.refused(this.#refusal)
  }

  #connectLater(): void {
    setTimeout(() => {
      if (this.#open && this.#refusal === null) this.socket.connect()
    }, AGAIN_MS)
  }

  #lostState(): ConnectionState {
    if (isOffline()) return 'offline'
    return this.#was ? 'reconnecting' : 'connecting'
  }

  #networkCame = (): void => {
    if (!this.socket.connected) {
      this.#become(this.#lostState())
      this.renew()
    }
  }

  #networkWent = (): void => {
    this.#become('offline')
  }

  #received(live: LiveEvent): void {
    const { sessionId } = live.payload
    // What an ack has told its sender is told only once.
    if (live.event === 'error' && this.#told.has(live.payload.requestId)) return
    for (const one of [...this.#occupants]) {
      if (sessionId === undefined || sessionId === one.sessionId) one.received(live)
    }
  }

  #noteTold({ error }: ErrorAck): void {
    this.#told.add(error.requestId)
    for (const first of this.#told) {
      if (this.#told.size <= REMEMBERED) break
      this.#told.delete(first)
    }
  }

  #become(state: ConnectionState): void {
    if (state === this.#state) return
    this.#state = state
    for (const listener of [...this.#listeners]) listener()
  }
}

function isOffline(): boolean {
  return typeof navigator !== 'undefined' && 'onLine' in navigator && !navigator.onLine
}
