// A crowd of official socket.io-clients, and what became of them: for tests in which each client is one of hundreds.
//
// Speaks JSON lines, as client.mjs does. The bodies of each room's messages are the numbers from 1 on, so every client can say by itself
// what it lost and what it had twice. A third of the clients is as stock as can be (polling, then the upgrade), a third begins as a WebSocket,
// and a third does so and knocks again at once when it is cut.
//
//   {op:"start", url, clients, rooms}   joins client i to the room i % rooms; answered once all have joined
//   {op:"state"}                        answered at once
//
//   {connected, least, most, lost, doubled, unrecovered, resyncs, errors, gaps}
//     least, most: the smallest and the largest number that a client has come to; errors: the messages of connect_error, each once with its count;
//     gaps: of each return since the last answer, the milliseconds from "disconnect" to "connect"; quick: of those that knock at once
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const crowd = [];
let [lost, doubled, unrecovered, resyncs] = [0, 0, 0, 0];
let [gaps, quick] = [[], []];
const errors = {};
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

function count(client, number) {
  if (client.last !== undefined && number <= client.last) doubled += 1;
  else {
    if (client.last !== undefined) lost += number - client.last - 1;
    client.last = number;
  }
}

const KINDS = [{}, { transports: ["websocket"] }, { transports: ["websocket"], reconnectionDelay: 1 }];

function open(url, room, kind) {
  const client = { socket: io(url, { forceNew: true, ...kind }) };
  const { socket } = client;
  socket.on("connect", () => {
    if (client.cutAt === undefined) return;
    (kind === KINDS[2] ? quick : gaps).push(Math.round(performance.now() - client.cutAt));
    if (!socket.recovered) unrecovered += 1;
  });
  socket.on("disconnect", () => (client.cutAt = performance.now()));
  socket.on("connect_error", ({ message }) => (errors[message] = (errors[message] ?? 0) + 1));
  socket.on("message:new", ({ message }) => count(client, Number(message.body)));
  socket.on("rowcast:resync", () => (resyncs += 1));
  crowd.push(client);
  return new Promise((joined) => socket.once("connect", () => socket.emit("join:conversation", room, joined)));
}

const commands = {
  async start({ url, clients, rooms }) {
    const places = Array.from({ length: clients }, (_, index) => index);
    // A few at a time: this is no test of the handshake's limits.
    for (let from = 0; from < clients; from += 50) {
      const some = places.slice(from, from + 50);
      await Promise.all(some.map((index) => open(url, `r${index % rooms}`, KINDS[index % KINDS.length])));
    }
    tell({ joined: crowd.length });
  },
  state() {
    const connected = crowd.filter(({ socket }) => socket.connected).length;
    const numbers = crowd.map(({ last }) => last ?? 0);
    const [least, most] = [Math.min(...numbers), Math.max(...numbers)];
    tell({ connected, least, most, lost, doubled, unrecovered, resyncs, errors, gaps, quick });
    [gaps, quick] = [[], []];
  },
};

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line);
    commands[command.op](command);
  })
  .on("close", () => process.exit(0));
