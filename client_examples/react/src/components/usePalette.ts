/** What could be typed next, as the server says it, and what the keys do to it. */
import { useEffect, useState, type KeyboardEvent } from 'react'
import type { CompletionItem } from '../wire'

const AFTER_MS = 120
const STEPS: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 }

export interface Palette {
  items: readonly CompletionItem[]
  /** Which one Enter takes; -1: none. */
  active: number
  take: (item: CompletionItem) => void
  /** Ask for what could follow the text; null: nothing is wanted. */
  ask: (text: string | null) => void
  /** Whether the key was for the palette. */
  onKey: (event: KeyboardEvent) => boolean
}

interface Found {
  of: string
  items: readonly CompletionItem[]
}

export function usePalette(
  complete: (text: string) => Promise<readonly CompletionItem[]>,
  onTake: (text: string) => void,
): Palette {
  const [asked, setAsked] = useState<string | null>(null)
  const [found, setFound] = useState<Found>({ of: '', items: [] })
  const [chosen, setChosen] = useState<number | null>(null)

  useEffect(() => {
    if (asked === null) return
    let current = true
    const timer = setTimeout(() => {
      void complete(asked).then((items) => {
        if (current) setFound({ of: asked, items })
      })
    }, AFTER_MS)
    return () => {
      current = false
      clearTimeout(timer)
    }
  }, [asked, complete])

  const items = asked === null ? [] : fitting(found, asked)
  // A name is most likely the first one; whether a value is wanted, only the person knows.
  const first = asked?.includes(' ') ? -1 : 0
  const active = items.length === 0 ? -1 : Math.min(chosen ?? first, items.length - 1)

  const ask = (text: string | null) => {
    setAsked(text)
    setChosen(null)
  }
  const take = ({ value }: CompletionItem) => {
    const text = /[=\s]$/.test(value) ? value : `${value} `
    onTake(text)
    ask(text)
  }
  const step = (by: number) => {
    const from = active === -1 && by < 0 ? 0 : active
    setChosen((from + by + items.length) % items.length)
  }
  /** What is typed already, or was not chosen, does not keep the text from being sent. */
  const isMeant = ({ value }: CompletionItem) => active >= 0 && value.trim() !== asked?.trim()
  const onKey = ({ key, shiftKey }: KeyboardEvent): boolean => {
    const best = items[Math.max(active, 0)]
    if (best === undefined || shiftKey) return false
    if (key === 'Tab' || (key === 'Enter' && isMeant(best))) take(best)
    else if (key in STEPS) step(STEPS[key] ?? 0)
    else if (key === 'Escape') ask(null)
    else return false
    return true
  }
  return { items, active, take, ask, onKey }
}

/** Until the answer to the newest text is here, what fits of the one before. */
function fitting({ of, items }: Found, text: string): readonly CompletionItem[] {
  return of === text ? items : items.filter((item) => item.value.startsWith(text))
}
