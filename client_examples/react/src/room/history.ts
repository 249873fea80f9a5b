/**
 * The newest entries of each session, kept in the browser, so that a reload shows a room at once.
 *
 * The log on the server stays the truth: what is kept is a beginning that the next join continues,
 * or, when the log's epoch is another, throws away. Any failure of the browser's database costs no
 * more than that: then there is no history, and the join brings it.
 */
import type { Entry } from './state'

export interface Kept {
  epoch: string
  entries: Entry[]
}

/** A session that was open in this browser. */
export interface KnownSession {
  id: string
  title: string
  /** When it was last opened, milliseconds since 1970. */
  openedAt: number
}

export interface History {
  /** What is kept of the session: entries without holes, oldest first; null if nothing is. */
  load(sessionId: string): Promise<Kept | null>
  /** Keep these too. A repeat changes nothing; another epoch throws away what was kept. */
  keep(sessionId: string, epoch: string, entries: readonly Entry[]): Promise<void>
  /** Note that the session was opened. */
  opened(sessionId: string, title: string): Promise<void>
  /** Sessions that were open here, the latest first. */
  sessions(): Promise<KnownSession[]>
  /** Keep nothing of the session. */
  forget(sessionId: string): Promise<void>
}

const ENTRIES = 'entries'
const EPOCHS = 'epochs'
const SESSIONS = 'sessions'

export const KEPT_ENTRIES = 500
export const KEPT_SESSIONS = 50

/** A history in IndexedDB, or null where the browser has none. */
export function browserHistory(server: string): History | null {
  return typeof indexedDB === 'undefined' ? null : new BrowserHistory(`chatops ${server}`)
}

class BrowserHistory implements History {
  #database: Promise<IDBDatabase>

  constructor(name: string) {
    this.#database = open(name)
    this.#database.catch(() => undefined) // each use of it meets the failure
  }

  async load(sessionId: string): Promise<Kept | null> {
    const stores = (await this.#database).transaction([ENTRIES, EPOCHS])
    const [epoch, rows] = await Promise.all([
      done(stores.objectStore(EPOCHS).get(sessionId) as IDBRequest<string | undefined>),
      done(stores.objectStore(ENTRIES).getAll(rangeOf(sessionId)) as IDBRequest<Entry[]>),
    ])
    const last = rows.at(-1)
    if (epoch === undefined || last === undefined) return null
    const first = rows.findLastIndex((row, at) => row.seq - at !== last.seq - (rows.length - 1)) + 1
    return { epoch, entries: rows.slice(first) }
  }

  async keep(sessionId: string, epoch: string, entries: readonly Entry[]): Promise<void> {
    const newest = entries.slice(-KEPT_ENTRIES)
    const last = newest.at(-1)
    if (last === undefined) return
    const stores = (await this.#database).transaction([ENTRIES, EPOCHS], 'readwrite')
    const kept = stores.objectStore(ENTRIES)
    const epochs = stores.objectStore(EPOCHS)
    if ((await done(epochs.get(sessionId))) !== epoch) {
      kept.delete(rangeOf(sessionId))
      epochs.put(epoch, sessionId)
    }
    for (const entry of newest) kept.put(entry)
    kept.delete(rangeOf(sessionId, last.seq - KEPT_ENTRIES))
    await committed(stores)
  }

  async opened(sessionId: string, title: string): Promise<void> {
    const stores = (await this.#database).transaction(SESSIONS, 'readwrite')
    const known: KnownSession = { id: sessionId, title, openedAt: Date.now() }
    stores.objectStore(SESSIONS).put(known)
    await committed(stores)
    const surplus = (await this.sessions()).slice(KEPT_SESSIONS)
    for (const one of surplus) await this.forget(one.id)
  }

  async sessions(): Promise<KnownSession[]> {
    const store = (await this.#database).transaction(SESSIONS).objectStore(SESSIONS)
    const known = await done(store.getAll() as IDBRequest<KnownSession[]>)
    return known.sort((one, other) => other.openedAt - one.openedAt)
  }

  async forget(sessionId: string): Promise<void> {
    const stores = (await this.#database).transaction([ENTRIES, EPOCHS, SESSIONS], 'readwrite')
    stores.objectStore(ENTRIES).delete(rangeOf(sessionId))
    stores.objectStore(EPOCHS).delete(sessionId)
    stores.objectStore(SESSIONS).delete(sessionId)
    await committed(stores)
  }
}

function open(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name, 1)
  request.onupgradeneeded = () => {
    const database = request.result
    database.createObjectStore(ENTRIES, { keyPath: ['sessionId', 'seq'] })
    database.createObjectStore(EPOCHS)
    database.createObjectStore(SESSIONS, { keyPath: 'id' })
  }
  return done(request)
}

function rangeOf(sessionId: string, upTo = Infinity): IDBKeyRange {
  return IDBKeyRange.bound([sessionId, -Infinity], [sessionId, upTo])
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => {
      resolve(request.result)
    }
    request.onerror = () => {
      reject(request.error ?? new Error('the database failed'))
    }
  })
}

function committed(stores: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    stores.oncomplete = () => {
      resolve()
    }
    stores.onabort = () => {
      reject(stores.error ?? new Error('the database failed'))
    }
  })
}
