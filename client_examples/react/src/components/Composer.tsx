/** The input box: what is typed here is said in the room, or is a command. */
import Box from '@mui/material/Box'
import IconButton from '@mui/material/IconButton'
import InputBase from '@mui/material/InputBase'
import Tooltip from '@mui/material/Tooltip'
import Typography from '@mui/material/Typography'
import { useId, type KeyboardEvent, type RefObject } from 'react'
import { useLocale } from '../i18n'
import type { CompletionItem } from '../wire'
import { SendIcon, StopIcon } from './icons'
import { ImportButton } from './ImportButton'
import { optionId, PaletteList } from './PaletteList'
import { HIDDEN } from './theme'
import { usePalette } from './usePalette'
import { useRecall } from './useRecall'

/** The server takes no more. */
export const LONGEST = 5_000
const TELL_FROM = 4_500

interface Props {
  text: string
  onText: (text: string) => void
  onSend: (text: string) => void
  complete: (text: string) => Promise<readonly CompletionItem[]>
  /** What we sent here, oldest first. */
  sent: readonly string[]
  /** Ends the answer that is being written; null: none is. */
  onStop: (() => void) | null
  onFiles: (files: readonly File[]) => void
  field: RefObject<HTMLTextAreaElement | null>
}

export function Composer({ text, onText, onSend, complete, sent, onStop, onFiles, field }: Props) {
  const { t } = useLocale()
  const id = useId()
  const palette = usePalette(complete, onText)
  const recall = useRecall(sent)
  const count = Array.from(text).length
  const isOpen = palette.items.length > 0
  const canSend = text.trim() !== '' && count <= LONGEST

  const send = () => {
    if (!canSend) return
    onText('')
    palette.ask(null)
    recall.reset()
    onSend(text)
  }
  const type = (box: HTMLTextAreaElement) => {
    const { value } = box
    onText(value)
    recall.reset()
    const wanted = /^\/(?!\/)[^\n]*$/.test(value) && box.selectionEnd === value.length
    palette.ask(wanted ? value : null)
  }
  const bringBack = (box: HTMLTextAreaElement, key: string): boolean => {
    const isAtStart = box.selectionEnd === 0
    if (!recall.isOn && !isAtStart) return false // there the key moves the caret
    const found = key === 'ArrowUp' ? recall.older(box.value) : recall.newer()
    if (found !== null) onText(found)
    return found !== null
  }
  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    // A key that an input method takes is none of ours. Safari says so by 229 alone.
    // eslint-disable-next-line @typescript-eslint/no-deprecated
    if (event.nativeEvent.isComposing || event.keyCode === 229) return
    if (palette.onKey(event)) event.preventDefault()
    else if (event.key === 'Enter' && !event.shiftKey) {
      event.preventDefault()
      send()
    } else if (event.key === 'ArrowUp' || event.key === 'ArrowDown') {
      if (!event.shiftKey && bringBack(event.currentTarget, event.key)) event.preventDefault()
    }
  }

  return (
    <Box
      component="form"
      onSubmit={(event) => {
        event.preventDefault()
        send()
      }}
      sx={{ position: 'relative', p: 1, borderTop: 1, borderColor: 'divider' }}
    >
      {isOpen && <PaletteList id={id} palette={palette} />}
      <Box sx={FIELD}>
        <InputBase
          inputRef={field}
          multiline
          maxRows={8}
          value={text}
          placeholder={t('composerHint')}
          onChange={({ target }) => {
            type(target as HTMLTextAreaElement)
          }}
          onKeyDown={(event) => {
            onKeyDown(event as KeyboardEvent<HTMLTextAreaElement>)
          }}
          onBlur={() => {
            palette.ask(null)
          }}
          error={count > LONGEST}
          sx={{ flexGrow: 1 }}
          slotProps={{
            input: {
              'aria-label': t('message'),
              'aria-describedby': `${id}-keys`,
              'aria-autocomplete': 'list',
              'aria-haspopup': 'listbox',
              ...(isOpen && { 'aria-controls': id }),
              ...(palette.active >= 0 && {
                'aria-activedescendant': optionId(id, palette.active),
              }),
            },
          }}
        />
        <ImportButton onFiles={onFiles} />
        {onStop && (
          <Tooltip title={t('stop')}>
            <IconButton aria-label={t('stop')} color="error" onClick={onStop}>
              <StopIcon />
            </IconButton>
          </Tooltip>
        )}
        <IconButton type="submit" aria-label={t('send')} color="primary" disabled={!canSend}>
          <SendIcon />
        </IconButton>
      </Box>
      {count >= TELL_FROM && <Count count={count} />}
      <Box sx={HIDDEN}>
        <span id={`${id}-keys`}>{t('composerKeys')}</span>
        <span role="status">
          {isOpen && t('suggestionCount', { count: palette.items.length })}
        </span>
      </Box>
    </Box>
  )
}

function Count({ count }: { count: number }) {
  const { t } = useLocale()
  const isTooLong = count > LONGEST
  return (
    <Typography
      variant="caption"
      color={isTooLong ? 'error' : 'textSecondary'}
      role={isTooLong ? 'alert' : undefined}
    >
      {t(isTooLong ? 'tooLong' : 'characters', { count, limit: LONGEST })}
    </Typography>
  )
}

const FIELD = {
  display: 'flex',
  alignItems: 'flex-end',
  gap: 0.5,
  pl: 1.5,
  pr: 0.5,
  border: 1,
  borderColor: 'divider',
  borderRadius: 2,
  bgcolor: 'background.paper',
  '& .MuiInputBase-root': { py: 1 },
  '&:focus-within': { borderColor: 'primary.main', outline: '1px solid', outlineColor: 'primary.main' },
} as const
