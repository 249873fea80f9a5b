import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'

const ROOT = resolve(import.meta.dirname, '../../../..')
const OWN_PYTHON = join(ROOT, '.venv/bin/python')

/** `chatops serve` on a free port, with a data folder of its own. */
export class ServerProcess {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'chatops-react-'))
  url = ''
  #environment: Record<string, string>
  #process: ChildProcess | null = null

  constructor(environment: Record<string, string> = {}) {
    this.#environment = environment
  }

  /** Start it; after `kill`, on the same port and folder. */
  async start(): Promise<this> {
    const python = process.env.CHATOPS_PYTHON ?? OWN_PYTHON
    if (!existsSync(python)) throw new Error('Run `make install` first, or set CHATOPS_PYTHON.')
    const port = this.url === '' ? '0' : new URL(this.url).port
    const child = spawn(python, ['-m', 'chatops', 'serve', '--port', port], {
      stdio: ['ignore', 'pipe', process.env.CHATOPS_LOG ? 'inherit' : 'ignore'],
      env: {
        ...process.env,
        PYTHONPATH: join(ROOT, 'server'),
        CHATOPS_DATA_DIR: this.dataDir,
        ...this.#environment,
      },
    })
    this.#process = child
    for await (const line of createInterface({ input: child.stdout })) {
      const found = /listens on (http:\/\/\S+)/.exec(line)
      if (found?.[1] === undefined) continue
      this.url = found[1]
      return this
    }
    throw new Error('The server did not start; set CHATOPS_LOG=1 to see why.')
  }

  /** Kill it where it stands. */
  async kill(): Promise<void> {
    const child = this.#process
    if (child?.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  /** Stop it in mid-air; its connections stay. */
  freeze(): void {
    this.#process?.kill('SIGSTOP')
  }

  /** Let it go on. */
  thaw(): void {
    this.#process?.kill('SIGCONT')
  }

  /** Kill it and delete its data. */
  async end(): Promise<void> {
    await this.kill()
    rmSync(this.dataDir, { recursive: true, force: true })
  }
}
