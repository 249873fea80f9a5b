import Box from '@mui/material/Box'
import Chip from '@mui/material/Chip'
import IconButton from '@mui/material/IconButton'
import type { UseChatOps } from '../hooks/useChatOps'
import { useLocale } from '../i18n'
import type { SessionInfo } from '../wire'
import { CopyButton } from './CopyButton'
import { DotIcon, MenuIcon } from './icons'
import { Members } from './Members'
import { Settings } from './Settings'

interface Props {
  chat: UseChatOps
  session: Pick<SessionInfo, 'title' | 'assistant'> | null
  title: string
  link: string
  /** Opens the drawer of sessions; null where they are always in sight. */
  onSessions: (() => void) | null
}

export function TopBar({ chat, session, title, link, onSessions }: Props) {
  const { t } = useLocale()
  return (
    <Box component="header" sx={BAR}>
      {onSessions && (
        <IconButton aria-label={t('openSessions')} onClick={onSessions}>
          <MenuIcon />
        </IconButton>
      )}
      <Box component="h1" sx={TITLE} title={title}>
        {title}
      </Box>
      <CopyButton text={link} label={t('copyLink', { title })} />
      <Box sx={{ flexGrow: 1 }} />
      <ConnectionChip chat={chat} />
      <Members members={chat.members} count={chat.memberCount} me={chat.me.id} />
      <Settings
        name={chat.me.name}
        onName={chat.setName}
        assistant={session?.assistant ?? null}
        onAssistant={(mode) => void chat.executeCommand('assistant', { mode })}
      />
    </Box>
  )
}

/** Green: connected, and nothing is missing. Amber: soon again. Red: not without help. */
function ConnectionChip({ chat }: { chat: UseChatOps }) {
  const { t } = useLocale()
  const { connectionState: state, upToDate } = chat
  const isBehind = state === 'connected' && !upToDate
  const down = state === 'offline' || state === 'refused'
  const color = state === 'connected' && upToDate ? 'success' : down ? 'error' : 'warning'
  return (
    <Chip
      role="status"
      size="small"
      variant="outlined"
      color={color}
      icon={<DotIcon />}
      label={t(isBehind ? 'catchingUp' : state)}
    />
  )
}

const BAR = {
  display: 'flex',
  alignItems: 'center',
  gap: 0.5,
  px: 1,
  minHeight: 48,
  borderBottom: 1,
  borderColor: 'divider',
  bgcolor: 'background.paper',
} as const
const TITLE = {
  m: 0,
  pl: 1,
  minWidth: 32,
  fontSize: '1rem',
  fontWeight: 600,
  overflow: 'hidden',
  textOverflow: 'ellipsis',
  whiteSpace: 'nowrap',
} as const
