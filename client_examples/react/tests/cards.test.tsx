// @vitest-environment jsdom
/** Cards of what the real server says. */
import { cleanup, fireEvent, render, screen, waitFor, within } from '@testing-library/react'
import axe from 'axe-core'
import { afterAll, afterEach, beforeAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest'
import { figure, METRICS } from '../src/cards/format'
import Figures from '../src/cards/Figures'
import JobCard from '../src/cards/JobCard'
import ResultCard from '../src/cards/ResultCard'
import Steps from '../src/cards/Steps'
import { ServerContext } from '../src/components/server'
import { LocaleContext, translator } from '../src/i18n'
import type { BacktestData, CommandResult, ComparisonData } from '../src/wire'
import { member, newSession, until } from './support/members'
import { Provider } from './support/provider'
import { told, type Told } from './support/results'
import { ServerProcess } from './support/server'

const url = inject('serverUrl')
const RUN = '/run_backtest sma_crossover AAPL end=2012-12-31'

afterEach(cleanup)

/** Findings that keep somebody from using it; jsdom has no layout, so no colours. */
async function seriousFindings(): Promise<string[]> {
  const rules = { 'color-contrast': { enabled: false }, region: { enabled: false } }
  const { violations } = await axe.run(document.body, { rules })
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join()}`)
}

async function cardOf(result: CommandResult): Promise<HTMLElement> {
  render(
    <ServerContext value={url}>
      <ResultCard entry={result} />
    </ServerContext>,
  )
  return screen.findByRole('article', {}, { timeout: 10_000 })
}

/** The rows of a table, heading first. */
function rowsOf(table: HTMLElement): string[][] {
  return within(table)
    .getAllByRole('row', { hidden: true })
    .map((row) => [...row.querySelectorAll('th, td')].map((cell) => cell.textContent))
}

/** Also one that is folded. */
const tableOf = (name: string) => screen.getByRole('table', { name, hidden: true })

const nodesOf = (chart: Element | null | undefined) =>
  chart?.querySelector('path')?.getAttribute('d')?.match(/[ML]/g)?.length

describe('the result of a backtest', () => {
  let first: Told
  beforeAll(async () => {
    first = await told(url, RUN)
  })

  test('has the figures of the server, written as the server writes them', async () => {
    const data = first.result.data as BacktestData
    const card = await cardOf(first.result)
    const rows = rowsOf(tableOf('All figures'))
    const lines = first.result.message.split('\n')
    for (const [at, name] of METRICS.entries()) {
      const [label, ...written] = rows[at + 1] ?? []
      const line = lines.find((one) => one.toLowerCase().startsWith(label?.toLowerCase() ?? '?'))
      const ours = written.map((one) => one.replace('\u00a0', ' '))
      expect(line?.split(/ {2,}/).slice(1), name).toEqual(ours)
    }
    const headline = within(card).getByText('Sharpe', { selector: 'dt' }).parentElement
    expect(headline).toHaveProperty(
      'textContent',
      `Sharpe${figure('sharpe_ratio', data.metrics.sharpe_ratio, 'en')}` +
        `Buy & hold ${figure('sharpe_ratio', data.benchmark.sharpe_ratio, 'en')}`,
    )
  })

  test('draws each point of both curves, and says them in words', async () => {
    const data = first.result.data as BacktestData
    await cardOf(first.result)
    const equity = screen.getByRole('img', { name: /^Equity from Mar 1, 2000 to Dec 31, 2012/ })
    const drawdown = screen.getByRole('img', { name: /^Drawdown from/ })
    expect(nodesOf(equity)).toBe(data.points.length)
    expect(nodesOf(drawdown)).toBe(data.drawdownPoints.length)
    const last = figure('final_equity', data.points.at(-1)?.[1], 'en')
    expect(equity.getAttribute('aria-label')).toContain(`first 100,000.00, last ${last}`)
    const deepest = figure('max_drawdown', data.metrics.max_drawdown, 'en')
    expect(drawdown.getAttribute('aria-label')).toContain(`lowest ${deepest} on Jul 25, 2001`)
  })

  test('is read by keyboard, both charts at the same day', async () => {
    const { points } = first.result.data as BacktestData
    await cardOf(first.result)
    const slider = screen.getByRole('slider', { name: 'Read Equity by arrow keys' })
    fireEvent.change(slider, { target: { value: '0' } })
    expect(slider.getAttribute('aria-valuetext')).toBe('100,000.00 · Mar 1, 2000')
    const other = screen.getByRole('slider', { name: 'Read Drawdown by arrow keys' })
    expect(other.getAttribute('aria-valuetext')).toBe('0.00\u00a0% · Mar 1, 2000')
    fireEvent.blur(slider)
    expect(slider).toHaveProperty('value', String(points.length - 1))
  })

  test('shows the value under the pointer', async () => {
    await cardOf(first.result)
    const plot = screen.getByRole('img', { name: /^Equity/ }).parentElement
    if (plot === null) throw new Error('no plot')
    plot.getBoundingClientRect = () => new DOMRect(10, 0, 200, 100)
    fireEvent.pointerMove(plot, { clientX: 11 })
    expect(screen.getByText(/^[\d,.]+ · \w+ \d+, 2000$/)).toBeDefined()
    fireEvent.pointerLeave(plot)
    expect(screen.queryByText(/ · .*, 2000$/)).toBeNull()
  })

  test('gives its files and its proof', async () => {
    const data = first.result.data as BacktestData
    await cardOf(first.result)
    const links = within(screen.getByRole('navigation', { name: 'Downloads' })).getAllByRole('link')
    expect(links.map((link) => link.textContent)).toEqual([
      'Result (JSON)',
      'Equity (CSV)',
      'Trades (CSV)',
      'Chart (PNG)',
    ])
    for (const link of links) expect((await fetch(link.getAttribute('href') ?? '')).status).toBe(200)
    const writeText = vi.fn(() => Promise.resolve())
    vi.stubGlobal('navigator', { clipboard: { writeText } })
    fireEvent.click(screen.getByRole('button', { name: /^Copy: Proof / }))
    await screen.findByText('Copied')
    expect(writeText).toHaveBeenCalledWith(data.fingerprint)
    vi.unstubAllGlobals()
    fireEvent.click(screen.getByRole('button', { name: `Copy: /rerun ${data.backtestId}` }))
    await screen.findByText(`/rerun ${data.backtestId}`) // jsdom lets nobody copy
  })

  test('asked again it is said to be reused, and by whom it was run', async () => {
    const again = await told(url, RUN)
    expect(again.job.at(-1)).toMatchObject({ outcome: 'reused' })
    const card = await cardOf(again.result)
    expect(within(card).getByText('Reused result')).toBeDefined()
    expect(within(card).getByText(/^This is the result of bt_\w+, an identical run/)).toBeDefined()
  })

  test('repeated it is proven to be the same', async () => {
    const { backtestId } = first.result.data as BacktestData
    const again = await told(url, `/rerun ${backtestId}`)
    const card = await cardOf(again.result)
    expect(within(card).getByText(`Identical to ${backtestId}`)).toBeDefined()
    expect(within(card).queryByText('Reused result')).toBeNull()
  })

  test('keeps nobody out, and speaks Korean', async () => {
    await cardOf(first.result)
    expect(await seriousFindings()).toEqual([])
    cleanup()
    const korean = { locale: 'ko', setLocale: () => undefined, t: translator('ko') } as const
    render(
      <LocaleContext value={korean}>
        <ResultCard entry={first.result} />
      </LocaleContext>,
    )
    expect(await screen.findByText('총수익률', { selector: 'dt' })).toBeDefined()
    expect(screen.getByRole('img', { name: /^자산, 2000\. 3\. 1\.부터/ })).toBeDefined()
  })

  test('of several symbols tells each of them', async () => {
    const { result } = await told(url, '/run_backtest momentum AAPL MSFT IBM')
    const { bySymbol } = result.data as BacktestData
    await cardOf(result)
    const rows = rowsOf(tableOf('By symbol'))
    expect(rows.map(([symbol]) => symbol)).toEqual(['Symbol', 'AAPL', 'MSFT', 'IBM'])
    expect(rows[2]?.[1]).toBe(figure('total_return', bySymbol?.MSFT?.total_return, 'en'))
    expect(await seriousFindings()).toEqual([])
  })
})

describe('the result of a comparison', () => {
  test('marks the best of each row, not by colour alone', async () => {
    const { result } = await told(url, '/compare_strategies sma_crossover momentum buy_and_hold')
    const data = result.data as ComparisonData
    const card = await cardOf(result)
    const ranking = tableOf('Score: Mean of the ranks; lower is better')
    const [head, ...rows] = rowsOf(ranking)
    expect(head?.slice(1)).toEqual(data.ranking.map(({ rank, name }) => `${rank}. ${name}`))
    for (const [at, metric] of METRICS.entries()) {
      const marked = rows[at + 1]?.slice(1).map((cell) => cell.startsWith('★'))
      const members = data.ranking.map(({ name }) => data.strategies.find((m) => m.name === name))
      expect(marked, metric).toEqual(members.map((one) => one?.ranks[metric] === 1))
    }
    expect(within(ranking).getAllByRole('img', { name: 'best' }).length).toBeGreaterThan(8)
    for (const words of [data.summary, data.recommendation, data.reasoning, data.regimes.rule]) {
      expect(card.textContent).toContain(words)
    }
    const simulated = rowsOf(tableOf('Percentiles of the total return on 1,000 paths'))
    expect(simulated[0]?.slice(1, 6)).toEqual(['5 %', '25 %', '50 %', '75 %', '95 %'])
    expect(rowsOf(tableOf('Correlation of returns'))).toHaveLength(4)
    expect(rowsOf(tableOf('By market regime'))).toHaveLength(4)
    expect(await seriousFindings()).toEqual([])
  })
})

describe('other results', () => {
  test('are the text of the server, its tables as they are', async () => {
    const { result } = await told(url, '/symbols')
    const { container } = render(<ResultCard entry={result} />)
    expect(container.querySelector('pre')?.textContent).toContain('symbol        bars')
    cleanup()
    const help = await told(url, '/help')
    render(<ResultCard entry={help.result} />)
    expect(screen.getByText('Backtests', { selector: 'strong' })).toBeDefined()
    expect(screen.getByText(/^\/run_backtest/, { selector: 'code' })).toBeDefined()
    expect(await seriousFindings()).toEqual([])
  })
})

describe('a job', () => {
  let server: ServerProcess
  beforeAll(async () => {
    // One worker, so that the second job waits; no time, so that the first one fails.
    const limits = { CHATOPS_BACKTEST_WORKERS: '1', CHATOPS_BACKTEST_TIMEOUT_S: '0.3' }
    server = await new ServerProcess({ ...limits, CHATOPS_ASSISTANT_MODE: 'off' }).start()
  })
  afterAll(() => server.end())

  test('is one card from the asking to the end, which alone is announced', async () => {
    const { job } = await told(url, '/run_backtest macd AAPL MSFT GOOG IBM --fresh')
    const [asked, ...later] = job
    const last = later.at(-1)
    if (asked === undefined || last === undefined) throw new Error('too few news')
    const { rerender } = render(<JobCard job={asked} />)
    const card = screen.getByRole('article', { name: /^macd on AAPL/ })
    for (const state of later.slice(0, -1)) {
      rerender(<JobCard job={state} />)
      expect(screen.getByRole('progressbar')).toBeDefined()
      expect(screen.getByRole('status').textContent).toBe('')
    }
    rerender(<JobCard job={last} />)
    expect(screen.getByRole('article')).toBe(card)
    expect(screen.queryByRole('progressbar')).toBeNull()
    expect(screen.getByRole('status').textContent).toMatch(/^macd on AAPL.*: Completed$/)
    expect(await seriousFindings()).toEqual([])
    cleanup()
    render(<JobCard job={last} />) // it had ended before anybody looked
    expect(screen.getByRole('status').textContent).toBe('')
  })

  test('that waits is cancelled after a question, and says by whom; the one that fails, why', async () => {
    const chat = member(server.url, newSession())
    const ids: string[] = []
    for (const strategy of ['momentum', 'macd', 'sma_crossover']) {
      await chat.triggerBacktest(strategy, { symbols: ['AAPL', 'MSFT', 'GOOG', 'IBM'] })
      const { jobs } = await until(chat, (state) => state.jobs.length > ids.length)
      ids.push(jobs.at(-1)?.backtestId ?? '')
    }
    const jobNow = (at: number) => {
      const found = chat.getSnapshot().jobs.find((one) => one.backtestId === ids[at])
      if (found === undefined) throw new Error('no job')
      return found
    }
    const waiting = jobNow(2)
    expect(waiting).toMatchObject({ phase: 'queued', queuePosition: 2 })
    const cancel = vi.fn(() => void chat.executeCommand('cancel', { args: [waiting.backtestId] }))
    const { rerender } = render(<JobCard job={waiting} onCancel={cancel} />)
    expect(screen.getByText(/asked by Mina · waiting · number 2 in the queue/)).toBeDefined()
    expect(screen.getByRole('progressbar').getAttribute('aria-valuenow')).toBeNull()

    fireEvent.click(screen.getByRole('button', { name: /^Cancel: sma_crossover/ }))
    const keep = screen.getByRole('button', { name: 'Keep it' })
    expect(document.activeElement).toBe(keep)
    fireEvent.keyDown(keep, { key: 'Escape' })
    const button = screen.getByRole('button', { name: /^Cancel: / })
    expect(document.activeElement).toBe(button)
    expect(cancel).not.toHaveBeenCalled()
    fireEvent.click(button)
    expect(await seriousFindings()).toEqual([])
    fireEvent.click(screen.getByRole('button', { name: 'Yes, cancel' }))
    expect(screen.getByRole('button', { name: 'Being cancelled …' })).toBeDefined()
    await waitFor(() => {
      expect(jobNow(2).outcome).toBe('cancelled')
    })
    rerender(<JobCard job={jobNow(2)} onCancel={cancel} />)
    expect(screen.getByRole('article', { name: /was cancelled by Mina\.$/ })).toBeDefined()
    expect(screen.queryByRole('button')).toBeNull()
    cleanup()

    await until(chat, (state) => state.jobs.every((one) => one.outcome !== undefined))
    render(<JobCard job={jobNow(0)} />)
    expect(screen.getByText('Failed')).toBeDefined()
    const { messages } = await until(
      chat,
      (state) => state.messages.filter(({ result }) => result?.success === false).length === 3,
    )
    for (const { result } of messages) {
      if (result?.success === false) render(<ResultCard entry={result} />)
    }
    const failures = screen.getAllByRole('group', { name: 'Failed' }).map((one) => one.textContent)
    expect(failures.filter((text) => text.includes('CHATOPS_BACKTEST_TIMEOUT_S'))).toHaveLength(2)
    expect(failures.filter((text) => /was cancelled by Mina\..*\/rerun bt_/.test(text))).toHaveLength(1)
    expect(await seriousFindings()).toEqual([])
  })
})

test('an answer tells its steps, and which of its figures nothing bears out', async () => {
  const provider = await Provider.start()
  const server = await new ServerProcess(provider.environment).start()
  onTestFinished(() => server.end())
  const chat = member(server.url, newSession())
  provider.runs.push(
    ['run_backtest', { strategy: 'momentum', symbols: ['AAPL'] }],
    ['run_backtest', { strategy: 'momentum', symbols: ['TSLA'] }],
  )
  await chat.sendMessage('How good is momentum on AAPL, and on TSLA?')
  await provider.asked(1)
  provider.say('Its Sharpe ratio is {{r1.sharpe_ratio}}, its trades are 777.')
  provider.end()
  const { messages } = await until(chat, (state) => {
    return state.messages.some(({ answer }) => answer?.outcome === 'completed')
  })
  const { steps = [], figures = [] } = messages.find(({ answer }) => answer)?.answer ?? {}
  const { container } = render(
    <>
      <Steps steps={steps} />
      <Figures figures={figures} />
    </>,
  )
  expect(container.querySelector('details')?.open).toBe(false)
  expect(screen.getByText(/^Steps: 2, .* · failed$/, { selector: 'summary' })).toBeDefined()
  const items = [...container.querySelectorAll('li')]
  const marks = items.map((item) => item.querySelector('[role=img]')?.getAttribute('aria-label'))
  expect(marks).toEqual(['succeeded', 'failed'])
  for (const [at, step] of steps.entries()) {
    expect(items[at]?.querySelector('code')?.textContent).toBe(step.command)
    expect(items[at]?.textContent).toContain(step.summary)
  }
  expect(screen.getByText('⚠ Not borne out by a result: 777')).toBeDefined()
  expect(await seriousFindings()).toEqual([])
})
