import Alert from '@mui/material/Alert'
import Box from '@mui/material/Box'
import Button from '@mui/material/Button'
import LinearProgress from '@mui/material/LinearProgress'
import Snackbar from '@mui/material/Snackbar'
import { useLocale } from '../i18n'
import { problemText } from './ErrorToast'
import type { ImportOfFile } from './useImports'

interface Props {
  file: ImportOfFile | undefined
  onReplace: (file: ImportOfFile) => void
  onClose: (file: ImportOfFile) => void
}

/** What becomes of a file, until it is read; what was refused stays until it is closed. */
export function ImportToast({ file, onReplace, onClose }: Props) {
  const { t } = useLocale()
  if (file === undefined) return null
  const { message, problem } = file
  const hasEnded = message !== null || problem !== null
  const close = () => {
    if (hasEnded) onClose(file)
  }
  return (
    <Snackbar
      key={`${file.id} ${message}`}
      open
      autoHideDuration={message === null ? null : 6_000}
      anchorOrigin={{ vertical: 'top', horizontal: 'center' }}
      onClose={(_, reason) => {
        if (reason !== 'clickaway') close()
      }}
    >
      <Alert
        severity={severityOf(file)}
        closeText={t('close')}
        {...(hasEnded && { onClose: close })}
        sx={{ boxShadow: 6, overflowWrap: 'anywhere' }}
      >
        {message}
        {problem !== null && problemText(problem, t)}
        {problem?.code === 'conflict' && (
          <ReplaceButton
            onClick={() => {
              onReplace(file)
            }}
          />
        )}
        {!hasEnded && <UnderWay name={file.file.name} />}
      </Alert>
    </Snackbar>
  )
}

function severityOf({ message, problem }: ImportOfFile) {
  if (problem !== null) return problem.code === 'conflict' ? 'warning' : 'error'
  return message === null ? 'info' : 'success'
}

function UnderWay({ name }: { name: string }) {
  const { t } = useLocale()
  const label = t('importing', { name })
  return (
    <>
      {label}
      <LinearProgress aria-label={label} sx={{ mt: 1 }} />
    </>
  )
}

function ReplaceButton({ onClick }: { onClick: () => void }) {
  const { t } = useLocale()
  return (
    <Box sx={{ mt: 1 }}>
      <Button color="inherit" size="small" variant="outlined" onClick={onClick}>
        {t('replace')}
      </Button>
    </Box>
  )
}
