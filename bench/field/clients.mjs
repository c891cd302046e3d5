// A process of stock clients, each behind a network of its own. Told what to do over IPC by run.mjs.
//
// Owns what each client is: socket.io-client with its defaults, websocket alone; one that joins its room when it was not recovered, and
// then reloads the room over HTTP, as a page has to. Notes when each row came, by the socket and by a reload apart.
import { get, Agent } from "node:http";
import { io } from "socket.io-client";
import { Network } from "./network.mjs";
import { now, sleep, until } from "./waiting.mjs";

const clients = [];
let upstreams = [];
let turn = 0;
const agent = new Agent({ keepAlive: false });

// The row's number, which its body carries.
const rowOf = (message) => Number(message.body.slice(6, 14));

function json(port, path) {
  return new Promise((resolve, reject) => {
    const request = get({ host: "127.0.0.1", port, path, agent }, (response) => {
      let text = "";
      response.on("data", (part) => (text += part));
      response.on("end", () => (response.statusCode === 200 ? resolve(JSON.parse(text)) : reject(new Error(`HTTP ${response.statusCode}`))));
    });
    request.on("error", reject);
  });
}

class Client {
  received = []; // [row, at]
  reloaded = new Map(); // row -> at
  connects = []; // { at, recovered }
  disconnects = []; // at
  cuts = []; // { at, mended }

  constructor(room) {
    this.room = room;
  }

  async start() {
    this.network = await Network.open(() => upstreams[turn++ % upstreams.length]);
    const url = `http://127.0.0.1:${this.network.port}`;
    this.socket = io(url, { transports: ["websocket"], extraHeaders: { origin: "http://localhost:3000" } });
    this.socket.on("message:new", ({ message }) => this.received.push([rowOf(message), now()]));
    this.socket.on("connect", () => {
      const connect = { at: now(), recovered: this.socket.recovered };
      this.connects.push(connect);
      if (!connect.recovered) this.#join(this.connects.length > 1);
    });
    this.socket.on("disconnect", () => this.disconnects.push(now()));
    await until("a client has joined", 30, () => this.joinedAt);
  }

  // Until it is done: a socket that ends meanwhile connects anew and joins by itself.
  async #join(reloads) {
    const { id } = this.socket;
    while (this.socket.connected && this.socket.id === id) {
      try {
        const answer = await this.socket.timeout(5000).emitWithAck("join:conversation", this.room);
        if (!answer.ok) throw new Error(answer.error?.code);
        this.joinedAt ??= now();
        if (reloads) await this.#reload();
        return;
      } catch {
        await sleep(100);
      }
    }
  }

  // Pages back until one holds what is known already.
  async #reload() {
    const known = new Set(this.received.map(([row]) => row));
    let before = "";
    for (;;) {
      const { messages, more } = await json(this.network.port, `/api/conversations/${this.room}/messages?limit=200${before}`);
      const at = now();
      for (const message of messages) {
        const row = rowOf(message);
        if (!known.has(row) && !this.reloaded.has(row)) this.reloaded.set(row, at);
      }
      if (!more || messages.some((message) => known.has(rowOf(message)))) return;
      before = `&before=${messages[0].id}`;
    }
  }

  // Its network is gone for `forMs` at random: first after 2 s and up to `everyS` more, then every `everyS` and up to half of that more.
  async jitter({ how, forMs, everyS, until }) {
    let next = now() + (2 + Math.random() * everyS) * 1000;
    while (next < until) {
      await sleep(next - now());
      const cut = { at: now() };
      this.network.cut(how);
      await sleep(forMs);
      this.network.mend();
      cut.mended = now();
      this.cuts.push(cut);
      next = now() + (1 + Math.random() / 2) * everyS * 1000;
    }
  }

  end() {
    this.socket.disconnect();
    this.network.close();
  }
}

const orders = {
  async start({ rooms, ports }) {
    upstreams = ports;
    for (const room of rooms) clients.push(new Client(room));
    for (let from = 0; from < clients.length; from += 25) await Promise.all(clients.slice(from, from + 25).map((client) => client.start()));
  },
  ports({ ports }) {
    upstreams = ports;
  },
  async jitter(how) {
    await Promise.all(clients.map((client) => client.jitter(how)));
  },
  count: () => clients.reduce((sum, { received }) => sum + received.length, 0),
  connected: () => clients.filter(({ socket }) => socket.connected).length,
  report: () => clients.map(({ room, received, reloaded, connects, disconnects, cuts }) => ({ room, received, reloaded: [...reloaded], connects, disconnects, cuts })),
  end() {
    for (const client of clients) client.end();
    setImmediate(() => process.exit(0));
  },
};

process.on("message", async ({ order, about, number }) => {
  try {
    process.send({ number, answer: (await orders[order](about)) ?? null });
  } catch (error) {
    process.send({ number, error: error.stack });
  }
});
process.on("disconnect", () => process.exit(0));
