import { connect, createServer, type Server, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

/** The way to a server: it can be cut, and what the server says can be held back. */
export class Way {
  url = ''
  #held = false
  #sockets = new Set<Socket>()
  #server: Server

  private constructor(target: URL) {
    this.#server = createServer((near) => {
      const far = connect(Number(target.port), target.hostname)
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        this.#sockets.add(one)
        one.on('error', () => one.destroy())
        one.on('close', () => {
          this.#sockets.delete(one)
          other.destroy()
        })
      }
      near.on('data', (data) => far.write(data))
      far.on('data', (data) => {
        if (!this.#held) near.write(data)
      })
    })
  }

  static async to(url: string): Promise<Way> {
    const way = new Way(new URL(url))
    await new Promise<void>((listening) => way.#server.listen(0, '127.0.0.1', listening))
    const address = way.#server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    way.url = `http://127.0.0.1:${address.port}`
    onTestFinished(() => {
      way.cut()
      way.#server.close()
    })
    return way
  }

  /** From now on what the server says is lost; what clients say still arrives. */
  loseAnswers(): void {
    this.#held = true
  }

  /** Cut every connection; those that are made from now on work. */
  cut(): void {
    this.#held = false
    for (const socket of [...this.#sockets]) socket.destroy()
  }
}
