import { createServer, type ServerResponse } from 'node:http'
import { onTestFinished } from 'vitest'

/**
 * A provider of language models outside the server: says the words that a test gives it. Where only tools are to be
 * chosen, it asks for the runs of `runs`, one after the other, and then has the answer written.
 */
export class Provider {
  url = ''
  /** Commands and their values. */
  runs: [name: string, values: object][] = []
  #answers: ServerResponse[] = []
  #asked: (() => void)[] = []

  static async start(): Promise<Provider> {
    const provider = new Provider()
    const server = createServer((request, response) => {
      let body = ''
      request.on('data', (part: Buffer) => (body += part.toString()))
      request.on('end', () => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        const { tool_choice: choice } = JSON.parse(body) as { tool_choice?: string }
        if (choice === 'required') choose(response, ...(provider.runs.shift() ?? DONE))
        else provider.#hear(response)
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

  /** Wait until it has been asked so often for an answer. */
  async asked(times: number): Promise<void> {
    while (this.#answers.length < times) await new Promise<void>((tell) => this.#asked.push(tell))
  }

  /** Say more of its newest answer. */
  say(text: string): void {
    this.#write({ content: text })
  }

  /** End its newest answer. */
  end(): void {
    this.#write({}, 'stop')
    this.#answers.at(-1)?.end(END)
  }

  #hear(response: ServerResponse): void {
    this.#answers.push(response)
    for (const tell of this.#asked.splice(0)) tell()
  }

  #write(delta: object, finish: string | null = null): void {
    this.#answers.at(-1)?.write(piece(delta, finish))
  }
}

const DONE: [string, object] = ['answer', {}]
const END = 'data: [DONE]\n\n'

function choose(response: ServerResponse, name: string, values: object): void {
  const call = { name, arguments: JSON.stringify(values) }
  const delta = { tool_calls: [{ index: 0, id: `${name}_1`, type: 'function', function: call }] }
  response.end(piece(delta, 'tool_calls') + END)
}

function piece(delta: object, finish: string | null): string {
  const choices = [{ index: 0, delta, finish_reason: finish }]
  const chunk = { id: 'c', object: 'chat.completion.chunk', created: 1, model: 'gpt-4o', choices }
  return `data: ${JSON.stringify(chunk)}\n\n`
}
