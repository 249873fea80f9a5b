import Alert from '@mui/material/Alert'
import Snackbar from '@mui/material/Snackbar'
import { useLocale, type TextKey, type Translate } from '../i18n'
import type { Problem } from '../room/problem'

/** Problems of this program, which have words in each language; others come with the server's. */
const OWN: Partial<Record<Problem['code'], TextKey & `problem${string}`>> = {
  left: 'problemLeft',
  unreachable: 'problemUnreachable',
  no_session: 'problemNoSession',
  unreadable: 'problemUnreadable',
}

/** What went wrong and what to do, in the words of this program or of the server. */
export function problemText(problem: Problem, t: Translate) {
  const own = OWN[problem.code]
  if (own !== undefined) return t(own)
  return (
    <>
      {problem.message}
      {problem.hint && <div>{problem.hint}</div>}
    </>
  )
}

/** What went wrong last, one at a time, until it is read. */
export function ErrorToast({ error, onClose }: { error: Problem | null; onClose: () => void }) {
  const { t } = useLocale()
  if (error === null) return null
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
        {problemText(error, t)}
      </Alert>
    </Snackbar>
  )
}
