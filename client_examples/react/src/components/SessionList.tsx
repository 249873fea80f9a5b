import Badge from '@mui/material/Badge'
import Box from '@mui/material/Box'
import Button from '@mui/material/Button'
import IconButton from '@mui/material/IconButton'
import List from '@mui/material/List'
import ListItem from '@mui/material/ListItem'
import ListItemButton from '@mui/material/ListItemButton'
import ListItemText from '@mui/material/ListItemText'
import TextField from '@mui/material/TextField'
import { useState } from 'react'
import { useLocale } from '../i18n'
import { AddIcon, CloseIcon } from './icons'
import type { ListedSession } from './useSessions'

interface Props {
  sessions: readonly ListedSession[]
  current: string | null
  onCreate: (title: string) => void
  onChoose: (id: string) => void
  onRemove: (id: string) => void
}

/** The current session stands first and stays; others can be opened, or removed from the list. */
export function SessionList({ sessions, current, onCreate, onChoose, onRemove }: Props) {
  const { t } = useLocale()
  return (
    <Box component="nav" aria-label={t('sessions')} sx={{ width: 260, overflowY: 'auto', p: 1 }}>
      <NewSession onCreate={onCreate} />
      <List dense>
        {sessions.map(({ id, title, unread }) => (
          <ListItem
            key={id}
            disablePadding
            secondaryAction={
              id === current ? null : (
                <IconButton
                  edge="end"
                  size="small"
                  aria-label={t('removeSession', { title })}
                  onClick={() => {
                    onRemove(id)
                  }}
                >
                  <CloseIcon fontSize="inherit" />
                </IconButton>
              )
            }
          >
            <ListItemButton
              selected={id === current}
              {...(id === current && { 'aria-current': 'page' })}
              onClick={() => {
                onChoose(id)
              }}
              sx={{ borderRadius: 1, gap: 2 }}
            >
              <ListItemText primary={title} slotProps={{ primary: { noWrap: true } }} />
              {unread > 0 && (
                <Badge
                  color="primary"
                  badgeContent={unread}
                  max={99}
                  slotProps={{ badge: { 'aria-label': t('unread', { count: unread }), role: 'img' } }}
                  sx={{ mr: 1 }}
                />
              )}
            </ListItemButton>
          </ListItem>
        ))}
      </List>
    </Box>
  )
}

function NewSession({ onCreate }: { onCreate: (title: string) => void }) {
  const { t } = useLocale()
  const [title, setTitle] = useState<string | null>(null)
  if (title === null) {
    return (
      <Button
        fullWidth
        variant="outlined"
        startIcon={<AddIcon />}
        onClick={() => {
          setTitle('')
        }}
      >
        {t('newSession')}
      </Button>
    )
  }
  return (
    <Box
      component="form"
      onSubmit={(event) => {
        event.preventDefault()
        onCreate(title)
        setTitle(null)
      }}
      onKeyDown={(event) => {
        if (event.key === 'Escape') setTitle(null)
      }}
    >
      <TextField
        // The person has just asked for it.
        autoFocus
        fullWidth
        size="small"
        label={t('sessionTitle')}
        value={title}
        onChange={(event) => {
          setTitle(event.target.value)
        }}
        slotProps={{ htmlInput: { maxLength: 120 } }}
      />
      <Box sx={{ display: 'flex', gap: 1, mt: 1, justifyContent: 'flex-end' }}>
        <Button
          size="small"
          onClick={() => {
            setTitle(null)
          }}
        >
          {t('cancel')}
        </Button>
        <Button size="small" variant="contained" type="submit">
          {t('create')}
        </Button>
      </Box>
    </Box>
  )
}
