import { useState } from 'react'

export interface Recall {
  /** What is shown was brought back. */
  isOn: boolean
  /** The one sent before the one shown; null if there is none. */
  older: (text: string) => string | null
  /** The one sent after it, or in the end what was being written; null if none is shown. */
  newer: () => string | null
  /** The text was changed by hand: it is no longer a recalled one. */
  reset: () => void
}

/** Bring back what was sent, the newest first. */
export function useRecall(sent: readonly string[]): Recall {
  const [shown, setShown] = useState<{ back: number; draft: string } | null>(null)
  const older = (text: string) => {
    const back = (shown?.back ?? 0) + 1
    const found = sent.at(-back)
    if (found === undefined) return null
    setShown({ back, draft: shown?.draft ?? text })
    return found
  }
  const newer = () => {
    if (shown === null) return null
    const back = shown.back - 1
    setShown(back === 0 ? null : { ...shown, back })
    return back === 0 ? shown.draft : (sent.at(-back) ?? null)
  }
  const reset = () => {
    setShown(null)
  }
  return { isOn: shown !== null, older, newer, reset }
}
