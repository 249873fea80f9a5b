import createCache from '@emotion/cache'
import { CacheProvider } from '@emotion/react'
import Box from '@mui/material/Box'
import GlobalStyles from '@mui/material/GlobalStyles'
import { StrictMode, useEffect, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { ChatInterface } from './components/ChatInterface'

/** The session stands in the address, so that a link, a reload and the way back lead to it. */
const sessionOf = (): string => new URLSearchParams(location.search).get('session') ?? 'lobby'

function Page() {
  const [sessionId, setSessionId] = useState(sessionOf)
  useEffect(() => {
    const goBack = () => {
      setSessionId(sessionOf())
    }
    window.addEventListener('popstate', goBack)
    return () => {
      window.removeEventListener('popstate', goBack)
    }
  }, [])
  const change = (id: string) => {
    history.pushState(null, '', `?session=${id}`)
    setSessionId(id)
  }
  return (
    <Box sx={{ height: '100dvh' }}>
      <GlobalStyles styles={{ body: { margin: 0 } }} />
      <ChatInterface sessionId={sessionId} onSessionChange={change} />
    </Box>
  )
}

// The server's policy takes only styles that have the nonce of this visit.
const nonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? ''
const styles = createCache({ key: 'css', nonce, prepend: true })

const root = document.getElementById('root')
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <CacheProvider value={styles}>
        <Page />
      </CacheProvider>
    </StrictMode>,
  )
}
