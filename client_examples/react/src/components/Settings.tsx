import Box from '@mui/material/Box'
import Button from '@mui/material/Button'
import IconButton from '@mui/material/IconButton'
import TextField from '@mui/material/TextField'
import { useColorScheme } from '@mui/material/styles'
import { useState } from 'react'
import { LOCALES, useLocale, type Locale } from '../i18n'
import type { SessionInfo } from '../wire'
import { Choice } from './Choice'
import { TuneIcon } from './icons'
import { Unfolding } from './Unfolding'

type AssistantMode = SessionInfo['assistant']

interface Props {
  name: string
  onName: (name: string) => void
  /** Null until the session is joined. */
  assistant: AssistantMode | null
  onAssistant: (mode: AssistantMode) => void
}

/** Name, theme and language of the reader, and the assistant's mode in this session. */
export function Settings({ name, onName, assistant, onAssistant }: Props) {
  const { t, locale, setLocale } = useLocale()
  const { mode, setMode } = useColorScheme()
  return (
    <Unfolding
      label={t('settings')}
      button={(open) => (
        <IconButton color="inherit" aria-label={t('settings')} {...open}>
          <TuneIcon />
        </IconButton>
      )}
    >
      <NameField key={name} name={name} onName={onName} />
      <Choice
        label={t('theme')}
        value={mode ?? 'system'}
        options={[
          ['light', t('light')],
          ['dark', t('dark')],
          ['system', t('system')],
        ]}
        onChange={setMode}
      />
      <Choice
        label={t('language')}
        value={locale}
        options={Object.entries(LOCALES) as [Locale, string][]}
        onChange={setLocale}
      />
      {assistant && (
        <Choice
          label={t('assistantMode')}
          value={assistant}
          options={[
            ['always', t('always')],
            ['addressed', t('addressed')],
            ['off', t('off')],
          ]}
          onChange={onAssistant}
        />
      )}
    </Unfolding>
  )
}

function NameField({ name, onName }: { name: string; onName: (name: string) => void }) {
  const { t } = useLocale()
  const [text, setText] = useState(name)
  const wanted = text.trim()
  return (
    <Box
      component="form"
      sx={{ display: 'flex', gap: 1 }}
      onSubmit={(event) => {
        event.preventDefault()
        if (wanted !== '') onName(wanted)
      }}
    >
      <TextField
        size="small"
        fullWidth
        label={t('yourName')}
        value={text}
        onChange={(event) => {
          setText(event.target.value)
        }}
        slotProps={{ htmlInput: { maxLength: 200 } }}
      />
      <Button type="submit" disabled={wanted === '' || wanted === name}>
        {t('save')}
      </Button>
    </Box>
  )
}
