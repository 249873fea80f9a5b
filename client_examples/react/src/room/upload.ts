import type { Identity } from './identity'
import { UNREACHABLE, UNREADABLE, type Declined } from './problem'

/** A file was imported; `message` is what the room was told, or that all of it was there. */
export interface FileImported {
  ok: true
  message: string
}

/** Where a file goes, and from whom. */
export interface Upload {
  /** The server. */
  url: string
  identity: Identity
  sessionId: string
  file: File
  /** Whether its prices may stand in the place of others. */
  replace: boolean
}

/** Have the server import a file of prices or strategies; never rejects. */
export async function upload(what: Upload): Promise<FileImported | Declined> {
  const { url, identity, sessionId, file, replace } = what
  const body = await file.arrayBuffer().catch(() => null)
  if (body === null) return { ok: false, error: UNREADABLE } // a folder, or it has gone
  const query = new URLSearchParams({ name: file.name, user_id: identity.name })
  if (replace) query.set('replace', 'true')
  const path = `/api/v1/chatops-advanced/session/${sessionId}/files?${query.toString()}`
  try {
    const response = await fetch(url.replace(/\/$/, '') + path, {
      method: 'POST',
      headers: { 'X-Chatops-Client': identity.clientId },
      body,
    })
    const told: unknown = await response.json()
    if (response.ok) return { ok: true, message: (told as FileImported).message }
    return { ok: false, error: (told as { error: Declined['error'] }).error }
  } catch {
    return { ok: false, error: UNREACHABLE } // no connection, or something between us and it
  }
}
