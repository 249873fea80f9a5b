/**
 * What is to be sent, one at a time: each goes out with the same `clientMessageId` until the server
 * has acked it, over as many connections as that takes. The server stores it once.
 */
import type { CommandAck, MessageAck } from '../wire'
import { LATER, laterMs, type Declined, type Problem } from './problem'
import type { Pending } from './state'
import type { UnsentStorage } from './unsent'

const BREATH_MS = 100

export type Sent = MessageAck | CommandAck
export type SendAck = Sent | Declined

export interface OutboxOptions {
  /** Send it once; null if there was no ack. */
  send: (one: Pending) => Promise<Sent | { ok: false; error: Problem } | null>
  /** What became of it; called before whoever sent it is told. */
  settled: (one: Pending, ack: SendAck) => void
  storage: UnsentStorage
}

export class Outbox {
  #options: OutboxOptions
  #queue: { one: Pending; tell: (ack: SendAck) => void }[] = []
  #ready = false
  #running = false

  constructor(options: OutboxOptions) {
    this.#options = options
    for (const one of options.storage.load()) this.#queue.push({ one, tell: nobody })
  }

  get unsent(): readonly Pending[] {
    return this.#queue.map(({ one }) => one)
  }

  /** Send when its turn comes; resolves to what became of it, and never rejects. */
  add(one: Pending): Promise<SendAck> {
    return new Promise((tell) => {
      this.#queue.push({ one, tell })
      this.#save()
      void this.#run()
    })
  }

  /** Send these before all others; they were acked, but their answer is lost. */
  addFirst(these: readonly Pending[]): void {
    this.#queue.unshift(...these.map((one) => ({ one, tell: nobody })))
    this.#save()
    void this.#run()
  }

  /** From now on things can be sent. */
  start(): void {
    this.#ready = true
    void this.#run()
  }

  /** From now on nothing can be sent, until the next start. */
  pause(): void {
    this.#ready = false
  }

  /** Nothing will be sent any more. */
  end(error: Problem): void {
    this.#ready = false
    for (const { one, tell } of this.#queue.splice(0)) {
      const ack: Declined = { ok: false, error }
      this.#options.settled(one, ack)
      tell(ack)
    }
    this.#save()
  }

  async #run(): Promise<void> {
    if (this.#running) return
    this.#running = true
    for (let first = this.#first(); first !== undefined; first = this.#first()) {
      const ack = await this.#options.send(first.one)
      if (ack === null) {
        await pause(BREATH_MS) // the same again, on this connection or the next
      } else if (!ack.ok && LATER.has(ack.error.code)) {
        await pause(laterMs(ack.error))
      } else if (this.#queue.includes(first)) {
        this.#queue.splice(this.#queue.indexOf(first), 1)
        this.#save()
        this.#options.settled(first.one, ack)
        first.tell(ack)
      }
    }
    this.#running = false
  }

  #first() {
    return this.#ready ? this.#queue[0] : undefined
  }

  #save(): void {
    this.#options.storage.save(this.unsent)
  }
}

/** Who sent it is not here to be told: it was sent before a reload, or has been told already. */
function nobody(): void {
  return
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
