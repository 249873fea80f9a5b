/** The language of the page: `const { t } = useLocale()`, then `t('members', { count: 3 })`. */
import { createContext, useContext } from 'react'
import { TEXTS, type Text } from './texts'

export const LOCALES = { en: 'English', ko: '한국어' } as const
export type Locale = keyof typeof LOCALES

export type TextKey = keyof typeof TEXTS

type Places<T> = T extends `${string}{${infer Name}}${infer Rest}` ? Name | Places<Rest> : never
type Words<T> = T extends { one: infer One; other: infer Other } ? One | Other : T
type PlacesOf<K extends TextKey> = Places<Words<(typeof TEXTS)[K]['en']>>
type Values<K extends TextKey> = [PlacesOf<K>] extends [never]
  ? []
  : [Record<PlacesOf<K>, string | number>]

export type Translate = <K extends TextKey>(key: K, ...values: Values<K>) => string

export interface LocaleState {
  locale: Locale
  setLocale: (locale: Locale) => void
  t: Translate
}

export const isLocale = (word: string | null | undefined): word is Locale =>
  word === 'en' || word === 'ko'

/** The first language of the browser that we speak, else English. */
export function browserLocale(): Locale {
  const wanted = typeof navigator === 'undefined' ? [] : navigator.languages
  return wanted.map((tag) => tag.slice(0, 2)).find(isLocale) ?? 'en'
}

export function translator(locale: Locale): Translate {
  const rules = new Intl.PluralRules(locale)
  const numbers = new Intl.NumberFormat(locale)
  return (key, ...[values]) => {
    const text: Text = TEXTS[key][locale]
    const given = (values ?? {}) as Record<string, string | number>
    const form = rules.select(Number(given.count)) === 'one' ? 'one' : 'other'
    return (typeof text === 'string' ? text : text[form]).replace(/\{(\w+)\}/g, (_, name: string) => {
      const value = given[name] ?? ''
      return typeof value === 'number' ? numbers.format(value) : value
    })
  }
}

const english: LocaleState = { locale: 'en', setLocale: () => undefined, t: translator('en') }

/** English, until `ChatInterface` says otherwise. */
export const LocaleContext = createContext<LocaleState>(english)

export const useLocale = (): LocaleState => useContext(LocaleContext)
