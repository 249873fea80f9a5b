// A client as people write it. It is compiled, never run: the types of the wire must fit.
import { io, type Socket } from "socket.io-client";

import type {
  BacktestData,
  ClientToServerEvents,
  ErrorAck,
  JoinAck,
  Message,
  MessageAck,
  ServerToClientEvents,
} from "../../docs/reference/wire.js";

const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io("http://localhost:8500", {
  path: "/ws/chatops",
});
const seen = new Map<number, Message>();

socket.on("connect", () => {
  socket.emit("joinSession", "session_1697472000000");
  socket.emit("joinSession", { sessionId: "s", afterSeq: seen.size }, (reply) => {
    if (!reply.ok) {
      const hint: string | undefined = reply.error.hint;
      console.error(reply.error.code, hint);
      return;
    }
    for (const entry of reply.entries) {
      if (entry.type === "message") seen.set(entry.seq, entry);
      else console.log(entry.success, entry.durationMs);
    }
  });
});

socket.on("message", (message) => seen.set(message.seq, message));
socket.on("backtestProgress", ({ backtestId, progress, status, outcome }) => {
  if (status !== "running") console.log(backtestId, progress, outcome ?? "");
});
socket.on("commandResult", (result) => {
  const data = result.data;
  if (!data || !("points" in data)) return;
  const { metrics, points } = data as BacktestData;
  const sharpe: number | null = metrics.sharpe_ratio;
  const last: [number, number] | undefined = points.at(-1);
  console.log(sharpe, last?.[0]);
});
socket.on("error", (error) => console.error(error.message, error.retryAfterSeconds ?? 0));
socket.on("presence", ({ members }) => console.log(members.map((member) => member.name)));

export async function ask(text: string): Promise<string> {
  const reply: MessageAck | ErrorAck = await socket.emitWithAck("sendMessage", {
    sessionId: "s",
    content: text,
  });
  if (!reply.ok) throw new Error(reply.error.message);
  return reply.message?.id ?? reply.commandId ?? "";
}

export function worked(ack: JoinAck | ErrorAck): ack is JoinAck {
  return ack.ok;
}

// Mistakes that the types must catch.
// @ts-expect-error - no such event
socket.emit("sendMesage", { sessionId: "s", content: "hi" });
// @ts-expect-error - no session
socket.emit("sendMessage", { content: "hi" });
// @ts-expect-error - the wire says camelCase
socket.emit("executeCommand", { session_id: "s", command: "help" });
// @ts-expect-error - no such event of the server
socket.on("progress", () => undefined);
socket.on("backtestProgress", ({ status }) => {
  // @ts-expect-error - cancelled is an outcome, not a status
  if (status === "cancelled") return;
});
