import { ChatOps } from '../../src/room/chatops'
import { newId } from '../../src/room/identity'
import type { BacktestProgress, CommandResult } from '../../src/wire'
import { newSession, until } from './members'

/** What a room was told of one command: its result, and each state of its job. */
export interface Told {
  result: CommandResult
  job: readonly BacktestProgress[]
}

/** Run a command in a room of its own and keep what the server says of it. */
export async function told(url: string, command: string): Promise<Told> {
  const chat = new ChatOps({ url, name: 'Mina', clientId: newId() })
  const job: BacktestProgress[] = []
  chat.socket.on('backtestProgress', (news: BacktestProgress) => job.push(news))
  try {
    chat.open()
    chat.joinSession(newSession())
    const ack = await chat.sendMessage(command)
    if (!ack.ok) throw new Error(`${command}: ${ack.error.message}`)
    const isIt = (one: { result: CommandResult | null }) => one.result !== null
    const { messages } = await until(chat, (state) => state.messages.some(isIt))
    const result = messages.find(isIt)?.result
    if (!result) throw new Error(`${command}: no result`)
    return { result, job }
  } finally {
    chat.close()
  }
}
