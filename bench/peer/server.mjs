// The server a Node team writes first: LISTEN, parse the payload, emit it to the room.
// It is the peer in the benchmark, so it is kept as good as it is short: one query connection, one parse and one
// broadcast per row, socket.io's own defaults (no compression, no recovery). What is committed while it is not
// listening is lost, since NOTIFY stores nothing.
import { createServer } from "node:http";
import pg from "pg";
import { Server } from "socket.io";

const http = createServer();
const io = new Server(http, { cors: { origin: "http://localhost:3000", credentials: true } });
const room = (contactId) => `conversation:${contactId}`;

io.on("connection", (socket) => {
  socket.on("join:conversation", (contactId, ack) => {
    socket.join(room(contactId));
    ack?.({ ok: true });
  });
  socket.on("leave:conversation", (contactId, ack) => {
    socket.leave(room(contactId));
    ack?.({ ok: true });
  });
});

async function listen() {
  const db = new pg.Client({ connectionString: process.env.DATABASE_URL, keepAlive: true });
  db.on("error", (error) => {
    console.error(JSON.stringify({ message: "listener lost", error: error.message }));
    setTimeout(() => listen().catch(() => process.exit(1)), 1000);
  });
  db.on("notification", ({ payload }) => {
    const message = JSON.parse(payload);
    io.to(room(message.contactId)).emit("message:new", { message, contactId: message.contactId });
  });
  await db.connect();
  await db.query("listen messages");
}

await listen();
http.listen(Number(process.env.PORT ?? 3001), "127.0.0.1", () => {
  console.error(JSON.stringify({ message: "ready", address: `127.0.0.1:${http.address().port}` }));
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(0));
