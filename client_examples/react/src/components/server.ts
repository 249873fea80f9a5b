import { createContext, useContext } from 'react'

/** Where the server is; paths in its texts are of there. */
export const ServerContext = createContext('')

export const useServer = (): string => useContext(ServerContext)

/** The address, if following it is harmless: of the web or of mail; null otherwise. */
export function safeAddress(href: string, server: string): string | null {
  try {
    const url = new URL(href, server || 'http://localhost')
    return ['http:', 'https:', 'mailto:'].includes(url.protocol) ? url.href : null
  } catch {
    return null
  }
}

/** Copy the text; whether that was allowed. Pages without TLS have no clipboard of their own. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    return copyBySelection(text)
  }
}

function copyBySelection(text: string): boolean {
  const field = document.createElement('textarea')
  field.value = text
  document.body.append(field)
  field.select()
  try {
    // Deprecated, and the only way there is on a page without TLS.
    // eslint-disable-next-line @typescript-eslint/no-deprecated
    return document.execCommand('copy')
  } catch {
    return false
  } finally {
    field.remove()
  }
}
