import { io } from 'socket.io-client'
import { onTestFinished } from 'vitest'
import { ChatOps, type ChatOpsOptions, type ChatOpsState } from '../../src/room/chatops'
import { newId } from '../../src/room/identity'
import type { ChatMessage } from '../../src/room/lines'
import type { JoinAck } from '../../src/wire'

/** A person in a room, who leaves when the test ends. */
export function member(url: string, sessionId: string, options: ChatOpsOptions = {}): ChatOps {
  const chat = new ChatOps({ url, name: 'Mina', clientId: newId(), ...options })
  onTestFinished(() => {
    chat.close()
  })
  chat.open()
  chat.joinSession(sessionId)
  return chat
}

export const newSession = (): string => `test_${newId()}`

/** Wait until it is so. */
export function until(
  chat: ChatOps,
  isSo: (state: ChatOpsState) => boolean,
  withinMs = 30_000,
): Promise<ChatOpsState> {
  return new Promise((resolve, reject) => {
    const check = () => {
      const state = chat.getSnapshot()
      if (!isSo(state)) return
      done()
      resolve(state)
    }
    const late = setTimeout(() => {
      done()
      reject(new Error(`not so within ${withinMs} ms: ${isSo.toString()}\n${show(chat)}`))
    }, withinMs)
    const stop = chat.subscribe(check)
    const done = () => {
      clearTimeout(late)
      stop()
    }
    check()
  })
}

/** What is shown of the log, as far as the log can say it. */
export function transcript(messages: readonly ChatMessage[]): string[] {
  return messages.map((line) => `${line.seq} ${line.kind} ${line.id} ${line.content}`)
}

/** The log itself, read by somebody who knows nothing yet, with nothing of ours. */
export async function storedLog(url: string, sessionId: string): Promise<string[]> {
  const socket = io(url, { path: '/ws/chatops', transports: ['websocket'], forceNew: true })
  try {
    const log: string[] = []
    for (let more = true, afterSeq = 0; more; ) {
      const asked = { sessionId, afterSeq }
      const ack = (await socket.timeout(10_000).emitWithAck('joinSession', asked)) as JoinAck
      for (const entry of ack.entries) {
        const [kind, id, text] =
          entry.type === 'message'
            ? ['message', entry.id, entry.content]
            : ['result', entry.commandId, entry.message]
        log.push(`${entry.seq ?? 'no seq'} ${kind} ${id} ${text}`)
        afterSeq = entry.seq ?? afterSeq
      }
      more = ack.more
    }
    return log
  } finally {
    socket.disconnect()
  }
}

function show(chat: ChatOps): string {
  const { connectionState, upToDate, error, messages } = chat.getSnapshot()
  return JSON.stringify({ connectionState, upToDate, error, log: transcript(messages) }, null, 1)
}
