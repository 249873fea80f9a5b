/** Answers of the assistant as they are written, before the real server and a provider of ours. */
import { expect, onTestFinished, test } from 'vitest'
import type { ChatOpsState } from '../src/room/chatops'
import { member, newSession, storedLog, transcript, until } from './support/members'
import { Provider } from './support/provider'
import { ServerProcess } from './support/server'
import { Way } from './support/way'

const writes = (text: string) => (state: ChatOpsState) =>
  state.messages.some((line) => line.status === 'writing' && line.content === text)
const ends = ({ messages }: ChatOpsState) => messages.at(-1)?.answer?.outcome !== undefined

async function assisted() {
  const provider = await Provider.start()
  const server = await new ServerProcess(provider.environment).start()
  onTestFinished(() => server.end())
  return { provider, server }
}

test('an answer grows in sight of all, over a lost connection, and becomes one message', async () => {
  const { provider, server } = await assisted()
  const session = newSession()
  const way = await Way.to(server.url)
  const mina = member(way.url, session)
  const jun = member(server.url, session, { name: 'Jun' })
  await Promise.all([mina, jun].map((chat) => until(chat, ({ upToDate }) => upToDate)))
  const question = await mina.sendMessage('Which gained most?')
  await provider.asked(1)
  provider.say('The momentum')
  await Promise.all([until(mina, writes('The momentum')), until(jun, writes('The momentum'))])
  expect(mina.getSnapshot().typing).toMatchObject([{ name: 'assistant' }])
  const key = mina.getSnapshot().messages.at(-1)?.key

  way.cut()
  await until(mina, ({ isConnected }) => !isConnected)
  provider.say(' strategy')
  await until(jun, writes('The momentum strategy'))
  await until(mina, writes('The momentum strategy'))
  const late = member(server.url, session, { name: 'Late' })
  await until(late, writes('The momentum strategy'))

  provider.say(' gained most.')
  provider.end()
  for (const chat of [mina, jun, late]) {
    const { messages, typing } = await until(chat, ends)
    expect(typing).toEqual([])
    expect(transcript(messages)).toEqual(await storedLog(server.url, session))
    expect(messages.at(-1)).toMatchObject({
      key,
      status: 'stored',
      role: 'assistant',
      content: 'The momentum strategy gained most.',
      answer: { outcome: 'completed', replyTo: question.ok && question.message?.id },
    })
  }
})

test('an answer can be stopped; what was said stays', async () => {
  const { provider, server } = await assisted()
  const mina = member(server.url, newSession())
  await mina.sendMessage('Tell me all.')
  await provider.asked(1)
  provider.say('It is a long')
  await until(mina, writes('It is a long'))
  expect(await mina.stop()).toEqual({ ok: true, stopped: true })
  const { messages } = await until(mina, ends)
  expect(messages.at(-1)).toMatchObject({
    content: 'It is a long\n\n*Stopped by Mina.*',
    answer: { outcome: 'stopped', stoppedBy: { name: 'Mina' } },
  })
})
