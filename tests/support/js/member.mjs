// A member of a session for tests: says what it sees as JSON lines, sends what it reads.
import { createInterface } from 'node:readline'
import { Room } from '../../../client_examples/node/room.mjs'

const [url, session, name] = process.argv.slice(2)
const room = new Room(url, session, { name, history: 500 })
const say = (what) => process.stdout.write(JSON.stringify(what) + '\n')

for (const event of ['message', 'commandResult']) {
  room.on(event, (entry) => say({ entry: entry.seq, content: entry.content ?? entry.message }))
}
room.on('gap', () => say({ trouble: 'gap' }))
room.on('afresh', () => say({ trouble: 'afresh' }))
room.on('refused', (error) => say({ trouble: error }))
room.on('joined', () => say({ joined: true }))

room.connect()
for await (const line of createInterface({ input: process.stdin })) {
  room.send(line).then(
    (ack) => say({ acked: line, seq: ack.message.seq }),
    (error) => say({ trouble: String(error) }),
  )
}
room.close()
