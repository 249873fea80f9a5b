// A Socket.IO room server on Node with the Redis adapter, both as they come: several of them on one
// Redis are one room. What somebody says is shown to the room and acked; nothing is stored.
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const publisher = createClient({ url: process.env.REDIS_URL });
const subscriber = publisher.duplicate();
for (const client of [publisher, subscriber]) client.on("error", (error) => console.error(error));
await Promise.all([publisher.connect(), subscriber.connect()]);

const http = createServer();
const io = new Server(http, { path: "/ws/chatops/", adapter: createAdapter(publisher, subscriber) });

let said = 0;

// What ours shows has these fields; a number and an id cost what they cost there.
const entry = (socket, { sessionId, content }) => ({
  id: `msg_${randomBytes(12).toString("base64url")}`,
  sessionId,
  role: "user",
  content,
  timestamp: new Date().toISOString(),
  seq: ++said,
  author: { id: `client:${socket.id}`, name: "guest" },
});

io.on("connection", (socket) => {
  socket.on("joinSession", (room, ack) => {
    socket.join(room);
    ack({ ok: true });
  });
  socket.on("sendMessage", (given, ack) => {
    const message = entry(socket, given);
    io.to(given.sessionId).emit("message", message);
    ack({ ok: true, message });
  });
});

const version = (name) =>
  JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;
const parts = ["socket.io", "@socket.io/redis-adapter", "redis", "ws"];
const about = `${parts.map((name) => `${name} ${version(name)}`).join(" ")}, Node ${process.versions.node}`;

http.listen(0, "127.0.0.1", async () => {
  console.log(`listens on http://127.0.0.1:${http.address().port}`);
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify({ done: JSON.parse(line).do, about }));
  }
  process.exit(0);
});
