/** One session: what was said, and the box to say more. Mounted anew for each session. */
import { useCallback, useMemo, useRef } from 'react'
import type { UseChatOps } from '../hooks/useChatOps'
import type { BacktestProgress, SessionInfo } from '../wire'
import { Announcer } from './Announcer'
import { Composer } from './Composer'
import { rowsOf, type FailedSend } from './rows'
import { Transcript } from './Transcript'
import { useDraft } from './useDraft'
import { Welcome } from './Welcome'

interface Props {
  chat: UseChatOps
  sessionId: string
  assistant: SessionInfo['assistant']
  failed: readonly FailedSend[]
  onSend: (text: string) => Promise<void>
  onDiscard: (failed: FailedSend) => void
  onFiles: (files: readonly File[]) => void
}

export function Room({ chat, sessionId, assistant, failed, onSend, onDiscard, onFiles }: Props) {
  const { messages, jobs, upToDate, isConnected, typing, executeCommand } = chat
  const [draft, setDraft] = useDraft(sessionId)
  const field = useRef<HTMLTextAreaElement>(null)
  const rows = useMemo(() => rowsOf(messages, jobs, failed), [messages, jobs, failed])
  const sent = useMemo(
    () => messages.filter((line) => line.own && line.kind === 'message').map((line) => line.content),
    [messages],
  )
  const retry = useCallback(
    (one: FailedSend) => {
      onDiscard(one)
      void onSend(one.content)
    },
    [onDiscard, onSend],
  )
  const cancel = useCallback(
    (job: BacktestProgress) => void executeCommand('cancel', { id: job.backtestId }),
    [executeCommand],
  )
  const choose = (text: string) => {
    setDraft(text)
    field.current?.focus()
  }
  const stop = () => void chat.stop()
  return (
    <>
      {rows.length === 0 && upToDate ? (
        <Welcome asksAssistant={assistant !== 'off'} onChoose={choose} />
      ) : (
        <Transcript
          sessionId={sessionId}
          rows={rows}
          connected={isConnected}
          onRetry={retry}
          onDiscard={onDiscard}
          onCancel={cancel}
        />
      )}
      <Announcer messages={messages} live={upToDate} />
      <Composer
        text={draft}
        onText={setDraft}
        onSend={(text) => void onSend(text)}
        complete={chat.complete}
        sent={sent}
        onStop={typing.length > 0 ? stop : null}
        onFiles={onFiles}
        field={field}
      />
    </>
  )
}
