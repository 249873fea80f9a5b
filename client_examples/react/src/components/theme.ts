import { createTheme } from '@mui/material/styles'

/** Plain and dense; light and dark by CSS variables, so that a switch repaints and renders nothing. */
export const theme = createTheme({
  cssVariables: { colorSchemeSelector: 'data-chatops-scheme', cssVarPrefix: 'chatops' },
  colorSchemes: {
    light: {
      palette: {
        primary: { main: '#1d4ed8' },
        background: { default: '#f6f7f9', paper: '#ffffff' },
        success: { main: '#15803d' },
        warning: { main: '#b45309' },
        error: { main: '#b91c1c' },
      },
    },
    dark: {
      palette: {
        primary: { main: '#93b4ff' },
        background: { default: '#0f1216', paper: '#171b21' },
        success: { main: '#4ade80' },
        warning: { main: '#fbbf24' },
        error: { main: '#f87171' },
      },
    },
  },
  typography: {
    fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans KR", sans-serif',
    fontSize: 13,
    button: { textTransform: 'none' },
  },
  shape: { borderRadius: 8 },
})

/** Read by screen readers only. */
export const HIDDEN = {
  position: 'absolute',
  width: '1px',
  height: '1px',
  overflow: 'hidden',
  clipPath: 'inset(50%)',
  whiteSpace: 'nowrap',
} as const
