import createCache from '@emotion/cache'
import { CacheProvider } from '@emotion/react'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { Transcript } from './components/Transcript'

// The server's policy takes only styles that have the nonce of this visit.
const nonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? ''
const styles = createCache({ key: 'css', nonce, prepend: true })

const root = document.getElementById('root')
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <CacheProvider value={styles}>
        <Transcript sessionId={new URLSearchParams(location.search).get('session') ?? 'lobby'} />
      </CacheProvider>
    </StrictMode>,
  )
}
