// @vitest-environment jsdom
/** The interface before the real server, by keyboard as people use it. */
import { fireEvent, screen, waitFor, within } from '@testing-library/react'
import { expect, inject, onTestFinished, test } from 'vitest'
import { barriers, box, connected, open } from './support/page'
import { member, newSession, until } from './support/members'
import { Provider } from './support/provider'
import { ServerProcess } from './support/server'

const url = inject('serverUrl')
const entries = () => screen.queryAllByRole('article')
const said = (text: string) => screen.findByText(text)

test('two people talk: Enter sends, Shift+Enter makes a line', async () => {
  const sessionId = newSession()
  const jun = member(url, sessionId, { name: 'Jun', history: null })
  const { user } = open({ url, sessionId, name: 'Mina' })
  await connected()
  await user.type(box(), 'first{Shift>}{Enter}{/Shift}second{Enter}')
  expect(box().value).toBe('')
  const { messages } = await until(jun, (now) => now.messages.length === 1)
  expect(messages[0]).toMatchObject({ content: 'first\nsecond', author: { name: 'Mina' } })

  await jun.sendMessage('hello **Mina**')
  const hello = await said('Mina')
  expect(hello.tagName).toBe('STRONG')
  expect(entries().map((one) => one.getAttribute('aria-label'))).toEqual(['Mina', 'Jun'])
  const log = screen.getByRole('log')
  await waitFor(() => {
    expect(log.textContent).toBe('Jun: hello **Mina**') // ours is not read to us
  })
})

test('Enter that ends a composition sends nothing', async () => {
  const { user } = open({ url, sessionId: newSession(), name: 'Mina' })
  await connected()
  await user.type(box(), '안녕')
  fireEvent.keyDown(box(), { key: 'Enter', isComposing: true })
  fireEvent.keyDown(box(), { key: 'Enter', keyCode: 229 })
  expect(box().value).toBe('안녕')
  expect(entries()).toHaveLength(0)
  fireEvent.keyDown(box(), { key: 'Enter', keyCode: 13 })
  expect(box().value).toBe('')
  expect(await said('안녕')).toBeTruthy()
})

test('the palette completes commands and values by keyboard', async () => {
  const { user } = open({ url, sessionId: newSession(), name: 'Mina' })
  await connected()
  const active = () => document.getElementById(box().getAttribute('aria-activedescendant') ?? '')
  await user.type(box(), '/run')
  await screen.findByRole('listbox')
  expect(active()?.textContent).toContain('/run_backtest')
  await user.keyboard('{ArrowDown}')
  expect(active()?.textContent).toContain('/rerun')
  await user.keyboard('{ArrowUp}{Tab}')
  expect(box().value).toBe('/run_backtest ')
  await screen.findByRole('option', { name: /^sma_crossover/ })
  expect(active()).toBeNull() // a value may be left out
  expect(await barriers()).toEqual([])

  await user.keyboard('sma_c')
  await waitFor(() => {
    expect(screen.getAllByRole('option')).toHaveLength(1)
  })
  await user.keyboard('{ArrowDown}{Enter}')
  expect(box().value).toBe('/run_backtest sma_crossover ')
  await screen.findByRole('option', { name: /^AAPL/ })
  await user.keyboard('{Escape}')
  expect(screen.queryByRole('listbox')).toBeNull()
  expect(box().value).toBe('/run_backtest sma_crossover ')
  expect(entries()).toHaveLength(0)
})

test('a command that is typed out is sent by Enter, and its answer shown to us alone', async () => {
  const { user } = open({ url, sessionId: newSession(), name: 'Mina' })
  await connected()
  await user.type(box(), '/help')
  await screen.findByRole('listbox')
  await user.keyboard('{Enter}')
  expect(await screen.findAllByText('Only you see this')).toHaveLength(2)
})

test('Up brings back what was sent, Down goes on to the draft', async () => {
  const { user } = open({ url, sessionId: newSession(), name: 'Mina' })
  await connected()
  await user.type(box(), 'one{Enter}')
  await user.type(box(), 'two{Enter}')
  await said('two')
  await user.type(box(), 'draft')
  await user.keyboard('{ArrowUp}')
  expect(box().value).toBe('draft') // the caret is not at the beginning
  box().setSelectionRange(0, 0)
  await user.keyboard('{ArrowUp}')
  expect(box().value).toBe('two')
  await user.keyboard('{ArrowUp}{ArrowUp}')
  expect(box().value).toBe('one')
  await user.keyboard('{ArrowDown}{ArrowDown}')
  expect(box().value).toBe('draft')
})

test('each session keeps its draft over a reload', async () => {
  const [one, other] = [newSession(), newSession()]
  const first = open({ url, sessionId: one, name: 'Mina' })
  await first.user.type(box(), 'half a thou')
  first.unmount()
  const second = open({ url, sessionId: other, name: 'Mina' })
  expect(box().value).toBe('')
  second.unmount()
  open({ url, sessionId: one, name: 'Mina' })
  expect(box().value).toBe('half a thou')
})

test('what the server refuses stays, to be sent again or thrown away', async () => {
  const { user } = open({ url, sessionId: newSession(), name: 'Mina' })
  await connected()
  await user.type(box(), '/nope{Escape}{Enter}')
  const retry = await screen.findByRole('button', { name: 'Try again' })
  const alert = await screen.findByRole('alert')
  expect(alert.textContent).toContain('Unknown command "/nope".')
  expect(alert.textContent).toContain('Type /help for all commands.')
  await user.click(retry)
  await waitFor(() => {
    expect(retry.isConnected).toBe(false) // that one is gone, and was refused anew
  })
  await screen.findByRole('button', { name: 'Try again' })
  expect(entries()).toHaveLength(1)
  await user.click(screen.getByRole('button', { name: 'Discard' }))
  expect(entries()).toHaveLength(0)
})

test('what is too long is not sent', async () => {
  const { user } = open({ url, sessionId: newSession(), name: 'Mina' })
  await connected()
  fireEvent.change(box(), { target: { value: '😀'.repeat(5_000) } }) // twice as many UTF-16 units
  expect(screen.getByText('5,000 of 5,000 characters')).toBeTruthy()
  fireEvent.change(box(), { target: { value: 'x'.repeat(5_001) } })
  expect(screen.getByRole('alert').textContent).toBe('Too long: 5,001 of 5,000 characters')
  await user.type(box(), '{Enter}')
  expect(entries()).toHaveLength(0)
  expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Send' }).disabled).toBe(true)
})

test('an answer is shown as it is written, and stopped', async () => {
  const provider = await Provider.start()
  const server = new ServerProcess({
    CHATOPS_ASSISTANT_MODE: 'always',
    CHATOPS_CORS_ORIGINS: location.origin,
    ...provider.environment,
  })
  onTestFinished(() => server.end())
  await server.start()
  const { user } = open({ url: server.url, sessionId: newSession(), name: 'Mina' })
  await connected()
  await user.type(box(), 'how are things?{Enter}')
  await provider.asked(1)
  provider.say('slowly ')
  provider.say('said ')
  await screen.findByText(/slowly said/)
  expect(screen.getByText('writing…')).toBeTruthy()
  await user.click(screen.getByRole('button', { name: 'Stop the answer' }))
  await said('Stopped by Mina')
  expect(screen.queryByRole('button', { name: 'Stop the answer' })).toBeNull()
})

test('sessions can be made, are marked where something is new, opened and removed', async () => {
  const sessionId = newSession()
  const made: string[] = []
  const { user } = open({ url, sessionId, name: 'Mina', onSessionCreated: (id) => made.push(id) })
  await connected()
  const list = screen.getByRole('navigation', { name: 'Sessions' })
  await user.click(within(list).getByRole('button', { name: 'New session' }))
  await user.type(within(list).getByLabelText('Title (optional)'), 'Desk{Enter}')
  await screen.findByRole('heading', { level: 1, name: 'Desk' })
  expect(made).toHaveLength(1)

  const jun = member(url, sessionId, { name: 'Jun', history: null })
  await jun.sendMessage('anybody here?')
  fireEvent(document, new Event('visibilitychange', { bubbles: true })) // the person looks at the page again
  expect(await within(list).findByRole('img', { name: '1 unread' })).toBeTruthy()
  await user.click(within(list).getByText(sessionId))
  await said('anybody here?')
  expect(within(list).queryByRole('img')).toBeNull()
  await user.click(await within(list).findByRole('button', { name: 'Remove Desk from this list' }))
  await waitFor(() => {
    expect(within(list).queryByText('Desk')).toBeNull()
  })
})

test('without a session one is made', async () => {
  const made: string[] = []
  open({ url, name: 'Mina', onSessionCreated: (id) => made.push(id) })
  await connected()
  expect(made).toHaveLength(1)
})

test('the welcome has examples, and nothing keeps people out, in both languages', async () => {
  const { user } = open({ url, sessionId: newSession(), name: 'Mina' })
  await user.click(await screen.findByRole('button', { name: /Run a backtest/ }))
  expect(box().value).toBe('/run_backtest sma_crossover AAPL')
  expect(document.activeElement).toBe(box())
  expect(await barriers()).toEqual([])
  await user.type(box(), '{Enter}')
  await screen.findByText(/total return/)
  expect(await barriers()).toEqual([])

  await user.click(screen.getByRole('button', { name: 'Settings' }))
  expect(await barriers()).toEqual([])
  await user.click(screen.getByRole('button', { name: '한국어' }))
  expect(screen.getByText('연결됨')).toBeTruthy()
  expect(screen.getByText('내 이름', { selector: 'label' })).toBeTruthy()
})
