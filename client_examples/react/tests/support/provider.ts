import { createServer } from 'node:http'
import { setTimeout as after } from 'node:timers/promises'
import { onTestFinished } from 'vitest'

export const KEY = 'sk-test-0123456789abcdefghijklmnop'

/** A provider of language models that says these words again and again, slowly; returns its address. */
export async function slowProvider(words: readonly string[]): Promise<string> {
  const server = createServer((_, reply) => {
    reply.writeHead(200, { 'content-type': 'text/event-stream' })
    const say = async () => {
      for (let at = 0; !reply.destroyed; at++) {
        const content = `${words[at % words.length] ?? ''} `
        const choices = [{ index: 0, delta: { role: 'assistant', content }, finish_reason: null }]
        const chunk = { id: 'c', object: 'chat.completion.chunk', created: 1, model: 'gpt-4o', choices }
        reply.write(`data: ${JSON.stringify(chunk)}\n\n`)
        await after(50)
      }
    }
    void say()
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${address.port}/v1`
}
