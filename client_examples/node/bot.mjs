#!/usr/bin/env node
/**
 * A bot that joins a session, greets, and runs a backtest when somebody says "bot run ...":
 *
 *   node bot.mjs --url http://127.0.0.1:8500 --session desk
 *   node bot.mjs --once "/run_backtest sma_crossover AAPL"     exits with 0, or 1 if it failed
 */
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { RefusedError, Room } from './room.mjs'

const { values: given } = parseArgs({
  options: {
    url: { type: 'string', default: 'http://127.0.0.1:8500' },
    session: { type: 'string', default: 'lobby' },
    name: { type: 'string', default: 'bot' },
    'client-id': { type: 'string' },
    once: { type: 'string' },
  },
})

const room = new Room(given.url, given.session, {
  name: given.name,
  clientId: given['client-id'],
  history: given.once ? 0 : 20,
})
room.on('backtestProgress', (job) => {
  if (given.once && job.requestedBy.name !== given.name) return
  console.error(`[${String(job.progress).padStart(3)} %] ${job.message ?? job.backtestId}`)
})
room.on('offline', () => console.error('Not connected; trying again.'))

process.on('SIGINT', () => {
  room.close()
  process.exit(130)
})

process.exitCode = await (given.once ? once(given.once) : stay()).catch((error) => {
  console.error(error.message)
  return 1
})
if (given.once || process.exitCode) room.close()

/** Run one command; the exit code. */
async function once(command) {
  const late = pause(10_000, null, { ref: false }).then(() => {
    throw new Error(`The server at ${given.url} does not answer. Check --url.`)
  })
  await Promise.race([room.connect(), late])
  late.catch(() => {}) // in the room: it may be over late
  const result = await room.run(command)
  console.log(result.message)
  return result.success ? 0 : 1
}

/** Greet, then answer "bot run STRATEGY SYMBOL ..." until somebody stops us. */
async function stay() {
  let started = false // what was said before we came is not for us
  room.on('message', (message) => {
    console.log(`${message.author?.name ?? 'chatops'}: ${message.content}`)
    const asked = /^bot run\s+(.+)/is.exec(message.content)
    if (started && asked && message.author?.name !== given.name) answer(asked[1])
  })
  room.on('commandResult', (result) => console.log(result.message))
  await room.connect()
  started = true
  await room.send('Hello! Say "bot run sma_crossover AAPL" and I run a backtest.')
}

/** Run the backtest; the result comes to the whole room. */
async function answer(what) {
  try {
    await room.run(`/run_backtest ${what}`)
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error
    await room.send(`I cannot: ${error.message}`)
  }
}
