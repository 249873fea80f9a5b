// A Socket.IO room server on Node, as the library comes. Orders arrive as in ../control.py.
// `--deflate` offers per-message compression, which the library itself leaves off.
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setImmediate as turnEnds, setTimeout as after } from "node:timers/promises";
import { Server } from "socket.io";

const http = createServer();
const perMessageDeflate = process.argv.includes("--deflate");
const io = new Server(http, { path: "/ws/chatops/", ...(perMessageDeflate && { perMessageDeflate }) });

const SESSION_ID = /^[A-Za-z0-9_-]{1,64}$/;

function sessionOf(given) {
  const id = typeof given === "object" && given !== null ? given.sessionId : given;
  return typeof id === "string" && SESSION_ID.test(id) ? id : undefined;
}

io.on("connection", (socket) => {
  const serve = (event, act) =>
    socket.on(event, (given, ack) => {
      const room = sessionOf(given);
      if (room !== undefined) act(room);
      if (typeof ack === "function") ack({ ok: room !== undefined });
    });
  serve("joinSession", (room) => socket.join(room));
  serve("leaveSession", (room) => socket.leave(room));
});

const now = () => Number(process.hrtime.bigint() / 1000n);
const AROUND = '42["",{"n":10000000,"t":"0000000000000000","sessionId":"room-000","content":""}]'.length;

async function burst(order) {
  const rooms = Array.from({ length: order.rooms }, (_, i) => `room-${String(i).padStart(3, "0")}`);
  const content = "x".repeat(order.bytes - AROUND - order.event.length);
  const began = performance.now();
  for (let done = 0; done < order.events; done += order.turn) {
    for (let i = done; i < Math.min(done + order.turn, order.events); i++) {
      for (const room of rooms) {
        const t = String(now()).padStart(16, "0");
        io.to(room).emit(order.event, { n: 10_000_000 + order.first + i, t, sessionId: room, content });
      }
    }
    const wait = began + (done / order.turn + 1) * order.gap_s * 1000 - performance.now();
    if (order.gap_s && wait > 0) await after(wait);
    else await turnEnds();
  }
}

const version = (name) =>
  JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;
const about = `socket.io ${version("socket.io")} ws ${version("ws")}, Node ${process.versions.node}`;

http.listen(0, "127.0.0.1", async () => {
  console.log(`listens on http://127.0.0.1:${http.address().port}`);
  for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    if (order.do === "burst") await burst(order);
    console.log(JSON.stringify({ done: order.do, about }));
  }
  process.exit(0);
});
