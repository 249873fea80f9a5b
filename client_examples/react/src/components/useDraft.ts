import { useState } from 'react'
import { read, storageOf, write } from '../room/identity'

const keyOf = (sessionId: string): string => `chatops.draft.${sessionId}`

/** What stands unsent in the input box of the session; it outlives a reload. */
export function useDraft(sessionId: string): [string, (text: string) => void] {
  const storage = storageOf('localStorage')
  const [text, setText] = useState(() => read(storage, keyOf(sessionId)) ?? '')
  const keep = (next: string) => {
    setText(next)
    write(storage, keyOf(sessionId), next === '' ? null : next)
  }
  return [text, keep]
}

export function forgetDraft(sessionId: string): void {
  write(storageOf('localStorage'), keyOf(sessionId), null)
}
