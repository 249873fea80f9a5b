import Box from '@mui/material/Box'
import Link from '@mui/material/Link'
import type { Links } from '../wire'
import { useWords } from './useWords'

const FILES = ['report', 'equity', 'trades', 'metrics', 'chart'] as const

/** The files of a run. `url` is that of the server, if it is not the page's. */
export function Downloads({ links, url = '' }: { links: Links; url?: string | undefined }) {
  const { t } = useWords()
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
            <Link key={file} href={`${url.replace(/\/$/, '')}${path}`} download>
              {t(`links.${file}`)}
            </Link>
          )
        )
      })}
    </Box>
  )
}
