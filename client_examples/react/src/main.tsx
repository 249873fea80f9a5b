import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { Transcript } from './components/Transcript'

const root = document.getElementById('root')
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <Transcript sessionId={new URLSearchParams(location.search).get('session') ?? 'lobby'} />
    </StrictMode>,
  )
}
