// @vitest-environment jsdom
import 'fake-indexeddb/auto'
import fc from 'fast-check'
import { expect, inject, onTestFinished, test } from 'vitest'
import { browserHistory, KEPT_ENTRIES, type History } from '../src/room/history'
import { newId } from '../src/room/identity'
import type { Entry } from '../src/room/state'
import { member, newSession, storedLog, transcript, until } from './support/members'
import { ServerProcess } from './support/server'

function entries(sessionId: string, from: number, to: number, word = 'text'): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, at) => ({
    type: 'message',
    id: `m_${from + at}`,
    sessionId,
    role: 'user',
    content: `${word} ${from + at}`,
    timestamp: '2026-01-01T00:00:00.000Z',
    seq: from + at,
  }))
}

function newHistory(): History {
  const history = browserHistory(newId())
  if (history === null) throw new Error('no database')
  return history
}

test('the newest entries are kept, without holes, whatever order they come in', async () => {
  const parts = fc.array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.nat({ max: 6 })), {
    minLength: 1,
    maxLength: 12,
  })
  await fc.assert(
    fc.asyncProperty(parts, async (runs) => {
      const history = newHistory()
      const known = new Set<number>()
      for (const [from, more] of runs) {
        await history.keep('s', 'one', entries('s', from, from + more))
        for (let seq = from; seq <= from + more; seq++) known.add(seq)
      }
      const last = Math.max(...known)
      let first = last
      while (known.has(first - 1)) first--
      expect(await history.load('s')).toEqual({ epoch: 'one', entries: entries('s', first, last) })
    }),
    { numRuns: 60 },
  )
})

test('older ones go, sessions do not mix, and another epoch throws all away', async () => {
  const history = newHistory()
  await history.keep('s', 'one', entries('s', 1, 300))
  await history.keep('s', 'one', entries('s', 301, 900))
  await history.keep('t', 'one', entries('t', 1, 2))
  expect((await history.load('s'))?.entries.map((one) => one.seq)).toEqual(
    Array.from({ length: KEPT_ENTRIES }, (_, at) => 901 - KEPT_ENTRIES + at),
  )
  await history.keep('s', 'two', entries('s', 1, 2, 'new'))
  expect(await history.load('s')).toEqual({ epoch: 'two', entries: entries('s', 1, 2, 'new') })
  await history.forget('s')
  expect(await history.load('s')).toBeNull()
  expect((await history.load('t'))?.entries).toHaveLength(2)
})

test('the sessions that were open are listed, the latest first', async () => {
  const history = newHistory()
  await history.opened('a', 'Morning')
  await new Promise((passed) => setTimeout(passed, 2))
  await history.opened('b', 'b')
  await new Promise((passed) => setTimeout(passed, 2))
  await history.opened('a', 'Evening')
  const known = await history.sessions()
  expect(known.map(({ id, title }) => [id, title])).toEqual([
    ['a', 'Evening'],
    ['b', 'b'],
  ])
})

test('a new page shows the room before there is a connection, then heals', async () => {
  const server = await new ServerProcess({ CHATOPS_ASSISTANT_MODE: 'off' }).start()
  onTestFinished(() => server.end())
  const session = newSession()
  const clientId = newId()
  const before = member(server.url, session, { clientId })
  await before.sendMessage('kept one')
  await before.sendMessage('kept two')
  const kept = () => before.history?.load(session)
  await expect.poll(async () => (await kept())?.entries.length, { timeout: 5_000 }).toBe(2)
  before.close()
  const jun = member(server.url, session, { name: 'Jun' })
  await jun.sendMessage('missed')
  await server.kill()

  const after = member(server.url, session, { clientId })
  const shown = await until(after, ({ messages }) => messages.length > 0)
  expect(shown).toMatchObject({ isConnected: false, upToDate: false })
  expect(shown.messages).toMatchObject([
    { content: 'kept one', own: true, status: 'stored' },
    { content: 'kept two', own: true, status: 'stored' },
  ])
  await server.start()
  const { messages } = await until(after, ({ upToDate }) => upToDate)
  expect(transcript(messages)).toEqual(await storedLog(server.url, session))
  expect(messages.map((line) => line.content)).toEqual(['kept one', 'kept two', 'missed'])
})

test('what is kept of a log that the server lost is forgotten', async () => {
  const url = inject('serverUrl')
  const history = newHistory()
  const session = newSession()
  await history.keep(session, 'an epoch of old', entries(session, 1, 9, 'old'))
  const mina = member(url, session, { history })
  await until(mina, ({ upToDate }) => upToDate)
  expect(mina.getSnapshot().messages).toEqual([])
  await mina.sendMessage('new')
  const load = async () => (await history.load(session))?.entries.map((one) => one.seq)
  await expect.poll(load, { timeout: 5_000 }).toEqual([1])
})
