import Box from '@mui/material/Box'
import { useEffect, useRef, useState } from 'react'
import { useLocale } from '../i18n'
import type { ChatMessage } from '../room/lines'
import { nameOf, shorten } from './MessageRow'
import { HIDDEN } from './theme'

const AFTER_MS = 700
const AT_MOST = 3

/**
 * Says to screen readers what others said: whole messages and results that came while the room was
 * up to date, the newest few at a time. Neither history, nor pieces of an answer, nor progress.
 */
export function Announcer({ messages, live }: { messages: readonly ChatMessage[]; live: boolean }) {
  const { t } = useLocale()
  const [said, setSaid] = useState('')
  const known = useRef<number | null>(null) // number of the last entry told or not to be told

  useEffect(() => {
    const newest = messages.findLast((line) => line.seq !== null)?.seq ?? 0
    if (!live) {
      known.current = null
      return
    }
    const last = (known.current ??= newest)
    const timer = setTimeout(() => {
      known.current = newest
      const news = messages.filter((line) => (line.seq ?? 0) > last && !isOwnMessage(line))
      if (news.length === 0) return
      const lines = news.slice(-AT_MOST).map((line) => {
        return t('said', { name: nameOf(line, t), text: shorten(line.content, 200) })
      })
      setSaid(lines.join('\n'))
    }, AFTER_MS)
    return () => {
      clearTimeout(timer)
    }
  }, [messages, live, t])

  return (
    <Box role="log" aria-live="polite" sx={HIDDEN}>
      {said}
    </Box>
  )
}

function isOwnMessage(line: ChatMessage): boolean {
  return line.own && line.kind === 'message'
}
