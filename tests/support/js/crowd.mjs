// Many socket.io-clients in a room, as they are by default or with the transports named. Each line
// read is said by every one of them; each says as JSON lines what becomes of it.
import { createInterface } from 'node:readline'
import { createRequire } from 'node:module'

const require = createRequire(new URL('../../../client_examples/node/package.json', import.meta.url))
const { io } = require('socket.io-client')

const [url, session, count, ...transports] = process.argv.slice(2)
const say = (who, what) => process.stdout.write(JSON.stringify({ who, ...what }) + '\n')
const options = { path: '/ws/chatops', forceNew: true, ...(transports.length ? { transports } : {}) }
const sockets = Array.from({ length: Number(count) }, (_, who) => {
  const socket = io(url, options)
  socket.on('message', ({ seq }) => say(who, { seq }))
  socket.on('disconnect', (reason) => say(who, { cut: reason }))
  socket.on('connect_error', (error) => say(who, { failed: error.message }))
  socket.on('connect', () => {
    socket.emit('joinSession', session, (ack) => {
      say(who, ack.ok ? { joined: socket.io.engine.id } : { failed: ack.error.message })
    })
  })
  return socket
})

for await (const line of createInterface({ input: process.stdin })) {
  sockets.forEach((socket, who) => {
    socket.emit('sendMessage', { sessionId: session, content: `${line} ${who}` }, (ack) => {
      say(who, { acked: ack.ok, over: socket.io.engine.transport.name })
    })
  })
}
for (const socket of sockets) socket.disconnect()
