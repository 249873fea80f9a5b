import { read, write } from './identity'
import type { Pending } from './state'

/** Where unsent things outlive a reload of this tab. */
export interface UnsentStorage {
  load(): Pending[]
  save(unsent: readonly Pending[]): void
}

/** What one person has not sent to one session, in the storage of this tab. */
export function unsentOf(
  storage: Storage | null,
  clientId: string,
  sessionId: string,
): UnsentStorage {
  const key = `chatops.unsent.${clientId}.${sessionId}`
  return {
    load() {
      try {
        return JSON.parse(read(storage, key) ?? '[]') as Pending[]
      } catch {
        return [] // not ours, or cut short: better lost than never to open the room again
      }
    },
    save(unsent) {
      write(storage, key, unsent.length > 0 ? JSON.stringify(unsent) : null)
    },
  }
}
