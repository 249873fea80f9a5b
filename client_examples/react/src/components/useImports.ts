import { useCallback, useRef, useState } from 'react'
import type { UseChatOps } from '../hooks/useChatOps'
import { newId } from '../room/identity'
import type { Problem } from '../room/problem'

/** A file on its way, and what became of it. */
export interface ImportOfFile {
  id: string
  file: File
  /** What it brought; null while it is on its way, or if it was refused. */
  message: string | null
  problem: Problem | null
}

/** Files that are imported, the oldest first; each stays until somebody has read its outcome. */
export function useImports({ importFile }: Pick<UseChatOps, 'importFile'>) {
  const [files, setFiles] = useState<readonly ImportOfFile[]>([])
  const send = useCallback(
    async (one: ImportOfFile, replace: boolean) => {
      const told = await importFile(one.file, replace)
      const outcome = told.ok
        ? { message: told.message, problem: null }
        : { message: null, problem: told.error }
      setFiles((all) => all.map((other) => (other.id === one.id ? { ...one, ...outcome } : other)))
    },
    [importFile],
  )
  const last = useRef(Promise.resolve())
  const add = useCallback(
    (chosen: readonly File[]) => {
      const more = chosen.map((file) => ({ id: newId(), file, message: null, problem: null }))
      setFiles((all) => [...all, ...more])
      // One after the other, as the server imports them: it holds only a few.
      for (const one of more) last.current = last.current.then(() => send(one, false))
    },
    [send],
  )
  const close = useCallback((one: ImportOfFile) => {
    setFiles((all) => all.filter(({ id }) => id !== one.id))
  }, [])
  const replace = useCallback(
    (one: ImportOfFile) => {
      const again = { ...one, problem: null }
      setFiles((all) => all.map((other) => (other.id === one.id ? again : other)))
      void send(again, true)
    },
    [send],
  )
  return { files, add, replace, close }
}
