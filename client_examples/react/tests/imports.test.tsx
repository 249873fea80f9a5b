// @vitest-environment jsdom
/** Files that are dropped or chosen, before the real server. */
import { fireEvent, screen, waitFor } from '@testing-library/react'
import { expect, inject, test } from 'vitest'
import { newId } from '../src/room/identity'
import { barriers, connected, open } from './support/page'
import { member, newSession, until } from './support/members'

const url = inject('serverUrl')
const DAYS = Array.from({ length: 40 }, (_, day) => `2024-0${1 + (day % 9)}-${10 + (day % 17)},9,12,8,10,5`)
const PRICES = ['date,open,high,low,close,volume', ...[...new Set(DAYS)].sort()].join('\n')

const file = (name: string, content: string) => new File([content], name)
const chooser = () => document.querySelector<HTMLInputElement>('input[type=file]') ?? fail()
const fail = (): never => {
  throw new Error('there is no way to choose a file')
}

test('a file that is dropped is imported, and everybody hears of it', async () => {
  const sessionId = newSession()
  const jun = member(url, sessionId, { name: 'Jun', history: null })
  open({ url, sessionId, name: '이서연' })
  await connected()
  const symbol = `D${newId().slice(0, 8).toUpperCase()}`
  const dataTransfer = { types: ['Files'], files: [file(`${symbol}.csv`, PRICES)] }
  expect(screen.queryByText('Drop prices or strategies here')).toBeNull()
  fireEvent.dragOver(window, { dataTransfer })
  expect(await screen.findByText('Drop prices or strategies here')).toBeTruthy()
  expect(await barriers()).toEqual([])
  fireEvent.drop(window, { dataTransfer })
  expect(screen.queryByText('Drop prices or strategies here')).toBeNull()
  expect(await screen.findByRole('progressbar', { name: `Importing ${symbol}.csv…` })).toBeTruthy()
  const { messages } = await until(jun, (now) => now.messages.length === 1)
  expect(messages[0]?.content).toMatch(`이서연 imported ${symbol} 1d`)
  await waitFor(() => {
    expect(screen.getByRole('alert').textContent).toBe(messages[0]?.content)
  })
})

test('text that is dragged is none of ours', async () => {
  open({ url, sessionId: newSession(), name: 'Mina' })
  await connected()
  const told = fireEvent.dragOver(window, { dataTransfer: { types: ['text/plain'], files: [] } })
  expect(told).toBe(true) // the browser does what it does with text
  expect(screen.queryByText('Drop prices or strategies here')).toBeNull()
})

test('what is wrong with a file is said, and the next one comes after that', async () => {
  const { user } = open({ url, sessionId: newSession(), name: 'Mina' })
  await connected()
  const strategy = `s_${newId().slice(0, 8)}`
  const good = file('good.json', JSON.stringify({ name: strategy, type: 'macd' }))
  await user.upload(chooser(), [file('bad.json', '{"name": "x", "type": "magic"}'), good])
  const alert = await screen.findByRole('alert')
  await waitFor(() => {
    expect(alert.textContent).toMatch("bad.json, strategy 1: 'magic' is no rule.")
  })
  expect(alert.textContent).toMatch('sma_crossover')
  expect(await barriers()).toEqual([])
  await user.click(screen.getByRole('button', { name: 'Close' }))
  await waitFor(() => {
    expect(screen.getByRole('alert').textContent).toBe(
      `Mina imported ${strategy} (macd) from “good.json”.`,
    )
  })
})

test('prices are replaced only by who says so', async () => {
  const sessionId = newSession()
  const { user } = open({ url, sessionId, name: 'Mina' })
  await connected()
  const symbol = `R${newId().slice(0, 8).toUpperCase()}`
  await user.upload(chooser(), file(`${symbol}.csv`, PRICES))
  await screen.findByText(new RegExp(`imported ${symbol}`), { selector: '[role=alert] *' })
  await user.click(screen.getByRole('button', { name: 'Close' }))
  await user.upload(chooser(), file(`${symbol}.csv`, PRICES.replace('9,12,8,10', '9,12,8,11')))
  await user.click(await screen.findByRole('button', { name: 'Replace' }))
  await waitFor(() => {
    expect(screen.getByRole('alert').textContent).toMatch('in the place of others')
  })
})
