// @vitest-environment jsdom
import { cleanup, render } from '@testing-library/react'
import { afterEach, describe, expect, test } from 'vitest'
import { Markdown } from '../src/components/Markdown'
import { rowsOf } from '../src/components/rows'
import { linesOf } from '../src/room/lines'
import { emptyRoom, type Entry } from '../src/room/state'
import type { BacktestProgress } from '../src/wire'

const jun = { id: 'client:jun', name: 'Jun' }
const mina = { id: 'client:mina', name: 'Mina' }

function said(seq: number, author: typeof jun, at: string, more: Partial<Entry> = {}): Entry {
  const words = { id: `m${seq}`, sessionId: 's', role: 'user' as const, content: `${seq}` }
  return { type: 'message', ...words, seq, author, timestamp: new Date(at).toISOString(), ...more } as Entry
}

function rows(entries: Entry[], jobs: BacktestProgress[] = []) {
  return rowsOf(linesOf({ ...emptyRoom(mina), entries }, 's'), jobs, [])
}

const lineRows = (entries: Entry[]) => rows(entries).filter((row) => row.kind === 'line')

describe('rows', () => {
  test('stand together by author, and apart by time and day', () => {
    const lines = lineRows([
      said(1, jun, '2026-11-20T23:58:00'),
      said(2, jun, '2026-11-20T23:59:00'),
      said(3, jun, '2026-11-21T00:01:00'), // the next day
      said(4, mina, '2026-11-21T00:02:00'),
      said(5, mina, '2026-11-21T00:08:00'), // six minutes later
    ])
    expect(lines.map((row) => row.continues)).toEqual([false, true, false, false, false])
    expect(lines.map((row) => row.newDay !== null)).toEqual([true, false, true, false, false])
  })

  test('an answer names its question, unless that stands right before it', () => {
    const answer = (seq: number, replyTo: string) =>
      said(seq, { id: 'assistant', name: 'assistant' }, '2026-11-21T10:00:00', {
        role: 'assistant',
        metadata: { replyTo, outcome: 'completed' },
      })
    const at = '2026-11-21T10:00:00'
    const lines = lineRows([said(1, jun, at), answer(2, 'm1'), said(3, jun, at), answer(4, 'm1')])
    expect(lines.map((row) => row.answers?.id)).toEqual([undefined, undefined, undefined, 'm1'])
  })

  test('a job stands last until its result is in the log', () => {
    const job: BacktestProgress = {
      backtestId: 'bt_1',
      progress: 40,
      status: 'running',
      sessionId: 's',
      phase: 'running',
      requestedBy: jun,
      version: 2,
    }
    const ended: BacktestProgress = { ...job, phase: 'done', outcome: 'completed', version: 3 }
    const result: Entry = {
      type: 'commandResult',
      success: true,
      message: 'done',
      data: { backtestId: 'bt_1' },
      commandId: 'c1',
      command: '/run_backtest',
      sessionId: 's',
      requestedBy: jun,
      durationMs: 5,
      seq: 2,
    }
    const first = said(1, jun, '2026-11-21T10:00:00')
    const kinds = (entries: Entry[], one: BacktestProgress) => rows(entries, [one]).map((row) => row.kind)
    expect(kinds([first], job)).toEqual(['line', 'job'])
    expect(kinds([first], ended)).toEqual(['line', 'job'])
    expect(kinds([first, result], ended)).toEqual(['line', 'line'])
  })
})

describe('Markdown', () => {
  afterEach(cleanup)

  test('is never HTML, loads nothing and links nowhere harmful', () => {
    const { container } = render(
      <Markdown
        text={[
          'a <img src=x onerror=alert(1)> <b>b</b>',
          '<script>alert(1)</script>',
          '![picture](https://example.com/x.png) [bad](javascript:alert(1)) [good](/api/v1/docs)',
        ].join('\n\n')}
      />,
    )
    expect(container.querySelectorAll('img, script, b, iframe, [onerror]')).toHaveLength(0)
    expect(container.textContent).toContain('<img src=x onerror=alert(1)> <b>b</b>')
    expect(container.textContent).toContain('<script>alert(1)</script>')
    const links = [...container.querySelectorAll('a')].map((link) => link.href)
    expect(links).toEqual(['https://example.com/x.png', 'http://localhost/api/v1/docs'])
  })

  test('shows code, lists and tables', () => {
    const { container } = render(
      <Markdown text={'- a\n- **b**\n\n```\nx = <1>\n```\n\n| a | b |\n|---|--:|\n| 1 | 2 |'} />,
    )
    expect(container.querySelectorAll('li')).toHaveLength(2)
    expect(container.querySelector('strong')?.textContent).toBe('b')
    expect(container.querySelector('pre')?.textContent).toBe('x = <1>')
    expect([...container.querySelectorAll('td')].map((cell) => cell.textContent)).toEqual(['1', '2'])
  })
})
