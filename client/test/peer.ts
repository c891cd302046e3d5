// A scripted server: the real `socket.io` and its HTTP reads on one port, over a log in memory.
//
// Guarantee: says what Rowcast says (docs/http.md, docs/resume.md), and only when the test lets it. An answer over HTTP is
//            made when the request comes and sent when it is let through, so that what is late is also old.

import { createServer, type IncomingMessage, type Server as HttpServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Server, type Socket } from "socket.io";
import type { Member, Message } from "../src/index.js";
import { Log, offsetText, positionOf } from "./log.js";

export type Kind = "connect" | "messages" | "events" | "join" | "joined" | "leave" | "live";
type Engine = Socket["conn"];
type Ack = (answer: unknown) => void;

/** What a join asks for beside its room. */
interface Asked {
  after?: string;
  presence?: boolean;
}

/** Something that is held until the test lets it through. */
export class Gate {
  readonly held: (() => void)[] = [];
  isOpen = false;
  constructor(readonly matches: (kind: Kind, contactId: string) => boolean) {}

  /** Lets go what is held, and whatever comes. */
  open(): void {
    this.isOpen = true;
    this.held.splice(0).forEach((go) => go());
  }
}

/** The log knows a conversation by its contact, and other rooms by their names. */
const wholeName = (id: string) => (id.includes(":") ? id : `conversation:${id}`);

export class Peer {
  readonly log = new Log();
  /** Every request over HTTP, as `messages 42`, and every event of a socket, as `join 42`. */
  readonly asked: string[] = [];
  /** What came with handshakes, requests and `auth:refresh`, in that order of names. */
  readonly tokens: Record<"handshake" | "http" | "refresh", unknown[]> = { handshake: [], http: [], refresh: [] };
  readonly handshakes: Record<string, unknown>[] = [];
  /** Tokens that are good; all are when there is none. */
  readonly good = new Set<unknown>();
  readonly typing: string[] = [];
  /** Who is in a room, as those are told who ask for it. */
  readonly present = new Map<string, Member[]>();
  /** How many are there besides, too many to be listed. */
  unlisted = 0;
  /** Joins that asked for it. */
  presenceAsks = 0;
  /** Why connections are refused. */
  refusal: string | undefined;
  /** Why joins are refused. */
  joinRefusal: string | undefined;
  /** How reads fail, by their kind. */
  readonly failures = new Map<Kind, { status: number; code?: string; body?: string }>();
  /** Events below this position are gone. */
  oldest = 0;
  /** How `auth:refresh` is answered, `ok` or by a code; not at all without. */
  refresh: string | undefined = "ok";
  /** No connection gets as far as a handshake. */
  blocked = false;
  /** Joins and leaves that a socket may send in a second; as the server counts them, and refuses one above. */
  rate = Infinity;
  /** Nothing is sent to rooms. */
  silent = false;
  /** How many connections there were, also those without a handshake. */
  engines = 0;
  #gates: Gate[] = [];
  readonly #open = new Set<Engine>();
  #http: HttpServer | undefined;
  #io: Server | undefined;
  #port = 0;

  static async start(): Promise<Peer> {
    const peer = new Peer();
    await peer.listen();
    return peer;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.#port}`;
  }

  get sockets(): Socket[] {
    return [...(this.#io?.sockets.sockets.values() ?? [])];
  }

  /** Connections that are open, also those without a handshake yet. */
  get transports(): number {
    return this.#io?.engine.clientsCount ?? 0;
  }

  members(contactId: string): number {
    return this.#io?.sockets.adapter.rooms.get(`conversation:${contactId}`)?.size ?? 0;
  }

  /** Holds what it names from now on. */
  hold(kind: Kind, contactId?: string): Gate {
    const gate = new Gate((its, id) => its === kind && (contactId === undefined || contactId === id));
    this.#gates.push(gate);
    return gate;
  }

  async listen(): Promise<void> {
    const http = (this.#http = createServer((request, response) => this.#answer(request, response)));
    const allowRequest = (_: unknown, decide: (error: string | null, allowed: boolean) => void) => decide(null, !this.blocked);
    const io = (this.#io = new Server(http, { serveClient: false, allowRequest }));
    io.engine.on("connection", (engine: Engine) => {
      this.engines += 1;
      this.#open.add(engine);
      engine.on("close", () => this.#open.delete(engine));
    });
    io.use((socket, next) => {
      const { auth } = socket.handshake;
      this.handshakes.push(auth);
      this.tokens.handshake.push(auth.token);
      const refusal = this.refusal ?? (this.#known(auth.token) ? undefined : "unauthorized");
      this.#pass("connect", "", () => next(refusal ? new Error(refusal) : undefined));
    });
    io.on("connection", (socket) => this.#serve(socket));
    await new Promise<void>((done) => http.listen(this.#port, "127.0.0.1", done));
    this.#port = (http.address() as AddressInfo).port;
  }

  /** Nobody can reach it until `listen`. */
  async vanish(): Promise<void> {
    const [http, io] = [this.#http, this.#io];
    this.#http = this.#io = undefined;
    for (const socket of io?.sockets.sockets.values() ?? []) socket.conn.close();
    http?.closeAllConnections();
    await io?.close();
  }

  async close(): Promise<void> {
    this.#gates.forEach((gate) => gate.open());
    await this.vanish();
  }

  /** Cuts every connection, as a network does. */
  drop(): void {
    for (const socket of this.sockets) socket.conn.close();
  }

  /** The same for those without a handshake yet. */
  dropTransports(): void {
    for (const engine of this.#open) engine.close();
  }

  /** Puts everybody out of a conversation's room. */
  putOut(contactId: string, reason: string): void {
    for (const socket of this.sockets) {
      void socket.leave(`conversation:${contactId}`);
      delete socket.data[contactId];
      socket.emit("rowcast:left", { room: `conversation:${contactId}`, reason });
    }
  }

  /** Writes an event and sends it to its room. */
  write(contactId: string, event: string, data: Record<string, unknown>): void {
    const position = this.log.append(contactId, event, data);
    if (this.silent) return;
    // For those who are in the room at this moment, and have not left it when it is let through.
    const members = this.sockets.map((socket) => [socket, socket.data[contactId] as unknown] as const);
    this.#pass("live", contactId, () => {
      for (const [socket, membership] of members) {
        if (membership && socket.data[contactId] === membership) socket.emit(event, data, offsetText("live", position));
      }
    });
  }

  insert(contactId: string, id: string, more: Partial<Message> = {}): void {
    this.write(contactId, "message:new", { message: this.log.row(contactId, id, more), contactId: contactId.replace("inbox:", "") });
  }

  setStatus(contactId: string, messageId: string, status: string): void {
    this.write(contactId, "message:status", { messageId, status, contactId, at: "2026-01-01T00:00:00Z" });
  }

  update(contactId: string, id: string, more: Partial<Message>): void {
    const known = this.log.rows(contactId).find((row) => row.id === id);
    this.write(contactId, "message:updated", { message: { ...known, ...more }, contactId });
  }

  remove(contactId: string, messageId: string): void {
    this.write(contactId, "message:deleted", { messageId, contactId });
  }

  room(contactId: string) {
    return this.#io!.to(`conversation:${contactId}`);
  }

  #known(token: unknown): boolean {
    return !this.good.size || this.good.has(token);
  }

  #pass(kind: Kind, contactId: string, go: () => void): void {
    const gate = this.#gates.find((gate) => !gate.isOpen && gate.matches(kind, contactId));
    if (gate) gate.held.push(go);
    else go();
  }

  #serve(socket: Socket): void {
    socket.emit("rowcast:ready", { server: "0.0.0" }, offsetText("ready", this.log.position));
    // Joins and leaves are handled in the order sent, each when the one before is answered.
    let last = Promise.resolve();
    const inTurn = (kind: Kind, id: string, handle: (done: () => void) => void) => {
      this.asked.push(`${kind} ${id}`);
      last = last.then(() => new Promise((done) => this.#pass(kind, id, () => handle(done))));
    };
    const refused = { ok: false, error: { code: "too_many_requests", message: "" } };
    let [tokens, filled] = [this.rate, performance.now()];
    const isTooMuch = () => {
      const now = performance.now();
      if (this.rate < Infinity) tokens = Math.min(this.rate, tokens + ((now - filled) / 1000) * this.rate);
      filled = now;
      return tokens < 1 || (tokens--, false);
    };
    const join = (id: string, { after, presence }: Asked, ack: Ack) => {
      const isRefused = isTooMuch();
      inTurn("join", id, (done) => {
        const answer = isRefused ? refused : this.#join(socket, id, after);
        this.#pass("joined", id, () => {
          ack(answer);
          // It comes later, because it takes the database.
          if (presence) setTimeout(() => this.#tellPresence(socket, id), 20);
          done();
        });
      });
    };
    const leave = (id: string, ack?: Ack) => {
      const isRefused = isTooMuch();
      inTurn("leave", id, (done) => {
        if (!isRefused) {
          void socket.leave(`conversation:${id}`);
          delete socket.data[id];
        }
        ack?.(isRefused ? refused : { ok: true });
        done();
      });
    };
    socket.on("join:conversation", ({ contactId, ...asked }: Asked & { contactId: string }, ack: Ack) => join(contactId, asked, ack));
    socket.on("leave:conversation", leave);
    // The log knows a room of another kind by its whole name.
    socket.on("join:room", ({ room, ...asked }: Asked & { room: string }, ack: Ack) => join(room, asked, ack));
    socket.on("leave:room", leave);
    for (const word of ["start", "stop"]) {
      socket.on(`typing:${word}`, (contactId: string) => {
        this.typing.push(`${word} ${contactId}`);
        socket.to(`conversation:${contactId}`).emit(`typing:${word}`, { contactId });
      });
    }
    socket.on("auth:refresh", (token: unknown, ack: Ack) => {
      this.tokens.refresh.push(token);
      const ok = this.refresh === "ok" && this.#known(token);
      if (this.refresh) ack(ok ? { ok } : { ok, error: { code: this.refresh === "ok" ? "unauthorized" : this.refresh, message: "" } });
    });
  }

  #tellPresence(socket: Socket, id: string): void {
    this.presenceAsks += 1;
    const subjects = this.present.get(id) ?? [];
    socket.emit("presence:state", { room: wholeName(id), count: subjects.length + this.unlisted, subjects });
  }

  /** Somebody comes into a room, or leaves it. */
  setPresent(id: string, subject: string, isThere: boolean): void {
    const others = (this.present.get(id) ?? []).filter((member) => member.subject !== subject);
    const member = { subject, since: "2026-01-01T00:00:00Z" };
    this.present.set(id, isThere ? [...others, member] : others);
    this.room(id).emit(`presence:${isThere ? "join" : "leave"}`, { room: wholeName(id), ...member });
  }

  #join(socket: Socket, contactId: string, after: string | undefined): unknown {
    if (this.joinRefusal) return { ok: false, error: { code: this.joinRefusal, message: "" } };
    const room = `conversation:${contactId}`;
    const offset = offsetText("join", this.log.position);
    void socket.join(room);
    socket.data[contactId] ??= {};
    const from = after === undefined ? this.log.position : positionOf(after);
    if (from < this.oldest) return { ok: true, room, offset, replayed: 0, resync: true };
    const missed = this.log.after(contactId, from);
    for (const { event, data, position } of missed) socket.emit(event, data, offsetText("replay", position));
    return { ok: true, room, offset, replayed: missed.length };
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "", this.url);
    const [, id = "", kind = ""] = /^\/api\/(?:conversations|rooms)\/([^/]+)\/(messages|events)$/.exec(url.pathname) ?? [];
    const contactId = decodeURIComponent(id);
    const token = /^Bearer (.*)$/.exec(request.headers.authorization ?? "")?.[1];
    this.asked.push(`${kind} ${contactId}`);
    this.tokens.http.push(token);
    const failure = this.failures.get(kind as Kind) ?? (this.#known(token) ? undefined : { status: 401, code: "unauthorized" });
    const [status, body] = failure
      ? [failure.status, failure.body ?? JSON.stringify({ error: { code: failure.code, message: "" } })]
      : this.#read(kind as Kind, contactId, url.searchParams);
    this.#pass(kind as Kind, contactId, () => {
      response.writeHead(status, { "content-type": "application/json", "access-control-allow-origin": "*" });
      response.end(body);
    });
  }

  #read(kind: Kind, contactId: string, query: URLSearchParams): [number, string] {
    const offset = offsetText("http", this.log.position);
    if (kind === "messages") {
      const page = this.log.page(contactId, Number(query.get("limit")), query.get("before"));
      return page ? [200, JSON.stringify({ ...page, offset })] : [400, JSON.stringify({ error: { code: "bad_request" } })];
    }
    const after = query.get("after");
    if (after === null) return [200, JSON.stringify({ events: [], offset, more: false })];
    const from = positionOf(after);
    if (Number.isNaN(from)) return [400, JSON.stringify({ error: { code: "bad_request" } })];
    if (from < this.oldest) return [410, JSON.stringify({ error: { code: "offset_expired" } })];
    const all = this.log.after(contactId, from);
    const some = all.slice(0, this.log.pageOfEvents);
    const events = some.map(({ event, data, position }) => ({ event, data, offset: offsetText("page", position) }));
    const more = some.length < all.length;
    return [200, JSON.stringify({ events, offset: more ? events.at(-1)!.offset : offset, more })];
  }
}
