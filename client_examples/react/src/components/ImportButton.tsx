import IconButton from '@mui/material/IconButton'
import Tooltip from '@mui/material/Tooltip'
import { useRef } from 'react'
import { useLocale } from '../i18n'
import { FileIcon } from './icons'

const KINDS = '.csv,.tsv,.txt,.gz,.parquet,.json'

/** Chooses files to import, for who cannot drop them. */
export function ImportButton({ onFiles }: { onFiles: (files: readonly File[]) => void }) {
  const { t } = useLocale()
  const input = useRef<HTMLInputElement>(null)
  return (
    <>
      <Tooltip title={t('importFile')}>
        <IconButton aria-label={t('importFile')} onClick={() => input.current?.click()}>
          <FileIcon />
        </IconButton>
      </Tooltip>
      <input
        ref={input}
        type="file"
        hidden
        multiple
        accept={KINDS}
        aria-label={t('importFile')}
        onChange={({ target }) => {
          onFiles(Array.from(target.files ?? []))
          target.value = '' // the same file may be chosen again once it is mended
        }}
      />
    </>
  )
}
