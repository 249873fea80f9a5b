/** Rooms before the real server: nothing is lost, nothing is doubled. */
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest'
import type { ChatOps, ChatOpsState } from '../src/room/chatops'
import type { CommandResult } from '../src/wire'
import { member, newSession, storedLog, transcript, until } from './support/members'
import { ServerProcess } from './support/server'
import { Way } from './support/way'

const url = inject('serverUrl')

const shown = (chat: ChatOps) => transcript(chat.getSnapshot().messages)
const contents = (chat: ChatOps) => chat.getSnapshot().messages.map((line) => line.content)
const isRenamed = (result: CommandResult | null) => result?.command.startsWith('/rename') === true
const upToDate = (chat: ChatOps) => until(chat, (now) => now.upToDate)
const has = (chat: ChatOps, length: number) =>
  until(chat, ({ messages }) => messages.filter((line) => line.seq !== null).length === length)

describe('a room', () => {
  test('is joined, and what is said there is shown at once and stored once', async () => {
    const session = newSession()
    const mina = member(url, session)
    expect(mina.getSnapshot()).toMatchObject({ connectionState: 'connecting', upToDate: false })
    await upToDate(mina)
    expect(mina.getSnapshot()).toMatchObject({ isConnected: true, currentSessionId: session })

    const sending = mina.sendMessage('안녕')
    expect(mina.getSnapshot().messages).toMatchObject([
      { status: 'pending', own: true, content: '안녕', author: { name: 'Mina' }, seq: null },
    ])
    const key = mina.getSnapshot().messages[0]?.key
    expect(await sending).toMatchObject({ ok: true, message: { content: '안녕', seq: 1 } })
    const { messages } = await has(mina, 1)
    expect(messages).toMatchObject([{ status: 'stored', own: true, seq: 1, key }])
  })

  test('two members see the same, in the order of the log, and who is there', async () => {
    const session = newSession()
    const mina = member(url, session)
    const jun = member(url, session, { name: 'Jun' })
    await Promise.all([upToDate(mina), upToDate(jun)])
    for (let number = 0; number < 15; number++) {
      void mina.sendMessage(`mina ${number}`)
      void jun.sendMessage(`jun ${number}`)
    }
    await Promise.all([has(mina, 30), has(jun, 30)])
    const log = await storedLog(url, session)
    expect(log).toHaveLength(30)
    expect(shown(mina)).toEqual(log)
    expect(shown(jun)).toEqual(log)
    expect(mina.getSnapshot().messages.filter((line) => line.own)).toHaveLength(15)
    const both = await until(mina, ({ members }) => members.length === 2)
    expect(both.members.map((one) => one.name).sort()).toEqual(['Jun', 'Mina'])
  })

  test('a log longer than a page comes whole, whoever was away', async () => {
    const session = newSession()
    const mina = member(url, session)
    const jun = member(url, session, { name: 'Jun' })
    await Promise.all([upToDate(mina), upToDate(jun)])
    mina.close()
    const long = 'x'.repeat(4_900)
    const acks = Array.from({ length: 70 }, (_, at) => jun.sendMessage(`${at} ${long}`))
    await Promise.all(acks)
    mina.open()
    await has(mina, 70) // 350 KB: two pages at least
    expect(shown(mina)).toEqual(await storedLog(url, session))
  })

  test('a hole is healed by joining again', async () => {
    const session = newSession()
    const mina = member(url, session)
    const jun = member(url, session, { name: 'Jun' })
    await Promise.all([upToDate(mina), upToDate(jun)])
    await mina.sendMessage('one')
    await has(jun, 1)
    // Jun's connection loses what is said next.
    const deaf = jun.socket.listeners('message')
    jun.socket.off('message')
    await mina.sendMessage('two')
    await mina.sendMessage('three')
    for (const listener of deaf) jun.socket.on('message', listener)
    expect(contents(jun)).toEqual(['one'])
    await mina.sendMessage('four')
    await has(jun, 4)
    expect(shown(jun)).toEqual(await storedLog(url, session))
  })

  test('changing the session keeps the socket, and sends first what is unsent', async () => {
    const [first, second] = [newSession(), newSession()]
    const mina = member(url, first)
    const jun = member(url, first, { name: 'Jun' })
    const { socket } = mina
    await upToDate(mina)
    const id = socket.id
    void mina.sendMessage('written just before')
    mina.joinSession(second)
    expect(mina.getSnapshot()).toMatchObject({ currentSessionId: second, messages: [] })
    await mina.sendMessage('hello')
    expect(contents(mina)).toEqual(['hello'])
    await has(jun, 1)
    await until(jun, ({ members }) => members.map((one) => one.name).join() === 'Jun')
    expect(contents(jun)).toEqual(['written just before'])
    expect([mina.socket, mina.socket.id]).toEqual([socket, id])
    mina.leaveSession()
    expect(await mina.sendMessage('to nobody')).toMatchObject({ error: { code: 'no_session' } })
    expect(mina.getSnapshot().error).toMatchObject({ code: 'no_session' })
  })

  test('a new session has the title that was asked for', async () => {
    const mina = member(url, newSession())
    const id = mina.createSession('Morning "desk"')
    expect(id).toMatch(/^session_\d{13}_[0-9a-f]{6}$/)
    await until(mina, ({ session }) => session?.title === 'Morning "desk"')
    const jun = member(url, id, { name: 'Jun' })
    expect((await upToDate(jun)).session).toMatchObject({ id, title: 'Morning "desk"' })
  })
})

describe('commands', () => {
  test('a backtest shows its job in place and ends with its result', async () => {
    const session = newSession()
    const mina = member(url, session)
    const jun = member(url, session, { name: 'Jun' })
    const ended = ({ jobs }: ChatOpsState) => jobs[0]?.outcome !== undefined
    const ack = await mina.triggerBacktest('sma_crossover', { symbol: 'AAPL' })
    if (!ack.ok) throw new Error(ack.error.message)
    const states = new Set<string>()
    jun.subscribe(() => {
      for (const job of jun.getSnapshot().jobs) states.add(`${job.backtestId} ${job.phase}`)
    })
    await Promise.all([until(mina, ended), until(jun, ended)])
    await Promise.all([has(mina, 2), has(jun, 2)])
    for (const chat of [mina, jun]) {
      const { jobs, messages } = chat.getSnapshot()
      expect(jobs).toHaveLength(1)
      expect(jobs[0]).toMatchObject({ progress: 100, phase: 'done', status: 'completed' })
      expect(messages).toMatchObject([
        { kind: 'message', commandId: ack.commandId, content: '/run_backtest sma_crossover AAPL' },
        { kind: 'result', commandId: ack.commandId, result: { success: true } },
      ])
      expect(messages[1]?.result?.data).toMatchObject({ backtestId: jobs[0]?.backtestId })
      expect(messages[1]?.timestamp).toMatch(/^\d{4}-/)
    }
    expect([...states].some((one) => one.endsWith('done'))).toBe(true)
  })

  test('a refusal is handed to who asked, once, and the message is taken back', async () => {
    const session = newSession()
    const mina = member(url, session)
    const ack = await mina.sendMessage('/run_bactest')
    expect(ack).toMatchObject({ ok: false, error: { code: 'unknown_command' } })
    expect(mina.getSnapshot()).toMatchObject({ messages: [], error: { code: 'unknown_command' } })
    mina.dismissError()
    await mina.sendMessage('and on')
    expect(mina.getSnapshot().error).toBeNull() // the event of the same refusal came, unheard
    expect(await storedLog(url, session)).toHaveLength(1)
  })

  test('too fast is no refusal: it is sent again, in order', async () => {
    const session = newSession()
    const mina = member(url, session)
    await upToDate(mina)
    for (let event = 0; event < 40; event++) void mina.complete('/')
    await mina.sendMessage('patient')
    expect(contents(mina)).toEqual(['patient'])
    expect(mina.getSnapshot().error).toBeNull()
  })

  test('a private command is answered to its asker alone', async () => {
    const session = newSession()
    const mina = member(url, session)
    await mina.sendMessage('/help')
    const { messages } = await until(mina, ({ messages: now }) => now.length === 2)
    expect(messages).toMatchObject([
      { status: 'private', content: '/help', own: true },
      { status: 'private', kind: 'result', result: { success: true } },
    ])
    expect(await storedLog(url, session)).toEqual([])
  })

  test('the input box is completed', async () => {
    const mina = member(url, newSession())
    expect(await mina.complete('/run')).toEqual([]) // not connected yet
    await upToDate(mina)
    const items = await mina.complete('/run_b')
    expect(items.map((item) => item.label)).toContain('/run_backtest')
  })
})

describe('a connection that fails', () => {
  test('the ack is lost: the message is sent again and stored once', async () => {
    const session = newSession()
    const way = await Way.to(url)
    const mina = member(way.url, session)
    const jun = member(url, session, { name: 'Jun' })
    await Promise.all([upToDate(mina), upToDate(jun)])
    way.loseAnswers()
    const sending = mina.sendMessage('once')
    await has(jun, 1) // the server has it, and we do not know
    expect(mina.getSnapshot().messages).toMatchObject([{ status: 'pending' }])
    way.cut()
    await until(mina, ({ connectionState }) => connectionState === 'reconnecting')
    expect(await sending).toMatchObject({ ok: true, message: { seq: 1 } })
    await upToDate(mina)
    expect(shown(mina)).toEqual(await storedLog(url, session))
    expect(contents(jun)).toEqual(['once'])
  })

  test('the answer to a private command is lost: it is asked again', async () => {
    const way = await Way.to(url)
    const mina = member(way.url, newSession())
    await upToDate(mina)
    const deaf = mina.socket.listeners('commandResult')
    mina.socket.off('commandResult')
    expect((await mina.sendMessage('/help')).ok).toBe(true)
    await mina.sendMessage('/help') // by now the first answer has come, unheard
    for (const listener of deaf) mina.socket.on('commandResult', listener)
    expect(contents(mina)).toEqual(['/help', '/help'])
    way.cut()
    const { messages } = await until(mina, ({ messages: now }) => now.length === 4)
    expect(messages.map((line) => line.kind)).toEqual(['message', 'result', 'message', 'result'])
  })

  test('what is written while there is none goes out in order when it is back', async () => {
    const session = newSession()
    const way = await Way.to(url)
    const mina = member(way.url, session)
    await upToDate(mina)
    way.cut()
    const acks = ['a', 'b', 'c'].map((text) => mina.sendMessage(text))
    expect((await Promise.all(acks)).map((ack) => ack.ok && ack.message?.seq)).toEqual([1, 2, 3])
    await has(mina, 3)
    expect(contents(mina)).toEqual(['a', 'b', 'c'])
  })

  test('with a number of attempts it gives up, and says so', async () => {
    const way = await Way.to('http://127.0.0.1:9')
    const mina = member(way.url, newSession(), { reconnectionAttempts: 1 })
    const state = await until(mina, ({ connectionState }) => connectionState === 'offline')
    expect(state.isConnected).toBe(false)
  })

  test('a server that does not let us in is not asked again', async () => {
    const mina = member(url, newSession(), { name: '\u0000' })
    const sending = mina.sendMessage('hello?')
    const state = await until(mina, ({ connectionState }) => connectionState === 'refused')
    expect(state.error).toMatchObject({ message: 'This name cannot be shown.' })
    expect(await sending).toMatchObject({ ok: false, error: { code: 'bad_payload' } })
    expect(state.messages).toEqual([])
    mina.setName('Mina')
    await upToDate(mina)
    expect((await mina.sendMessage('hello')).ok).toBe(true)
  })
})

describe('a server that dies', () => {
  let server: ServerProcess
  beforeAll(async () => {
    server = await new ServerProcess().start()
  })
  afterAll(() => server.end())

  test('killed and started again: the room goes on where it was, with what was said', async () => {
    const session = newSession()
    const mina = member(server.url, session)
    const jun = member(server.url, session, { name: 'Jun' })
    await Promise.all([upToDate(mina), upToDate(jun)])
    for (const number of [1, 2, 3]) await mina.sendMessage(`before ${number}`)
    const racing = [4, 5, 6].map((number) => jun.sendMessage(`in the middle ${number}`))
    await server.kill()
    await until(mina, ({ connectionState }) => connectionState === 'reconnecting')
    const waiting = mina.sendMessage('meanwhile')
    expect(mina.getSnapshot().messages.at(-1)).toMatchObject({ status: 'pending' })
    await server.start()
    const acks = await Promise.all([...racing, waiting])
    expect(acks.every((ack) => ack.ok)).toBe(true)
    await Promise.all([has(mina, 7), has(jun, 7)])
    const log = await storedLog(server.url, session)
    expect(log).toHaveLength(7)
    expect(shown(mina)).toEqual(log)
    expect(shown(jun)).toEqual(log)
  })

  test('killed in the middle of a backtest: the job and its result come to an end', async () => {
    const session = newSession()
    const mina = member(server.url, session)
    await mina.triggerBacktest('momentum', { symbol: 'MSFT', start: '2012-01-01' })
    await until(mina, ({ jobs }) => jobs.length === 1)
    await server.kill()
    await server.start()
    await until(mina, ({ jobs }) => jobs[0]?.outcome !== undefined, 60_000)
    await has(mina, 2)
    expect(shown(mina)).toEqual(await storedLog(server.url, session))
    expect(mina.getSnapshot().jobs).toHaveLength(1)
  })

  test('it comes back without its data: the room starts afresh and keeps what is unsent', async () => {
    const session = newSession()
    const [first, second] = [new ServerProcess(), new ServerProcess()]
    onTestFinished(async () => {
      await first.end()
      await second.end()
    })
    await first.start()
    const mina = member(first.url, session)
    for (const text of ['a', 'b', 'c']) await mina.sendMessage(text)
    mina.close()
    await first.kill()
    const sending = mina.sendMessage('d')
    second.url = first.url
    await second.start()
    const jun = member(second.url, session, { name: 'Jun' })
    for (const text of ['x', 'y', 'z', 'zz']) await jun.sendMessage(text) // a log longer than ours
    mina.open()
    expect(await sending).toMatchObject({ ok: true, message: { seq: 5 } })
    await has(mina, 5)
    expect(shown(mina)).toEqual(await storedLog(second.url, session))
  })

  test('it hangs in the middle of a join: the connection is given up and made anew', async () => {
    const session = newSession()
    const mina = member(server.url, newSession())
    await upToDate(mina)
    server.freeze()
    mina.joinSession(session)
    await until(mina, ({ isConnected }) => !isConnected)
    server.thaw()
    await upToDate(mina)
    expect((await mina.sendMessage('hello')).ok).toBe(true)
  })

  test('what a member holds is the log, entry by entry', async () => {
    const session = newSession()
    const mina = member(server.url, session)
    await mina.executeCommand('/whoami')
    await mina.executeCommand('rename', { args: ['Late shift'] })
    await until(mina, ({ messages }) => messages.some((line) => isRenamed(line.result)))
    const numbered = mina.getSnapshot().messages.filter((line) => line.seq !== null)
    expect(transcript(numbered)).toEqual(await storedLog(server.url, session))
  })
})
