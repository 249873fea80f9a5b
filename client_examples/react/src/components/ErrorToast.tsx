import Alert from '@mui/material/Alert'
import Snackbar from '@mui/material/Snackbar'
import { useLocale, type TextKey } from '../i18n'
import type { Problem } from '../room/problem'

/** Problems of this program, which have words in each language; others come with the server's. */
const OWN: Partial<Record<Problem['code'], TextKey & `problem${string}`>> = {
  left: 'problemLeft',
  unreachable: 'problemUnreachable',
  no_session: 'problemNoSession',
}

/** What went wrong last, one at a time, until it is read. */
export function ErrorToast({ error, onClose }: { error: Problem | null; onClose: () => void }) {
  const { t } = useLocale()
  if (error === null) return null
  const own = OWN[error.code]
  return (
    <Snackbar
      key={`${error.code} ${error.requestId ?? ''}`}
      open
      autoHideDuration={12_000}
      anchorOrigin={{ vertical: 'top', horizontal: 'center' }}
      onClose={(_, reason) => {
        if (reason !== 'clickaway') onClose()
      }}
    >
      <Alert severity="error" variant="filled" onClose={onClose} closeText={t('close')}>
        {own === undefined ? error.message : t(own)}
        {own === undefined && error.hint && <div>{error.hint}</div>}
      </Alert>
    </Snackbar>
  )
}
