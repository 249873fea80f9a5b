#!/usr/bin/env node
/**
 * A bot in a chatops session, and a runner of one command.
 *
 *   node bot.mjs --url http://127.0.0.1:8500 --session desk
 *   node bot.mjs --once "/run_backtest sma_crossover AAPL"     exits with 0, or 1 if it failed
 */
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { RefusedError, Room } from './room.mjs'
import { printTranscript } from './transcript.mjs'

const { values: given } = parseArgs({
  options: {
    url: { type: 'string', default: 'http://127.0.0.1:8500' },
    session: { type: 'string', default: 'lobby' },
    name: { type: 'string', default: 'bot' },
    'client-id': { type: 'string' },
    once: { type: 'string' },
  },
})
const { url, session, name, 'client-id': clientId, once } = given
const room = new Room(url, session, { name, clientId, history: once ? 0 : 20 })

room.on('backtestProgress', ({ requestedBy, progress, message, backtestId }) => {
  if (once && requestedBy.name !== name) return
  console.error(`[${String(progress).padStart(3)} %] ${message ?? backtestId}`)
})
room.on('offline', () => console.error('Not connected; trying again.'))
process.on('SIGINT', () => {
  room.close()
  process.exit(130)
})
process.exitCode = await (once ? runOnce() : stay()).catch((error) => {
  console.error(error.message)
  return 1
})
if (once || process.exitCode) room.close()

/** Run one command; the exit code. */
async function runOnce() {
  const late = pause(10_000, null, { ref: false }).then(() => {
    throw new Error(`The server at ${url} does not answer. Check --url.`)
  })
  await Promise.race([room.connect(), late])
  late.catch(() => {}) // in the room: it may be over late
  const result = await room.run(once)
  console.log(result.data?.answer ?? result.message)
  return result.success ? 0 : 1
}

/** Greet, then do what is asked of us, until somebody stops us. */
async function stay() {
  let started = false // what was said before we came is not for us
  printTranscript(room)
  room.on('message', ({ role, author, content }) => {
    const asked = /^bot (run|ask|hello)\b\s*(.*)/is.exec(content)
    if (started && role === 'user' && author.name !== name && asked) answer(author.name, ...asked.slice(1))
  })
  await room.connect()
  started = true
  await room.send('Hello! Say "bot run sma_crossover AAPL" or "bot ask which of them gained most?".')
}

/** Do it; what comes of it comes to the whole room. */
async function answer(who, what, words) {
  try {
    if (what.toLowerCase() === 'hello') await room.send(`Hello, ${who}!`)
    else await room.run(`/${what.toLowerCase() === 'run' ? 'run_backtest' : 'ask'} ${words}`)
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error
    await room.send(`I cannot: ${error.message}`)
  }
}
