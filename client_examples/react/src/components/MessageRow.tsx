import Box from '@mui/material/Box'
import Button from '@mui/material/Button'
import Divider from '@mui/material/Divider'
import Link from '@mui/material/Link'
import Typography from '@mui/material/Typography'
import { memo } from 'react'
import { useLocale, type Translate } from '../i18n'
import { clock, dayName, fullTime } from '../i18n/times'
import type { ChatMessage } from '../room/lines'
import { Entry } from './Entry'
import { Person } from './Person'
import type { FailedSend, LineRow } from './rows'

interface Props extends Pick<LineRow, 'line' | 'continues' | 'newDay' | 'answers'> {
  connected: boolean
  onShow: (line: ChatMessage) => void
}

/** One line, on the side of who said it. */
export const MessageRow = memo(function MessageRow(props: Props) {
  const { line, newDay } = props
  const { t, locale } = useLocale()
  return (
    <>
      {newDay !== null && (
        <Divider component="div" role="presentation" sx={{ py: 1 }}>
          <Typography variant="caption" color="textSecondary">
            {dayName(newDay, locale)}
          </Typography>
        </Divider>
      )}
      {line.afterGap && <Note>{t('gap')}</Note>}
      {line.kind === 'message' && line.role === 'system' ? (
        <Note>
          {line.content} <Time line={line} />
        </Note>
      ) : (
        <Said {...props} />
      )}
    </>
  )
})

function bubbleOf(line: ChatMessage) {
  if (line.kind !== 'message') return {}
  return line.own ? OWN_BUBBLE : BUBBLE
}

function Said({ line, continues, answers, connected, onShow }: Props) {
  const isOwn = line.own && line.kind === 'message'
  const width = line.kind === 'result' ? { flexGrow: 1 } : { maxWidth: '85%' }
  return (
    <Box sx={{ display: 'flex', gap: 1, pt: continues ? 0.25 : 1.25, ...(isOwn && RIGHT) }}>
      {!isOwn && <Face line={line} hidden={continues} />}
      <Box sx={{ minWidth: 0, ...width }}>
        {!continues && <Heading line={line} isOwn={isOwn} />}
        {answers && <ReplyTo line={answers} onShow={onShow} />}
        {line.content !== '' && (
          <Box sx={bubbleOf(line)}>
            <Entry line={line} />
          </Box>
        )}
        <Status line={line} connected={connected} />
      </Box>
    </Box>
  )
}

function Face({ line, hidden }: { line: ChatMessage; hidden: boolean }) {
  const { t } = useLocale()
  return (
    <Box sx={{ width: 24, flexShrink: 0 }}>
      {!hidden && <Person id={line.author?.id ?? ''} name={nameOf(line, t)} size={24} />}
    </Box>
  )
}

function Heading({ line, isOwn }: { line: ChatMessage; isOwn: boolean }) {
  const { t } = useLocale()
  return (
    <Box sx={{ display: 'flex', gap: 1, alignItems: 'baseline', ...(isOwn && RIGHT) }}>
      {!isOwn && <Typography variant="subtitle2">{nameOf(line, t)}</Typography>}
      <Time line={line} />
    </Box>
  )
}

function ReplyTo({ line, onShow }: { line: ChatMessage; onShow: Props['onShow'] }) {
  const { t } = useLocale()
  return (
    <Link
      component="button"
      variant="caption"
      sx={{ textAlign: 'left' }}
      onClick={() => {
        onShow(line)
      }}
    >
      {t('inReplyTo', { name: nameOf(line, t), text: shorten(line.content, 60) })}
    </Link>
  )
}

function Time({ line: { timestamp } }: { line: ChatMessage }) {
  const { locale } = useLocale()
  if (timestamp === null) return null
  return (
    <Typography
      component="time"
      variant="caption"
      color="textSecondary"
      dateTime={timestamp}
      title={fullTime(timestamp, locale)}
    >
      {clock(timestamp, locale)}
    </Typography>
  )
}

/** What is to be known of a line beside its words. */
function Status({ line, connected }: { line: ChatMessage; connected: boolean }) {
  const { t } = useLocale()
  const words = statusOf(line, connected, t)
  if (words === '') return null
  const failed = line.answer?.outcome === 'failed'
  return (
    <Typography
      component="div"
      variant="caption"
      color={failed ? 'error' : 'textSecondary'}
      sx={line.own ? { textAlign: 'right' } : {}}
    >
      {words}
    </Typography>
  )
}

function statusOf(line: ChatMessage, connected: boolean, t: Translate): string {
  switch (line.status) {
    case 'pending':
      return t(connected ? 'pending' : 'waiting')
    case 'private':
      return t('onlyYou')
    case 'writing':
      return line.doing === null ? t('writing') : t('running', { command: line.doing })
    case 'stored':
      return line.answer === null ? '' : endOf(line.answer, t)
  }
}

function endOf(answer: NonNullable<ChatMessage['answer']>, t: Translate): string {
  const { outcome, stoppedBy, error, cached, model } = answer
  switch (outcome) {
    case 'stopped':
      return stoppedBy === undefined ? t('stopped') : t('stoppedBy', { name: stoppedBy.name })
    case 'interrupted':
      return t('interrupted')
    case 'failed':
      return [error?.message ?? t('failed'), error?.hint].filter(Boolean).join(' ')
    case 'completed':
      return [model, cached ? t('cached') : undefined].filter(Boolean).join(', ')
  }
}

/** Something of ours that was not taken: it stays, to be sent again or thrown away. */
export function FailedRow(props: {
  failed: FailedSend
  onRetry: (failed: FailedSend) => void
  onDiscard: (failed: FailedSend) => void
}) {
  const { t } = useLocale()
  const { failed, onRetry, onDiscard } = props
  return (
    <Box sx={{ ...RIGHT, display: 'flex', pt: 1.25 }}>
      <Box sx={{ maxWidth: '85%', minWidth: 0 }}>
        <Box sx={{ ...OWN_BUBBLE, border: 1, borderColor: 'error.main' }}>
          <Box sx={{ whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' }}>{failed.content}</Box>
        </Box>
        <Typography variant="caption" color="error" component="div" align="right">
          {t('notSent')}. {failed.problem.message} {failed.problem.hint}
        </Typography>
        <Box sx={{ ...RIGHT, display: 'flex', gap: 1 }}>
          <Button
            size="small"
            onClick={() => {
              onDiscard(failed)
            }}
          >
            {t('discard')}
          </Button>
          <Button
            size="small"
            variant="outlined"
            onClick={() => {
              onRetry(failed)
            }}
          >
            {t('retry')}
          </Button>
        </Box>
      </Box>
    </Box>
  )
}

export function Note({ children }: { children: React.ReactNode }) {
  return (
    <Typography variant="caption" color="textSecondary" align="center" component="p" sx={{ py: 0.75 }}>
      {children}
    </Typography>
  )
}

export function nameOf({ role, author }: ChatMessage, t: Translate): string {
  return role === 'assistant' ? t('assistant') : (author?.name ?? t('somebody'))
}

export function shorten(text: string, length: number): string {
  const flat = text.replace(/\s+/g, ' ').trim()
  return flat.length <= length ? flat : `${flat.slice(0, length - 1)}…`
}

const RIGHT = { justifyContent: 'flex-end' } as const
const BUBBLE = {
  width: 'fit-content',
  maxWidth: '100%',
  px: 1.25,
  py: 0.75,
  borderRadius: 2,
  bgcolor: 'background.paper',
} as const
const OWN_BUBBLE = {
  ...BUBBLE,
  ml: 'auto',
  bgcolor: 'color-mix(in srgb, var(--chatops-palette-primary-main) 16%, var(--chatops-palette-background-paper))',
} as const
