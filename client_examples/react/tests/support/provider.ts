import { createServer, type ServerResponse } from 'node:http'
import { onTestFinished } from 'vitest'

/** A provider of language models outside the server: says the words that a test gives it. */
export class Provider {
  url = ''
  #answers: ServerResponse[] = []
  #asked: (() => void)[] = []

  static async start(): Promise<Provider> {
    const provider = new Provider()
    const server = createServer((request, response) => {
      request.resume()
      request.on('end', () => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        provider.#answers.push(response)
        for (const tell of provider.#asked.splice(0)) tell()
      })
    })
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    provider.url = `http://127.0.0.1:${address.port}/v1`
    onTestFinished(() => {
      server.closeAllConnections()
      server.close()
    })
    return provider
  }

  /** What a server needs to ask it. */
  get environment(): Record<string, string> {
    return { OPENAI_API_KEY: 'sk-test-0123456789abcdefghijklmnop', OPENAI_BASE_URL: this.url }
  }

  /** Wait until it has been asked so often. */
  async asked(times: number): Promise<void> {
    while (this.#answers.length < times) await new Promise<void>((tell) => this.#asked.push(tell))
  }

  /** Say more of its newest answer. */
  say(text: string): void {
    this.#write({ content: text }, null)
  }

  /** End its newest answer. */
  end(): void {
    this.#write({}, 'stop')
    this.#answers.at(-1)?.end('data: [DONE]\n\n')
  }

  #write(delta: object, finish: string | null): void {
    const choices = [{ index: 0, delta, finish_reason: finish }]
    const chunk = { id: 'c', object: 'chat.completion.chunk', created: 1, model: 'gpt-4o', choices }
    this.#answers.at(-1)?.write(`data: ${JSON.stringify(chunk)}\n\n`)
  }
}
