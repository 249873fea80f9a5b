import { useState } from 'react'
import { useChatOps } from '../hooks/useChatOps'

/** A session as plain text: the smallest thing that can be made with the hook. */
export function Transcript({ sessionId, url }: { sessionId: string; url?: string }) {
  const chat = useChatOps({ sessionId, url })
  const [text, setText] = useState('')
  return (
    <main>
      <p>
        {chat.connectionState}, {chat.memberCount} here
      </p>
      <ol>
        {chat.messages.map((line) => (
          <li key={line.key} aria-busy={line.status === 'pending'}>
            {line.author?.name}: {line.content}
          </li>
        ))}
      </ol>
      {chat.error && <p role="alert">{chat.error.message}</p>}
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void chat.sendMessage(text)
          setText('')
        }}
      >
        <input
          aria-label="Message"
          value={text}
          onChange={(event) => {
            setText(event.target.value)
          }}
        />
      </form>
    </main>
  )
}
