import Box from '@mui/material/Box'
import Button from '@mui/material/Button'
import Typography from '@mui/material/Typography'
import { useLocale } from '../i18n'

/** What an empty room says. An example goes into the input box, where it can be changed first. */
export function Welcome(props: { asksAssistant: boolean; onChoose: (text: string) => void }) {
  const { t } = useLocale()
  const examples = [
    [t('exampleBacktest'), '/run_backtest sma_crossover AAPL'],
    [t('exampleCompare'), '/compare_strategies sma_crossover momentum symbols=AAPL'],
    [t('exampleHelp'), '/help'],
    ...(props.asksAssistant ? [[t('exampleAsk'), t('exampleQuestion')] as const] : []),
  ] as const
  return (
    <Box sx={{ flexGrow: 1, minHeight: 0, overflowY: 'auto', display: 'grid', p: 2 }}>
      <Box sx={{ m: 'auto', maxWidth: 520, textAlign: 'center' }}>
        <Typography variant="h6" component="h2">
          {t('welcome')}
        </Typography>
        <Typography color="textSecondary" sx={{ mb: 2 }}>
          {t('welcomeHow')}
        </Typography>
        {examples.map(([label, text]) => (
          <Button
            key={text}
            fullWidth
            variant="outlined"
            onClick={() => {
              props.onChoose(text)
            }}
            sx={{ mb: 1, justifyContent: 'space-between', gap: 2, flexWrap: 'wrap' }}
          >
            <span>{label}</span>
            <Box component="code" sx={{ fontSize: '0.85em', overflowWrap: 'anywhere' }}>
              {text}
            </Box>
          </Button>
        ))}
      </Box>
    </Box>
  )
}
