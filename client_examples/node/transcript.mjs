/** Print what is said in a room, answers while they are written; each stands in one piece. */
export function printTranscript(room) {
  let shown = null // the answer that stands on the last line
  const later = [] // lines that wait for its end
  const print = (line) => (shown ? later.push(line) : console.log(line))
  const end = () => {
    shown = null
    later.splice(0).forEach(print)
  }
  room.on('messageDelta', ({ messageId, text, delta, doing }) => {
    if (doing) console.error(`assistant: ${doing}`)
    if (!text) return
    process.stdout.write(shown?.messageId === messageId ? delta : `assistant: ${text}`)
    shown = { messageId, text }
  })
  room.on('message', ({ id, role, author, content }) => {
    const line = `${author?.name ?? 'chatops'}: ${content}`
    if (!shown || role !== 'assistant') return print(line)
    const goesOn = id === shown.messageId && content.startsWith(shown.text)
    console.log(goesOn ? content.slice(shown.text.length) : `\n${line}`)
    end()
  })
  room.on('commandResult', ({ message, data }) => {
    if (!data?.answer) print(message)
  })
  for (const lost of ['gap', 'afresh']) room.on(lost, end)
}
