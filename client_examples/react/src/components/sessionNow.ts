import type { ChatMessage } from '../room/lines'
import type { SessionInfo } from '../wire'

type Now = Pick<SessionInfo, 'title' | 'assistant'>

/** Title and mode of the session: as the join told them, and as the log changed them since. */
export function sessionNow(session: SessionInfo | null, messages: readonly ChatMessage[]): Now | null {
  if (session === null) return null
  const now: Now = { title: session.title, assistant: session.assistant }
  const from = messages.findLastIndex((line) => line.seq !== null && line.seq <= session.lastSeq)
  for (const { metadata, result } of messages.slice(from + 1)) {
    if ('assistantMode' in metadata) now.assistant = metadata.assistantMode as Now['assistant']
    const data = result?.data
    if (result?.command.startsWith('/rename') && data && 'title' in data) {
      now.title = String(data.title)
    }
  }
  return now
}
