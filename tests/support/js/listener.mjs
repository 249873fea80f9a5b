// A bare socket.io-client in a room: says the seq and content of each message as JSON lines.
import { createRequire } from 'node:module'

const require = createRequire(new URL('../../../client_examples/node/package.json', import.meta.url))
const { io } = require('socket.io-client')

const [url, session, ...transports] = process.argv.slice(2)
const say = (what) => process.stdout.write(JSON.stringify(what) + '\n')
const socket = io(url, { path: '/ws/chatops', transports })

socket.on('message', ({ seq, content }) => say({ seq, content }))
socket.on('connect', () => socket.emit('joinSession', session, (ack) => say({ joined: ack.ok })))
socket.on('disconnect', (reason) => say({ cut: reason }))
process.stdin.on('end', () => socket.disconnect()).resume()
