import { createContext, useContext, useMemo } from 'react'
import { CARD_TEXTS, type CardText } from './words'

export type Language = 'en' | 'ko'
export type Translate = (key: CardText, values?: Record<string, string | number>) => string

/** The language of the cards. */
export const CardLanguage = createContext<Language>('en')

export function useWords(): { t: Translate; locale: Language } {
  const locale = useContext(CardLanguage)
  return useMemo(() => ({ t: translator(locale), locale }), [locale])
}

function translator(locale: Language): Translate {
  const numbers = new Intl.NumberFormat(locale)
  return (key, values = {}) =>
    CARD_TEXTS[key][locale].replace(/\{(\w+)\}/g, (_, name: string) => {
      const value = values[name] ?? ''
      return typeof value === 'number' ? numbers.format(value) : value
    })
}
