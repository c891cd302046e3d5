// The connection that all conversations of a page share.
//
// Guarantee: an event is told once, whoever brought it (see conversation.ts). A connection that is lost or refused is tried
//            again for ever, with a fresh token where the server asked for one.
// Refuses:   Socket.IO's own resume. Conversations go on after their offsets, which polling moves too.

import { io, type Socket } from "socket.io-client";
import { parseAddress } from "./address.js";
import { call } from "./call.js";
import { Conversation } from "./conversation.js";
import type { Options } from "./options.js";
import type { ClientEvents, JoinAnswer, Message, Refusal, Row, ServerEvents } from "./protocol.js";
import { Token } from "./token.js";

/** How long the server may take to answer. */
const ANSWER_MS = 10_000;
/** Until a refused connection is tried again, about. */
const REFUSED_MS = 5_000;

/** What a listener of an event is given. Any other event of the server can be listened to by its name. */
export type Listener<M extends Row, E extends string> = E extends keyof ServerEvents<M>
  ? (payload: Parameters<ServerEvents<M>[E]>[0]) => void
  : (payload: unknown) => void;

/** Conversations of one server, over one connection. */
export class ConversationSocket<M extends Row = Message> {
  /** @internal */
  readonly io: Socket<ServerEvents<M>, ClientEvents> | undefined;
  /** @internal What all paths of conversations begin with. */
  readonly api: string;
  /** @internal Settled once no event of a room that was left can come any more. */
  leaving: Promise<unknown> | undefined;
  /** @internal Why the server refuses the connection. */
  refusal: string | null = null;
  readonly #token: Token;
  readonly #page = new AbortController();
  readonly #conversations = new Map<string, Conversation<M>>();
  readonly #listeners = new Map<string, Set<(payload: never) => void>>();
  #retry: ReturnType<typeof setTimeout> | undefined;
  #renewal: ReturnType<typeof setTimeout> | undefined;

  /** @throws TypeError when the url is none */
  constructor(readonly options: Options<M>) {
    const { url, withCredentials = false, transports = ["websocket"] } = options;
    const { origin, path } = url ? parseAddress(url) : { origin: "", path: "" };
    const token = (this.#token = new Token(options.token));
    this.api = `${origin}${path}/api/conversations/`;
    const wake = () => this.#each((conversation) => conversation.wake());
    if (typeof document !== "undefined") {
      const { signal } = this.#page;
      const look = () => document.hidden || wake();
      addEventListener("pagehide", () => this.#each((conversation) => conversation.keep()), { signal });
      addEventListener("online", look, { signal });
      addEventListener("visibilitychange", look, { signal });
    }
    if (!url) return;
    const socket: Socket<ServerEvents<M>, ClientEvents> = (this.io = io(origin, {
      path: `${path}/socket.io`,
      transports,
      withCredentials,
      forceNew: true,
      autoConnect: false,
      // Without the pid that Socket.IO would add to it: each conversation goes on after its own offset.
      auth: (send) => void token.get().catch(() => {}).then((token) => send({ token, pid: undefined })),
    }));
    socket.on("connect", () => {
      this.refusal = null;
      this.#renew();
      wake();
    });
    socket.on("disconnect", (reason) => {
      clearTimeout(this.#renewal);
      this.#each((conversation) => conversation.disconnected());
      if (reason === "io server disconnect") this.#connectLater();
    });
    socket.on("connect_error", ({ message }) => {
      if (socket.active) return;
      this.refusal = message;
      wake();
      this.#connectLater();
    });
    socket.onAny((event: string, payload: unknown, offset: unknown) => {
      if (/^rowcast:(?!resync)/.test(event)) return this.tell(event, payload);
      const id = this.ownerOf(payload);
      if (id === undefined) this.tell(event, payload);
      else this.#conversations.get(String(id))?.receive(event, payload, offset);
    });
  }

  /** Whether the server has accepted the connection. A conversation is live when its own `status` says `connected`. */
  get connected(): boolean {
    return !!this.io?.connected;
  }

  /** Connects, if it is not yet; `join` does so too. */
  connect(): void {
    // A second time would be a second session.
    if (!this.io?.active) this.io?.connect();
  }

  /** Leaves every conversation and disconnects, for good. */
  close(): void {
    this.#each((conversation) => conversation.end());
    this.#conversations.clear();
    this.#page.abort();
    clearTimeout(this.#retry);
    this.io?.disconnect();
  }

  /** Opens a conversation: history, then its events as they come. All who join the same one get the same object. */
  join(contactId: string | number): Conversation<M> {
    this.connect();
    const id = String(contactId);
    const conversation = this.#conversations.get(id) ?? new Conversation<M>(id, this);
    this.#conversations.set(id, conversation);
    conversation.users += 1;
    return conversation;
  }

  /** Takes a `join` back. After the last one the room is left. */
  leave(contactId: string | number): void {
    const id = String(contactId);
    const conversation = this.#conversations.get(id);
    if (!conversation) return;
    conversation.users -= 1;
    // Whoever leaves and joins in one breath, as React's strict mode does, has not left.
    queueMicrotask(() => {
      if (conversation.users > 0 || this.#conversations.get(id) !== conversation) return;
      this.#conversations.delete(id);
      conversation.end();
    });
  }

  /** Calls `listener` for each event of that name in the joined conversations. Returns what ends it. */
  on<E extends keyof ServerEvents<M> | (string & {})>(event: E, listener: Listener<M, E>): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /** @internal Reads of a conversation. What the server refuses is thrown with its `code`. */
  async get<T>(contactId: string, what: string, signal?: AbortSignal): Promise<T> {
    const token = await this.#token.get();
    const response = await fetch(`${this.api}${encodeURIComponent(contactId)}/${what}`, {
      cache: "no-store",
      ...(this.options.withCredentials && { credentials: "include" }),
      headers: token ? { authorization: `Bearer ${token}` } : {},
      signal: AbortSignal.any([AbortSignal.timeout(ANSWER_MS), signal ?? this.#page.signal]),
    });
    if (response.status === 401) this.#token.forget();
    const answer = (await response.json()) as T & { error?: Refusal };
    if (!response.ok) throw answer.error;
    return answer;
  }

  /** @internal */
  async ask(event: "join:conversation" | "leave:conversation" | "auth:refresh", argument: unknown): Promise<JoinAnswer> {
    try {
      return await this.io!.timeout(ANSWER_MS).emitWithAck(event as "join:conversation", argument as string);
    } catch (error) {
      if (this.connected) this.cut();
      throw error;
    }
  }

  /** @internal */
  leaveRoom(contactId: string): void {
    if (this.connected) this.leaving = this.ask("leave:conversation", contactId).catch(() => {});
  }

  /** @internal Gives the connection up: it brings nothing. */
  cut(): void {
    this.io!.disconnect().connect();
  }

  /** @internal Whose an event is. A payload of the application's own need not say: with one conversation that is clear. */
  ownerOf(payload: unknown): unknown {
    const [only, other] = this.#conversations.keys();
    return (payload as { contactId?: unknown } | null | undefined)?.contactId ?? (other === undefined ? only : undefined);
  }

  /** @internal */
  tell(event: string, payload: unknown): void {
    call(this.#listeners.get(event) ?? [], payload as never);
  }

  #each(what: (conversation: Conversation<M>) => void): void {
    this.#conversations.forEach(what);
  }

  /** Socket.IO leaves it to us where the server said no. */
  #connectLater(): void {
    this.#token.forget();
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.connect(), REFUSED_MS * (0.5 + Math.random()));
  }

  /** Before the token expires the server gets the next one, over the same connection. */
  #renew(delay = this.#token.renewAt - Date.now()): void {
    clearTimeout(this.#renewal);
    // Longer than a timer can run, or unknown.
    if (!(delay < 2e9)) return;
    this.#renewal = setTimeout(async () => {
      this.#token.forget();
      try {
        const token = await this.#token.get();
        if (!this.connected) return;
        const { ok } = await this.ask("auth:refresh", token);
        // A server that takes none gets it with the next connection.
        if (ok) this.#renew();
        else this.cut();
      } catch {
        // The token that the server has is good for a while.
        if (this.connected) this.#renew(REFUSED_MS);
      }
    }, Math.max(delay, 1_000));
  }
}
