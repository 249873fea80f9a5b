// @vitest-environment jsdom
import { QueryClient } from '@tanstack/react-query'
import { act, cleanup, renderHook, waitFor, type RenderHookResult } from '@testing-library/react'
import 'fake-indexeddb/auto'
import { StrictMode } from 'react'
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import {
  chatOpsQueryKeys,
  useChatOps,
  type UseChatOps,
  type UseChatOpsOptions,
} from '../src/hooks/useChatOps'
import { member, newSession, storedLog, transcript, until } from './support/members'
import { Way } from './support/way'

const url = inject('serverUrl')

type Hook = RenderHookResult<UseChatOps, UseChatOpsOptions>

function page(options: UseChatOpsOptions): Hook {
  const initialProps: UseChatOpsOptions = { url, ...options }
  return renderHook((props: UseChatOpsOptions) => useChatOps(props), {
    initialProps,
    wrapper: StrictMode,
  })
}

const soon = (check: () => void) => waitFor(check, { timeout: 30_000, interval: 20 })
const inRoom = (hook: Hook) =>
  soon(() => {
    expect(hook.result.current.upToDate).toBe(true)
  })

beforeEach(() => {
  localStorage.clear()
  sessionStorage.clear()
})
afterEach(cleanup)

test('under StrictMode there is one socket, one member, and each message once', async () => {
  const session = newSession()
  const jun = member(url, session, { name: 'Jun' })
  await until(jun, ({ upToDate }) => upToDate)
  let most = 0
  jun.subscribe(() => {
    most = Math.max(most, jun.getSnapshot().members.length)
  })
  const hook = page({ sessionId: session, name: 'Mina' })
  const { socket } = hook.result.current
  expect(hook.result.current).toMatchObject({ isConnected: false, connectionState: 'connecting' })
  await inRoom(hook)
  expect(hook.result.current).toMatchObject({ isConnected: true, currentSessionId: session })
  await act(async () => {
    expect((await hook.result.current.sendMessage('hello')).ok).toBe(true)
  })
  await jun.sendMessage('hello Mina')
  await soon(() => {
    expect(hook.result.current.messages).toHaveLength(2)
  })
  expect(transcript(hook.result.current.messages)).toEqual(await storedLog(url, session))
  expect(hook.result.current.socket).toBe(socket)
  expect(most).toBe(2)
  hook.unmount()
  await until(jun, ({ members }) => members.map((one) => one.name).join() === 'Jun')
})

test('functions are the same at each render, and state is new only where it changed', async () => {
  const hook = page({ sessionId: newSession() })
  const first = hook.result.current
  await inRoom(hook)
  const joined = hook.result.current
  await act(async () => {
    await joined.sendMessage('hello')
  })
  await soon(() => {
    expect(hook.result.current.messages).toMatchObject([{ status: 'stored' }])
  })
  const last = hook.result.current
  const functions = Object.entries(first).filter(([, value]) => typeof value === 'function')
  expect(functions.map(([name]) => name).sort()).toEqual([
    'compareStrategies',
    'complete',
    'createSession',
    'dismissError',
    'executeCommand',
    'importFile',
    'joinSession',
    'leaveSession',
    'sendMessage',
    'setName',
    'stop',
    'triggerBacktest',
  ])
  for (const [name, value] of functions) expect(last).toHaveProperty(name, value)
  expect(last.jobs).toBe(joined.jobs)
})

test('the life of a page: create, command, change, leave', async () => {
  const hook = page({ name: 'Mina' })
  expect(hook.result.current.currentSessionId).toBeNull()
  let created = ''
  act(() => {
    created = hook.result.current.createSession('')
  })
  expect(hook.result.current.currentSessionId).toBe(created)
  await inRoom(hook)
  act(() => {
    void hook.result.current.compareStrategies(['momentum', 'macd'])
  })
  await soon(() => {
    expect(hook.result.current.messages.at(-1)?.result?.success).toBe(true)
  })
  expect(hook.result.current.messages.at(-1)?.result?.data).toMatchObject({
    ranking: [{ rank: 1 }, { rank: 2 }],
  })
  const other = newSession()
  hook.rerender({ url, sessionId: other })
  await inRoom(hook)
  expect(hook.result.current).toMatchObject({ currentSessionId: other, messages: [], jobs: [] })
  act(() => {
    hook.result.current.leaveSession()
  })
  await act(async () => {
    const ack = await hook.result.current.executeCommand('help')
    expect(ack).toMatchObject({ ok: false, error: { code: 'no_session' } })
  })
  expect(hook.result.current.error).toMatchObject({ code: 'no_session' })
})

test('after a reload we are the same person, and what was unsent goes out once', async () => {
  const session = newSession()
  const way = await Way.to(url)
  const before = page({ url: way.url, sessionId: session })
  await inRoom(before)
  await act(async () => {
    await before.result.current.sendMessage('stored')
  })
  const { me } = before.result.current
  way.loseAnswers()
  act(() => {
    void before.result.current.sendMessage('the ack of this is lost')
    void before.result.current.sendMessage('this waits for that ack')
  })
  const jun = member(url, session, { name: 'Jun' })
  await until(jun, ({ messages }) => messages.length === 2)
  before.unmount()
  way.cut()

  const after = page({ url: way.url, sessionId: session })
  await inRoom(after)
  expect(after.result.current.me).toEqual(me)
  await soon(() => {
    const lines = after.result.current.messages.map((line) => `${line.status} ${line.content}`)
    expect(lines).toEqual([
      'stored stored',
      'stored the ack of this is lost',
      'stored this waits for that ack',
    ])
    expect(sessionStorage).toHaveLength(0)
  })
  expect(transcript(after.result.current.messages)).toEqual(await storedLog(url, session))
  expect(after.result.current.messages.every((line) => line.own)).toBe(true)
})

test('a new name is seen by the others, and by us after a reload', async () => {
  const session = newSession()
  const jun = member(url, session, { name: 'Jun' })
  const hook = page({ sessionId: session })
  await inRoom(hook)
  expect(hook.result.current.me.name).toMatch(/^guest-/)
  act(() => {
    hook.result.current.setName('Mina')
  })
  await until(jun, ({ members }) => members.some((one) => one.name === 'Mina'))
  hook.unmount()
  expect(page({ sessionId: session }).result.current.me.name).toBe('Mina')
})

test('messages are in the cache of a given QueryClient', async () => {
  const session = newSession()
  const queryClient = new QueryClient()
  const hook = page({ sessionId: session, queryClient })
  await inRoom(hook)
  await act(async () => {
    await hook.result.current.sendMessage('hello')
  })
  await soon(() => {
    const cached = queryClient.getQueryData(chatOpsQueryKeys.messages(session))
    expect(cached).toMatchObject([{ content: 'hello', status: 'stored' }])
  })
  queryClient.clear()
})
