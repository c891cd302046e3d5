// The peers: a Socket.IO server that hears of rows by LISTEN, with the message in the notification, in one of three set-ups (SETUP).
//
//   plain     socket.io as it comes
//   recovery  with connection state recovery, in memory
//   streams   with connection state recovery and the Redis streams adapter
//
// Guarantee: none beyond those of the parts. What is committed while nobody listens is lost, since NOTIFY stores nothing.
// Kept as good as its parts allow: with the adapter one server publishes for all (an advisory lock says which), SIGTERM closes the
// sockets before it ends, and a client that was not recovered can reload its room over HTTP.
import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-streams-adapter";
import pg from "pg";
import { createClient } from "redis";
import { Server } from "socket.io";

const { DATABASE_URL: connectionString, PORT, REDIS_PORT, SETUP } = process.env;
// Any number that all servers share.
const LOCK = 7_270_001;
const say = (message, rest) => console.error(JSON.stringify({ message, ...rest }));
const room = (contactId) => `conversation:${contactId}`;

const reads = new pg.Pool({ connectionString, max: 4 });
const http = createServer(async (request, response) => {
  const url = new URL(request.url, "http://localhost");
  const [, contactId] = url.pathname.match(/^\/api\/conversations\/([^/]+)\/messages$/) ?? [];
  if (!contactId) return response.writeHead(404).end();
  // Newest last, as Rowcast's history has it, and all at once: more than it would read, never less.
  const { rows } = await reads.query("select body from messages where contact_id = $1 order by created_at, id", [contactId]);
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ messages: rows, more: false }));
});

const redis = SETUP === "streams" ? createClient({ url: `redis://127.0.0.1:${REDIS_PORT}` }) : undefined;
redis?.on("error", (error) => say("redis", { error: error.message }));
await redis?.connect();
const io = new Server(http, {
  cors: { origin: "http://localhost:3000", credentials: true },
  ...(SETUP === "plain" ? {} : { connectionStateRecovery: {} }),
  ...(redis ? { adapter: createAdapter(redis) } : {}),
});

io.on("connection", (socket) => {
  socket.on("join:conversation", (contactId, ack) => {
    socket.join(room(contactId));
    ack?.({ ok: true });
  });
});

async function listen() {
  const db = new pg.Client({ connectionString, keepAlive: true });
  db.on("error", (error) => {
    say("listener lost", { error: error.message });
    setTimeout(() => listen().catch(() => process.exit(1)), 1000);
  });
  db.on("notification", ({ payload }) => {
    const message = JSON.parse(payload);
    io.to(room(message.contactId)).emit("message:new", { message, contactId: message.contactId });
  });
  await db.connect();
  // The adapter carries an event to all servers, so one of them may announce it.
  if (redis) await db.query("select pg_advisory_lock($1)", [LOCK]);
  await db.query("listen messages");
}

const listening = listen();
// A second server with the adapter listens only once the first is gone.
if (!redis) await listening;
http.listen(Number(PORT ?? 0), "127.0.0.1", () => say("ready", { address: `127.0.0.1:${http.address().port}` }));

process.on("SIGTERM", () => {
  // Cuts the sockets, for which recovery stores their sessions.
  io.close();
  setTimeout(() => process.exit(0), 500);
});
