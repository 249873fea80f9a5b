import AvatarGroup from '@mui/material/AvatarGroup'
import Box from '@mui/material/Box'
import Button from '@mui/material/Button'
import List from '@mui/material/List'
import ListItem from '@mui/material/ListItem'
import ListItemText from '@mui/material/ListItemText'
import Typography from '@mui/material/Typography'
import { useLocale } from '../i18n'
import { clock } from '../i18n/times'
import type { Member } from '../wire'
import { PeopleIcon } from './icons'
import { Person } from './Person'
import { HIDDEN } from './theme'
import { Unfolding } from './Unfolding'

const SHOWN = 3

/** Who is here. */
export function Members(props: { members: readonly Member[]; count: number; me: string }) {
  const { t, locale } = useLocale()
  const { members, count, me } = props
  const label = t('members', { count })
  return (
    <Unfolding
      label={label}
      button={(open) => (
        <Button color="inherit" size="small" {...open} sx={{ minWidth: 0, gap: 0.5 }}>
          <Box sx={{ display: { xs: 'none', md: 'flex' } }}>
            <AvatarGroup>
              {members.slice(0, SHOWN).map(({ id, name }) => (
                <Person key={id} id={id} name={name} size={24} />
              ))}
            </AvatarGroup>
          </Box>
          <PeopleIcon sx={{ display: { md: 'none' } }} />
          <span aria-hidden>{count}</span>
          <Box component="span" sx={HIDDEN}>
            {label}
          </Box>
        </Button>
      )}
    >
      <Typography variant="subtitle2">{label}</Typography>
      {members.length < count && (
        <Typography variant="caption">{t('membersShown', { count: members.length })}</Typography>
      )}
      <List dense sx={{ maxHeight: 320, overflowY: 'auto' }} tabIndex={0}>
        {members.map(({ id, name, since }) => (
          <ListItem key={id} disableGutters sx={{ gap: 1 }}>
            <Person id={id} name={name} size={24} />
            <ListItemText
              primary={id === me ? t('you', { name }) : name}
              secondary={t('since', { time: clock(since, locale) })}
            />
          </ListItem>
        ))}
      </List>
    </Unfolding>
  )
}
