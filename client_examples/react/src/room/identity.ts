/** Who we are to the server: a name, and a word that makes us the same person after a reload. */
export interface Identity {
  name: string
  clientId: string
}

const NAME = 'chatops.name'
const CLIENT_ID = 'chatops.clientId'
const PERSON_ID = 'chatops.personId.'

/** A random word of 24 letters and digits. `crypto.randomUUID` is missing on plain-HTTP pages. */
export function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

/** Read who we are from the browser; whoever is new gets a word, and a name from it. */
export function readIdentity(storage: Storage | null): Identity {
  const known = read(storage, CLIENT_ID)
  const clientId = known ?? newId()
  if (known === null) write(storage, CLIENT_ID, clientId)
  return { clientId, name: read(storage, NAME) ?? `guest-${clientId.slice(0, 4)}` }
}

/** What others know the one with this word by, as a server told it; empty if none has. */
export function readPersonId(storage: Storage | null, clientId: string): string {
  return read(storage, PERSON_ID + clientId) ?? ''
}

/** Keep it, so that what is ours is shown as ours before the next visit is connected. */
export function writePersonId(storage: Storage | null, clientId: string, id: string): void {
  write(storage, PERSON_ID + clientId, id)
}

/** Keep the name for the next visit. */
export function writeName(storage: Storage | null, name: string): void {
  write(storage, NAME, name)
}

/** The storage of that name, or null where the browser has none or forbids it. */
export function storageOf(name: 'localStorage' | 'sessionStorage'): Storage | null {
  try {
    return typeof window === 'undefined' ? null : window[name]
  } catch {
    return null // the person forbade it
  }
}

export function read(storage: Storage | null, key: string): string | null {
  try {
    return storage?.getItem(key) ?? null
  } catch {
    return null
  }
}

export function write(storage: Storage | null, key: string, value: string | null): void {
  try {
    if (value === null) storage?.removeItem(key)
    else storage?.setItem(key, value)
  } catch {
    // It is full, or forbidden: we are somebody new after the next reload.
  }
}
