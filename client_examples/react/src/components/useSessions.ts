/** Sessions that were open in this browser, and how much of each was not read yet. */
import { useQueries, useQuery } from '@tanstack/react-query'
import { useEffect } from 'react'
import type { UseChatOps } from '../hooks/useChatOps'
import { read, storageOf, write } from '../room/identity'
import { useServer } from './server'
import { forgetDraft } from './useDraft'

const LOOK_EVERY_MS = 30_000
/** Older ones are not looked at, so that a long list costs the server nothing. */
const LOOKED_AT = 20

export interface ListedSession {
  id: string
  title: string
  unread: number
}

const seenKey = (id: string): string => `chatops.seen.${id}`

export function useSessions(chat: UseChatOps, title: string) {
  const server = useServer()
  const { history, currentSessionId, upToDate, messages } = chat
  const known = useQuery({
    queryKey: ['sessions', server, currentSessionId, upToDate],
    queryFn: () => history?.sessions().catch(() => []) ?? [],
    placeholderData: (before) => before,
  })
  const others = (known.data ?? []).filter((one) => one.id !== currentSessionId)

  const lengths = useQueries({
    queries: others.slice(0, LOOKED_AT).map(({ id }) => ({
      queryKey: ['length', server, id],
      queryFn: () => lengthOf(server, id),
      refetchInterval: LOOK_EVERY_MS,
    })),
  })

  const newest = messages.findLast((line) => line.seq !== null)?.seq
  useEffect(() => {
    if (currentSessionId === null || newest == null) return
    write(storageOf('localStorage'), seenKey(currentSessionId), String(newest))
  }, [currentSessionId, newest])

  const sessions: ListedSession[] = others.map((one, at) => {
    const seen = Number(read(storageOf('localStorage'), seenKey(one.id)) ?? Infinity)
    return { ...one, unread: Math.max((lengths[at]?.data ?? 0) - seen, 0) }
  })
  if (currentSessionId !== null) sessions.unshift({ id: currentSessionId, title, unread: 0 })

  const remove = async (id: string) => {
    forgetDraft(id)
    write(storageOf('localStorage'), seenKey(id), null)
    await history?.forget(id).catch(() => undefined)
    await known.refetch()
  }
  return { sessions, remove }
}

/** The number of the session's last entry; 0 where the server does not say. */
async function lengthOf(server: string, id: string): Promise<number> {
  const reply = await fetch(`${server}/api/v1/chatops-advanced/session/${id}?limit=0`)
  if (!reply.ok) return 0
  const { last_seq } = (await reply.json()) as { last_seq: number }
  return last_seq
}
