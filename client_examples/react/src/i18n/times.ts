import type { Locale } from '.'
import { translator } from '.'

const DAY_MS = 86_400_000

/** `14:05`, in the reader's time. */
export function clock(timestamp: string, locale: Locale): string {
  return format(timestamp, locale, { hour: '2-digit', minute: '2-digit' })
}

/** Date and time with seconds and zone. */
export function fullTime(timestamp: string, locale: Locale): string {
  return format(timestamp, locale, { dateStyle: 'full', timeStyle: 'long' })
}

/** Today, yesterday, or the date. */
export function dayName(timestamp: string, locale: Locale, now = new Date()): string {
  const day = new Date(timestamp).toDateString()
  const t = translator(locale)
  if (day === now.toDateString()) return t('today')
  if (day === new Date(now.getTime() - DAY_MS).toDateString()) return t('yesterday')
  return format(timestamp, locale, { dateStyle: 'full' })
}

const formats = new Map<string, Intl.DateTimeFormat>() // making one takes longer than using it

function format(timestamp: string, locale: Locale, options: Intl.DateTimeFormatOptions): string {
  const key = `${locale} ${JSON.stringify(options)}`
  const known = formats.get(key) ?? new Intl.DateTimeFormat(locale, options)
  formats.set(key, known)
  return known.format(new Date(timestamp))
}
