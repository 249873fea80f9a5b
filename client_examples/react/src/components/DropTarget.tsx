/** Files that are dropped anywhere on the window; while they are held over it, where they go. */
import Box from '@mui/material/Box'
import Typography from '@mui/material/Typography'
import { useEffect, useEffectEvent, useState } from 'react'
import { useLocale } from '../i18n'

/** Browsers tell of a drag that goes on several times a second, and not always of its end. */
const GONE_AFTER_MS = 1_000

export function DropTarget({ onFiles }: { onFiles: (files: readonly File[]) => void }) {
  const { t } = useLocale()
  const isOver = useDrag(onFiles)
  if (!isOver) return null
  return (
    <Box sx={TARGET}>
      <Typography variant="h6" component="p">
        {t('dropHere')}
      </Typography>
      <Typography color="textSecondary">{t('dropKinds')}</Typography>
    </Box>
  )
}

function useDrag(onFiles: (files: readonly File[]) => void): boolean {
  const [isOver, setOver] = useState(false)
  const drop = useEffectEvent(onFiles)
  useEffect(() => {
    let gone: ReturnType<typeof setTimeout> | undefined
    const end = () => {
      clearTimeout(gone)
      setOver(false)
    }
    const onDragOver = (event: DragEvent) => {
      if (!holdsFiles(event)) return
      event.preventDefault()
      setOver(true)
      clearTimeout(gone)
      gone = setTimeout(end, GONE_AFTER_MS)
    }
    const onDragLeave = (event: DragEvent) => {
      if (event.relatedTarget === null) end() // it left the window
    }
    const onDrop = (event: DragEvent) => {
      end()
      if (!holdsFiles(event)) return
      event.preventDefault() // the browser would show the file in the place of the page
      drop(Array.from(event.dataTransfer?.files ?? []))
    }
    window.addEventListener('dragover', onDragOver)
    window.addEventListener('dragleave', onDragLeave)
    window.addEventListener('drop', onDrop)
    return () => {
      clearTimeout(gone)
      window.removeEventListener('dragover', onDragOver)
      window.removeEventListener('dragleave', onDragLeave)
      window.removeEventListener('drop', onDrop)
    }
  }, [])
  return isOver
}

const holdsFiles = ({ dataTransfer }: DragEvent) => dataTransfer?.types.includes('Files') ?? false

const TARGET = {
  position: 'fixed',
  inset: 8,
  zIndex: 'tooltip',
  display: 'flex',
  flexDirection: 'column',
  alignItems: 'center',
  justifyContent: 'center',
  gap: 1,
  p: 2,
  textAlign: 'center',
  wordBreak: 'keep-all', // Korean breaks between words, too
  border: '2px dashed',
  borderColor: 'primary.main',
  borderRadius: 2,
  bgcolor: 'background.paper',
  opacity: 0.95,
  pointerEvents: 'none', // what lies under it goes on being told of the drag
} as const
