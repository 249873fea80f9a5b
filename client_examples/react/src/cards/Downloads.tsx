import Box from '@mui/material/Box'
import Link from '@mui/material/Link'
import { useServer } from '../components/server'
import type { Links } from '../wire'
import { useLocale } from '../i18n'

const FILES = ['report', 'equity', 'trades', 'metrics', 'chart'] as const

/** The files of a run. */
export function Downloads({ links }: { links: Links }) {
  const server = useServer()
  const { t } = useLocale()
  return (
    <Box
      component="nav"
      aria-label={t('links.title')}
      sx={{ display: 'flex', flexWrap: 'wrap', columnGap: 2, typography: 'body2' }}
    >
      {FILES.map((file) => {
        const path = links[file]
        return (
          path !== undefined && (
            <Link key={file} href={`${server.replace(/\/$/, '')}${path}`} download>
              {t(`links.${file}`)}
            </Link>
          )
        )
      })}
    </Box>
  )
}
