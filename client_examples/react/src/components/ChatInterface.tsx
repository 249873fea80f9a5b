/** The room of a chatops server as people see it. */
import Box from '@mui/material/Box'
import Drawer from '@mui/material/Drawer'
import ScopedCssBaseline from '@mui/material/ScopedCssBaseline'
import { ThemeProvider, useTheme } from '@mui/material/styles'
import useMediaQuery from '@mui/material/useMediaQuery'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { useCallback, useEffect, useEffectEvent, useMemo, useRef, useState } from 'react'
import { useChatOps, type UseChatOps } from '../hooks/useChatOps'
import { browserLocale, isLocale, LocaleContext, translator, useLocale, type Locale } from '../i18n'
import { newId, read, storageOf, write } from '../room/identity'
import { DropTarget } from './DropTarget'
import { ErrorToast } from './ErrorToast'
import { ImportToast } from './ImportToast'
import { Room } from './Room'
import type { FailedSend } from './rows'
import { ServerContext } from './server'
import { SessionList } from './SessionList'
import { sessionNow } from './sessionNow'
import { theme } from './theme'
import { TopBar } from './TopBar'
import { useImports } from './useImports'
import { useSessions } from './useSessions'

export interface ChatInterfaceProps {
  /** The session to be in; without it, a new one is made. */
  sessionId?: string | undefined
  /** A session was made here. */
  onSessionCreated?: ((sessionId: string) => void) | undefined
  /** The person opened another session, new or known. */
  onSessionChange?: ((sessionId: string) => void) | undefined
  /** The server; without it, where the page came from. */
  url?: string | undefined
  /** What others see; without it, the name used last in this browser, or a guest's. */
  name?: string | undefined
  /** The language at first; the person may choose another. */
  locale?: Locale | undefined
  /** Light or dark at first; the person may choose another. */
  mode?: 'light' | 'dark' | 'system' | undefined
}

export function ChatInterface(props: ChatInterfaceProps) {
  const [queries] = useState(() => new QueryClient({ defaultOptions: { queries: { retry: false } } }))
  const language = useLanguage(props.locale)
  return (
    <ThemeProvider
      theme={theme}
      defaultMode={props.mode ?? 'system'}
      modeStorageKey="chatops.mode"
      colorSchemeStorageKey="chatops.scheme"
    >
      <QueryClientProvider client={queries}>
        <LocaleContext value={language}>
          <ServerContext value={props.url ?? window.location.origin}>
            <Shell {...props} />
          </ServerContext>
        </LocaleContext>
      </QueryClientProvider>
    </ThemeProvider>
  )
}

const LOCALE = 'chatops.locale'

function useLanguage(first: Locale | undefined) {
  const [locale, setLocale] = useState<Locale>(() => {
    const chosen = read(storageOf('localStorage'), LOCALE)
    return isLocale(chosen) ? chosen : (first ?? browserLocale())
  })
  return useMemo(
    () => ({
      locale,
      t: translator(locale),
      setLocale: (next: Locale) => {
        write(storageOf('localStorage'), LOCALE, next)
        setLocale(next)
      },
    }),
    [locale],
  )
}

function Shell({ sessionId, onSessionCreated, onSessionChange, url, name }: ChatInterfaceProps) {
  const { locale } = useLocale()
  const chat = useChatOps({ sessionId, url, name })
  const { currentSessionId: current, createSession, joinSession } = chat
  const { failed, send, discard } = useSends(chat)
  const { files, add, replace, close } = useImports(chat)
  const now = sessionNow(chat.session, chat.messages)
  const title = now?.title ?? current ?? ''
  const { sessions, remove } = useSessions(chat, title)
  const isNarrow = useMediaQuery(useTheme().breakpoints.down('md'))
  const [isDrawerOpen, setDrawerOpen] = useState(false)

  const create = (called?: string) => {
    const id = createSession(called)
    setDrawerOpen(false)
    onSessionCreated?.(id)
    onSessionChange?.(id)
  }
  const choose = (id: string) => {
    joinSession(id)
    setDrawerOpen(false)
    if (id !== current) onSessionChange?.(id)
  }

  const isFirst = useRef(true)
  const createFirst = useEffectEvent(() => {
    if (isFirst.current && sessionId === undefined) create()
    isFirst.current = false // an effect that React runs twice makes one session
  })
  useEffect(() => {
    createFirst()
  }, [])

  const list = (
    <SessionList
      sessions={sessions}
      current={current}
      onCreate={create}
      onChoose={choose}
      onRemove={(id) => void remove(id)}
    />
  )
  return (
    <ScopedCssBaseline enableColorScheme lang={locale} sx={PAGE}>
      <TopBar
        chat={chat}
        session={now}
        title={title}
        link={linkTo(current)}
        onSessions={
          isNarrow
            ? () => {
                setDrawerOpen(true)
              }
            : null
        }
      />
      <Box sx={{ flexGrow: 1, minHeight: 0, display: 'flex' }}>
        {isNarrow ? (
          <Drawer
            open={isDrawerOpen}
            onClose={() => {
              setDrawerOpen(false)
            }}
          >
            {list}
          </Drawer>
        ) : (
          <Box sx={{ borderRight: 1, borderColor: 'divider', display: 'flex' }}>{list}</Box>
        )}
        <Box component="main" sx={MAIN}>
          {current !== null && (
            <Room
              key={current}
              chat={chat}
              sessionId={current}
              assistant={now?.assistant ?? 'off'}
              failed={failed}
              onSend={send}
              onDiscard={discard}
              onFiles={add}
            />
          )}
        </Box>
      </Box>
      <DropTarget onFiles={add} />
      <ImportToast file={files[0]} onReplace={replace} onClose={close} />
      <ErrorToast error={chat.error} onClose={chat.dismissError} />
    </ScopedCssBaseline>
  )
}

/** Send, and keep what the server did not take until it is sent again or thrown away. */
function useSends({ currentSessionId, sendMessage }: UseChatOps) {
  const [all, setAll] = useState<readonly FailedSend[]>([])
  const send = useCallback(
    async (content: string) => {
      const ack = await sendMessage(content)
      if (ack.ok || currentSessionId === null) return
      const one = { id: newId(), sessionId: currentSessionId, content, problem: ack.error }
      setAll((before) => [...before, one])
    },
    [sendMessage, currentSessionId],
  )
  const discard = useCallback((one: FailedSend) => {
    setAll((before) => before.filter((other) => other !== one))
  }, [])
  const failed = useMemo(
    () => all.filter((one) => one.sessionId === currentSessionId),
    [all, currentSessionId],
  )
  return { failed, send, discard }
}

function linkTo(sessionId: string | null): string {
  const { origin, pathname } = window.location
  return `${origin}${pathname}?session=${sessionId ?? ''}`
}

const PAGE = { height: '100%', minHeight: 320, display: 'flex', flexDirection: 'column' } as const
const MAIN = { flexGrow: 1, minWidth: 0, display: 'flex', flexDirection: 'column' } as const
