import type { QueryClient } from '@tanstack/react-query'
import { useEffect, useMemo, useState, useSyncExternalStore } from 'react'
import { ChatOps, type ChatOpsOptions, type ChatOpsState } from '../room/chatops'

/** Under which keys a given `QueryClient` has the messages. */
export const chatOpsQueryKeys = {
  all: ['chatops'] as const,
  sessions: () => [...chatOpsQueryKeys.all, 'sessions'] as const,
  session: (id: string) => [...chatOpsQueryKeys.all, 'session', id] as const,
  messages: (sessionId: string) => [...chatOpsQueryKeys.all, 'messages', sessionId] as const,
}

/** All but `sessionId` is read once; give the component another `key` to change it. */
export interface UseChatOpsOptions extends ChatOpsOptions {
  /** The session to be in. Without it, `joinSession` and `createSession` choose. */
  sessionId?: string | undefined
  /** Has the messages too, for components that read them from TanStack Query. */
  queryClient?: QueryClient | undefined
}

type Actions = Pick<
  ChatOps,
  | 'createSession'
  | 'joinSession'
  | 'leaveSession'
  | 'sendMessage'
  | 'executeCommand'
  | 'triggerBacktest'
  | 'compareStrategies'
  | 'importFile'
  | 'stop'
  | 'complete'
  | 'setName'
  | 'dismissError'
  | 'socket'
  | 'history'
>

export type UseChatOps = ChatOpsState & Actions

/**
 * A shared room of a chatops server: one connection for the life of the component, and one session
 * at a time on it. Functions are the same at each render.
 */
export function useChatOps(options: UseChatOpsOptions = {}): UseChatOps {
  const [chat] = useState(() => new ChatOps(options))
  const state = useSyncExternalStore(chat.subscribe, chat.getSnapshot, chat.getSnapshot)
  const actions = useMemo(() => actionsOf(chat), [chat])
  const { sessionId, queryClient } = options

  useEffect(() => {
    chat.open()
    return () => {
      chat.close()
    }
  }, [chat])

  useEffect(() => {
    if (sessionId !== undefined) chat.joinSession(sessionId)
  }, [chat, sessionId])

  const { currentSessionId, messages } = state
  useEffect(() => {
    if (queryClient === undefined || currentSessionId === null) return
    queryClient.setQueryData(chatOpsQueryKeys.messages(currentSessionId), messages)
  }, [queryClient, currentSessionId, messages])

  return { ...state, ...actions }
}

function actionsOf(chat: ChatOps): Actions {
  return {
    createSession: (name) => chat.createSession(name),
    joinSession: (sessionId) => {
      chat.joinSession(sessionId)
    },
    leaveSession: () => {
      chat.leaveSession()
    },
    sendMessage: (content) => chat.sendMessage(content),
    executeCommand: (command, params) => chat.executeCommand(command, params),
    triggerBacktest: (strategyId, params) => chat.triggerBacktest(strategyId, params),
    compareStrategies: (strategyIds) => chat.compareStrategies(strategyIds),
    importFile: (file, replace) => chat.importFile(file, replace),
    stop: (messageId) => chat.stop(messageId),
    complete: (text) => chat.complete(text),
    setName: (name) => {
      chat.setName(name)
    },
    dismissError: () => {
      chat.dismissError()
    },
    socket: chat.socket,
    history: chat.history,
  }
}
