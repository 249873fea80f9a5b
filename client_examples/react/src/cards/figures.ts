/** Figures, times and dates as people write them in their language. */
import type { Metrics } from '../wire'

export type Metric = keyof Metrics

/** All figures of a run, in the order in which the server tells them. */
export const METRICS = [
  'total_return',
  'annual_return',
  'sharpe_ratio',
  'sortino_ratio',
  'calmar_ratio',
  'max_drawdown',
  'volatility',
  'var_95',
  'cvar_95',
  'win_rate',
  'profit_factor',
  'trades',
  'exposure',
  'final_equity',
] as const satisfies readonly Metric[]

/** What matters first. */
export const HEADLINE = ['total_return', 'sharpe_ratio', 'max_drawdown', 'trades'] as const

/** Fractions on the wire, percent on the screen. */
const FRACTIONS: ReadonlySet<Metric> = new Set<Metric>([
  'total_return',
  'annual_return',
  'volatility',
  'max_drawdown',
  'var_95',
  'cvar_95',
  'win_rate',
  'exposure',
])

type Value = number | null | undefined

/** A figure of a run, as the server writes it too; an undefined one is a dash. */
export function figure(name: Metric, value: Value, locale: string): string {
  if (FRACTIONS.has(name)) return percent(value, locale)
  return decimal(value, locale, name === 'trades' ? 0 : 2)
}

export function percent(value: Value, locale: string, digits = 2): string {
  // A space that does not break: the sign stays with its number.
  return isFigure(value) ? `${decimal(value * 100, locale, digits)}\u00a0%` : '–'
}

export function decimal(value: Value, locale: string, digits = 2): string {
  return isFigure(value) ? fixed(locale, digits).format(value) : '–'
}

/** Short, for an axis: 200K, 20만. */
export function compact(value: number, locale: string): string {
  return formatter(`compact ${locale}`, () => {
    return new Intl.NumberFormat(locale, { notation: 'compact', maximumFractionDigits: 2 })
  }).format(value)
}

/** How long something took: 12 ms, 1.4 sec, 2 min. */
export function duration(ms: number, locale: string): string {
  if (ms < 1000) return quantity(Math.round(ms), 'millisecond', 'short', locale)
  return roughly(ms / 1000, ms < 10_000 ? 1 : 0, 'short', locale)
}

/** How long something will take, in words: 40 seconds, 2 minutes. */
export function span(seconds: number, locale: string): string {
  return roughly(seconds, 0, 'long', locale)
}

/** A date or an instant; of bars of a day or longer, only the day. */
export function moment(at: string | number, locale: string, isDaily: boolean): string {
  return formatter(`moment ${locale} ${isDaily}`, () => {
    const options: Intl.DateTimeFormatOptions = isDaily ? {} : { timeStyle: 'short' }
    return new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeZone: 'UTC', ...options })
  }).format(typeof at === 'string' ? new Date(at) : new Date(at * 1000))
}

export const isDaily = (timeframe: string): boolean => /[dw]$/.test(timeframe)

function isFigure(value: Value): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

function roughly(
  seconds: number,
  digits: number,
  display: 'short' | 'long',
  locale: string,
): string {
  if (seconds < 90) return quantity(round(seconds, digits), 'second', display, locale)
  if (seconds < 5400) return quantity(Math.round(seconds / 60), 'minute', display, locale)
  return quantity(round(seconds / 3600, 1), 'hour', display, locale)
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}

function quantity(value: number, unit: string, display: 'short' | 'long', locale: string): string {
  return formatter(`${unit} ${display} ${locale}`, () => {
    return new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: display })
  }).format(value)
}

function fixed(locale: string, digits: number): Intl.NumberFormat {
  return formatter(`fixed ${locale} ${digits}`, () => {
    return new Intl.NumberFormat(locale, {
      minimumFractionDigits: digits,
      maximumFractionDigits: digits,
      // As the server rounds, so that its text and its card never differ in the last digit.
      roundingMode: 'halfEven',
    })
  })
}

/** A formatter takes long to make, and a table has hundreds of cells. */
const made = new Map<string, { format: (value: never) => string }>()

function formatter<T extends { format: (value: never) => string }>(key: string, make: () => T): T {
  const known = made.get(key) as T | undefined
  const found = known ?? make()
  if (known === undefined) made.set(key, found)
  return found
}
