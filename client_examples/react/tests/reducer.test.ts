import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { linesOf } from '../src/room/lines'
import {
  emptyRoom,
  hasHole,
  reduce,
  type Entry,
  type RoomEvent,
  type RoomState,
} from '../src/room/state'
import type { BacktestProgress, JoinAck, MessageDelta, SessionInfo } from '../src/wire'

const ME = { id: 'client:me', name: 'Mina' }
const OTHER = { id: 'client:other', name: 'Jun' }

function session(lastSeq: number, epoch = 'one'): SessionInfo {
  const createdAt = '2026-01-01T00:00:00.000Z'
  return {
    id: 's',
    epoch,
    title: 's',
    owner: 'Mina',
    lastSeq,
    members: [],
    createdAt,
    assistant: 'off',
  }
}

function ack(entries: readonly Entry[], lastSeq: number, more: Partial<JoinAck> = {}): RoomEvent {
  const whole = { session: session(lastSeq), you: ME, more: false, gap: false, jobs: [], streams: [] }
  return { type: 'page', ack: { ok: true, ...whole, ...more, entries: [...entries] } }
}

function entry(seq: number): Entry {
  const base = { sessionId: 's', seq }
  if (seq % 3 === 0) {
    const result = { success: true, message: `result ${seq}`, command: '/x', durationMs: 5 }
    const commandId = `cmd_${seq - 1}`
    return { ...base, ...result, type: 'commandResult', commandId, requestedBy: OTHER }
  }
  return {
    ...base,
    type: 'message',
    id: `m_${seq}`,
    role: 'user',
    content: `text ${seq}`,
    timestamp: '2026-01-01T00:00:00.000Z',
    author: seq % 2 === 0 ? ME : OTHER,
    clientMessageId: `c_${seq}`,
    metadata: seq % 3 === 2 ? { commandId: `cmd_${seq}` } : {},
  }
}

const logOf = (length: number) => Array.from({ length }, (_, at) => entry(at + 1))
const after = (events: readonly RoomEvent[], from = emptyRoom(ME)) => events.reduce(reduce, from)
const seqs = (state: RoomState) => state.entries.map((one) => one.seq)

/** The server's answer to a join of somebody who knows `state`, in pages of `size`. */
function join(state: RoomState, log: readonly Entry[], size: number): RoomState {
  for (;;) {
    const missing = log.filter((one) => one.seq > (state.seq ?? 0))
    const page = missing.slice(0, size)
    const more = missing.length > size
    if (state.seq === null) state = reduce(state, ack(log.slice(0, 0), 0))
    state = reduce(state, ack(page, log.length, { more }))
    if (!more) return state
  }
}

describe('the log', () => {
  test('events in any order, doubled and lost: after a join the entries are the log', () => {
    const lives = fc
      .integer({ min: 0, max: 30 })
      .chain((length) =>
        fc.record({
          length: fc.constant(length),
          told: fc.array(fc.integer({ min: 1, max: Math.max(length, 1) }), { maxLength: 60 }),
          joinAfter: fc.array(fc.nat({ max: 60 }), { maxLength: 4 }),
          size: fc.integer({ min: 1, max: 7 }),
        }),
      )
    fc.assert(
      fc.property(lives, ({ length, told, joinAfter, size }) => {
        const log = logOf(length)
        let state = join(emptyRoom(ME), [], size)
        told.forEach((seq, at) => {
          const one = log[seq - 1]
          if (one !== undefined) state = reduce(state, { type: 'entry', entry: one })
          // Never a hole, never a double, whatever came.
          expect(seqs(state)).toEqual(state.entries.map((_, index) => index + 1))
          expect([...state.ahead.keys()].every((held) => held > (state.seq ?? 0) + 1)).toBe(true)
          if (joinAfter.includes(at)) state = join(state, log, size)
        })
        state = join(state, log, size)
        expect(state.entries).toEqual(log)
        expect(hasHole(state)).toBe(false)
        expect(linesOf(state, 's').map((line) => line.seq)).toEqual(log.map((one) => one.seq))
      }),
      { numRuns: 500 },
    )
  })

  test('entries that arrive in any order need no join', () => {
    const orders = fc.integer({ min: 1, max: 25 }).chain((length) => {
      const all = logOf(length)
      return fc.tuple(
        fc.constant(all),
        fc.shuffledSubarray([...all, ...all], { minLength: 2 * length }),
      )
    })
    fc.assert(
      fc.property(orders, ([log, order]) => {
        const events = order.map((one): RoomEvent => ({ type: 'entry', entry: one }))
        expect(after([ack([], 0), ...events]).entries).toEqual(log)
      }),
    )
  })

  test('what comes before the join waits for it', () => {
    const log = logOf(5)
    const early = log.slice(3).map((one): RoomEvent => ({ type: 'entry', entry: one }))
    const state = after([...early, ack(log.slice(0, 3), 3)])
    expect(state.entries).toEqual(log)
  })

  test('a known event is no change', () => {
    const state = after([ack(logOf(5), 5)])
    expect(reduce(state, { type: 'entry', entry: entry(3) })).toBe(state)
  })

  test('after a gap the log goes on where the server still has it', () => {
    const state = after([ack(logOf(3), 3), ack([entry(8), entry(9)], 9, { gap: true })])
    expect(seqs(state)).toEqual([1, 2, 3, 8, 9])
    expect(linesOf(state, 's').map((line) => line.afterGap)).toEqual([
      false,
      false,
      false,
      true,
      false,
    ])
  })

  test('a server that has less than we knew is believed', () => {
    const state = after([ack(logOf(5), 5), ack([], 3, { gap: true })])
    expect(seqs(state)).toEqual([1, 2, 3])
    expect(state.seq).toBe(3)
  })

  test('another epoch: all is forgotten but what we have not sent yet', () => {
    const pending = { id: 'c', content: 'x', timestamp: '2026-01-01T00:00:00.000Z' }
    const known = after([ack(logOf(5), 5), { type: 'queued', pending }])
    const lost = reduce(known, ack([], 1, { session: session(1, 'two') }))
    expect(lost).toMatchObject({ epoch: null, seq: null, entries: [], joined: false })
    const again = reduce(lost, ack([entry(1)], 1, { session: session(1, 'two') }))
    expect(seqs(again)).toEqual([1])
    expect(again.pending).toEqual([pending])
  })
})

describe('what we send', () => {
  const pending = { id: 'c_4', content: 'text 4', timestamp: '2026-01-01T00:00:00.000Z' }
  const queued: RoomEvent = { type: 'queued', pending }

  test('it is shown once, in whatever order its ack and its event come, under one key', () => {
    const stored: RoomEvent = { type: 'stored', id: 'c_4', entry: entry(4) }
    const shown: RoomEvent = { type: 'entry', entry: entry(4) }
    for (const events of [[stored, shown], [shown, stored], [stored], [shown]]) {
      const before = after([ack(logOf(3), 3), queued])
      const state = after(events, before)
      expect(state.pending).toEqual([])
      expect(state.entries).toEqual(logOf(4))
      const key = (one: RoomState) => linesOf(one, 's').at(-1)?.key
      expect(key(state)).toBe(key(before))
    }
  })

  test('what was kept is ours as soon as the server has told who we are', () => {
    const restored: RoomEvent = { type: 'restored', epoch: 'one', entries: logOf(2) }
    const unknown = reduce(emptyRoom({ id: '', name: 'Mina' }), restored)
    expect(linesOf(unknown, 's').map((line) => line.own)).toEqual([false, false])
    const known = reduce(unknown, ack([], 2))
    expect(linesOf(known, 's').map((line) => line.own)).toEqual([false, true])
  })

  test('it stays in sight while its ack waits behind a hole', () => {
    const state = after([
      ack(logOf(2), 2),
      queued,
      { type: 'stored', id: 'c_4', entry: entry(4) },
    ])
    expect(linesOf(state, 's').map((line) => line.content)).toEqual(['text 1', 'text 2', 'text 4'])
    const healed = reduce(state, { type: 'entry', entry: entry(3) })
    expect(linesOf(healed, 's').map((line) => line.seq)).toEqual([1, 2, 3, 4])
  })

  test("another author's message with the same id does not stand for ours", () => {
    const foreign = { ...entry(4), author: OTHER } as Entry
    const state = after([ack(logOf(3), 3), queued, { type: 'entry', entry: foreign }])
    expect(state.pending).toEqual([pending])
  })

  test('a private command and its answer stand where they were asked, in either order', () => {
    const result = {
      success: true,
      message: 'Commands: ...',
      commandId: 'cmd_p',
      command: '/help',
      sessionId: 's',
      requestedBy: ME,
      durationMs: 250,
    }
    const accepted: RoomEvent = { type: 'accepted', id: 'c_4', commandId: 'cmd_p' }
    const answer: RoomEvent = { type: 'privateResult', result }
    for (const events of [
      [accepted, answer],
      [answer, accepted],
    ]) {
      const state = after([ack(logOf(3), 3), queued, ...events, ack([entry(4)], 4)])
      const lines = linesOf(state, 's').slice(3)
      expect(lines.map(({ status, content, seq }) => [status, content, seq])).toEqual([
        ['private', 'text 4', null],
        ['private', 'Commands: ...', null],
        ['stored', 'text 4', 4],
      ])
      expect(lines[1]?.timestamp).toBe('2026-01-01T00:00:00.250Z')
    }
    // The answer came and its ack is lost: it is asked again, and shown once.
    const again: RoomEvent = { type: 'accepted', id: 'c_4', commandId: 'cmd_q' }
    const anew: RoomEvent = { type: 'privateResult', result: { ...result, commandId: 'cmd_q' } }
    const state = after([ack([], 0), queued, answer, { type: 'offline' }, again, anew])
    expect(linesOf(state, 's').map((line) => line.content)).toEqual(['text 4', 'Commands: ...'])
  })

  test('a result has the time of its command and how long that took', () => {
    const line = linesOf(after([ack(logOf(3), 3)]), 's')[2]
    expect(line).toMatchObject({ kind: 'result', timestamp: '2026-01-01T00:00:00.005Z' })
  })
})

describe('jobs', () => {
  const job = (version: number, more: Partial<BacktestProgress> = {}): BacktestProgress => ({
    backtestId: 'bt_1',
    progress: Math.min(version * 10, 100),
    status: 'running',
    phase: 'running',
    sessionId: 's',
    requestedBy: OTHER,
    version,
    ...more,
  })

  test('news in any order: the newest version stands, in its place', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (versions) => {
        const other = job(1, { backtestId: 'bt_2' })
        const news = versions.map((one): RoomEvent => ({ type: 'job', job: job(one) }))
        const state = after([
          { type: 'job', job: job(0) },
          { type: 'job', job: other },
          ...news,
        ])
        expect(state.jobs).toEqual([job(Math.max(...versions)), other])
      }),
    )
  })

  test('one that ended while we were away has the end that the log tells', () => {
    const failure = { error: { code: 'cancelled', message: '', hint: null }, backtestId: 'bt_1' }
    const result = { ...entry(3), success: false, data: failure } as Entry
    const state = after([
      ack(logOf(2), 2, { jobs: [job(4)] }),
      { type: 'offline' },
      ack([result], 3),
    ])
    expect(state.jobs).toMatchObject([
      { phase: 'done', status: 'failed', outcome: 'cancelled', progress: 40 },
    ])
  })

  test('one that ended and whose result is no longer kept is not shown as running', () => {
    expect(after([ack([], 0, { jobs: [job(4)] }), ack([], 0)]).jobs).toEqual([])
  })
})

describe('what is being written', () => {
  const delta = (index: number, text: string, doing?: string): RoomEvent => {
    const told: MessageDelta = {
      sessionId: 's',
      messageId: 'm_1',
      replyTo: 'm_0',
      index,
      delta: text,
      ...(doing === undefined ? {} : { doing }),
    }
    return { type: 'delta', delta: told }
  }
  const text = (state: RoomState) => state.writing.map((one) => one.content)

  test('pieces told again are not added again', () => {
    const told = fc.array(fc.nat({ max: 9 }), { maxLength: 40 })
    fc.assert(
      fc.property(told, (repeats) => {
        const pieces = Array.from({ length: 10 }, (_, index) => index)
        let state = after([ack([], 0)])
        for (const index of pieces) {
          state = reduce(state, delta(index, `${index}`))
          for (const old of repeats) if (old <= index) state = reduce(state, delta(old, `${old}`))
        }
        expect(text(state)).toEqual(['0123456789'])
      }),
    )
  })

  test('it goes on from what the join told', () => {
    const stream = { messageId: 'm_1', replyTo: 'm_0', index: 4, content: 'so far' }
    const state = after([ack([], 0, { streams: [stream] }), delta(4, 'old'), delta(5, ' and on')])
    expect(text(state)).toEqual(['so far and on'])
  })

  test('what a join does not tell of is no longer written', () => {
    expect(text(after([ack([], 0), delta(0, 'a'), { type: 'offline' }, ack([], 0)]))).toEqual([])
  })

  test('the message takes its place, and late pieces are dropped', () => {
    const written = after([ack([], 0), delta(0, 'te'), delta(1, 'x', '/compare')])
    expect(linesOf(written, 's')).toMatchObject([
      { key: 'm_1', status: 'writing', content: 'tex', doing: '/compare' },
    ])
    const state = after([{ type: 'entry', entry: entry(1) }, delta(2, 't')], written)
    expect(linesOf(state, 's')).toMatchObject([
      { key: 'm_1', status: 'stored', content: 'text 1' },
    ])
  })

  test('pieces of a message that waits behind a hole are dropped', () => {
    const held: RoomEvent = { type: 'entry', entry: { ...entry(2), id: 'm_1' } as Entry }
    expect(text(after([ack([], 0), held, delta(3, 'late')]))).toEqual([])
  })
})
