// The connection that all conversations of a page share.
//
// Guarantee: a listener is called once for an event, whether the socket or polling brought it. A connection that is lost
//            or refused is tried again for ever, with a fresh token where the server asked for one.
// Refuses:   Socket.IO's own resume. Each conversation goes on after its own offset, which polling moves too.

import { io, type Socket } from "socket.io-client";
import { parseAddress } from "./address.js";
import { call } from "./call.js";
import { Conversation } from "./conversation.js";
import type { Options, TokenSource } from "./options.js";
import type { ClientEvents, JoinAnswer, LeftEvent, Message, Refusal, Row, ServerEvents } from "./protocol.js";
import { Pace } from "./pace.js";
import { nameOf, roomOf } from "./room.js";
import { NO_TOKEN, Token, type Given } from "./token.js";

/** How long the server may take to answer. */
const ANSWER_MS = 10_000;
/** A refused connection is tried again after half to one and a half of this, and of twice as much each time. */
const REFUSED_MS = 5_000;
/** At most of this. */
const REFUSED_LONG_MS = 30_000;

/** The listener of an event. The payload of an event that is not one of the server's own is unknown. */
export type Listener<M extends Row, E extends string> = E extends keyof ServerEvents<M>
  ? (payload: Parameters<ServerEvents<M>[E]>[0]) => void
  : (payload: unknown) => void;

/** What an event may say of its room. */
interface Named {
  room?: string;
  contactId?: string | number | null;
}

/** Conversations of one server, and rooms of other kinds, over one connection. */
export class ConversationSocket<M extends Row = Message> {
  /** @internal */
  readonly io: Socket<ServerEvents<M>, ClientEvents> | undefined;
  /** @internal The URL that the paths of all rooms begin with. */
  readonly api: string;
  /** @internal Settles when the server has answered the last `leaveRoom`: no event of that room can come any more. */
  leaving: Promise<unknown> | undefined;
  /** @internal The code by which the server refuses the connection, or why it was not asked for one. */
  refusal: string | null = null;
  readonly #token: Token;
  /** What the last handshake had. */
  #shown: Given | undefined;
  /** How often the connection was refused since it was accepted. */
  #refusals = 0;
  readonly #page = new AbortController();
  readonly #joins = new Pace();
  readonly #reads = new Pace();
  readonly #conversations = new Map<string, Conversation<M>>();
  readonly #listeners = new Map<string, Set<(payload: never) => void>>();
  #retry: ReturnType<typeof setTimeout> | undefined;
  #renewal: ReturnType<typeof setTimeout> | undefined;

  /** @throws TypeError when `url` is not a URL */
  constructor(readonly options: Options<M>) {
    const { url, withCredentials = false, transports = ["websocket"] } = options;
    const { origin, path } = url ? parseAddress(url) : { origin: "", path: "" };
    const token = (this.#token = new Token(options.token));
    this.api = `${origin}${path}/api/`;
    const wake = () => this.#each((conversation) => conversation.wake());
    if (typeof document !== "undefined") {
      const { signal } = this.#page;
      const look = () => {
        if (document.hidden) return;
        if (this.refusal) this.#connectNow();
        wake();
      };
      addEventListener("pagehide", () => this.#each((conversation) => conversation.save()), { signal });
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
      auth: (send) => {
        const { engine } = socket.io;
        // A connection that was given up while the source thought about it has nobody to send the token to.
        const isWaiting = () => socket.active && socket.io.engine === engine;
        (this.#shown = token.get()).then(
          // Without the `pid` that Socket.IO would add: it would resume all rooms, and each conversation joins its own.
          (token) => isWaiting() && send({ token, pid: undefined }),
          // A handshake without a token would be refused for a cause that is not the true one.
          ({ code }) => {
            if (!isWaiting()) return;
            socket.disconnect();
            this.#refuse(code);
          },
        );
      },
    }));
    socket.on("connect", () => {
      this.refusal = null;
      this.#refusals = 0;
      // Another token came while the server was asked to accept this one.
      this.#renew(token.isPresent(this.#shown) ? undefined : 0);
      wake();
    });
    socket.on("disconnect", (reason) => {
      clearTimeout(this.#renewal);
      this.#each((conversation) => conversation.disconnected());
      if (reason === "io server disconnect") this.#connectLater();
    });
    socket.on("connect_error", ({ message }) => {
      if (!socket.active) this.#refuse(message);
    });
    socket.onAny((event: string, payload: unknown, offset: unknown) => {
      if (event === "rowcast:left") {
        const { room, reason } = payload as LeftEvent;
        this.#conversations.get(room)?.left(reason);
      }
      if (/^rowcast:(?!resync)/.test(event)) return this.tell(event, payload);
      const owners = this.ownersOf(payload, event);
      if (owners[1]) {
        this.tell(event, payload);
        // Not for an event that says nothing: each of the page's rooms would ask.
        if ((payload as Named | null)?.contactId != null) owners.forEach((conversation) => conversation.nudge());
      } else owners[0]?.receive(event, payload, offset);
    });
  }

  /** Whether the server has accepted the connection. A conversation is live when its own `status` says `connected`. */
  get connected(): boolean {
    return !!this.io?.connected;
  }

  /** Connects, unless it is connected or trying to. `join` does so too. */
  connect(): void {
    // `connect` on an active socket would open a second engine session.
    if (!this.io?.active) this.io?.connect();
  }

  /**
   * Takes another token, or another source. Another value goes to the server at once, over the same connection where it has the
   * same subject. A function that follows a function is asked when the next token is due.
   */
  setToken(source: TokenSource | undefined): void {
    if (!this.#token.replace(source)) return;
    if (this.connected) this.#renew(0);
    else if (this.refusal) this.#connectNow();
  }

  /** Leaves every conversation and disconnects, for good. */
  close(): void {
    this.#each((conversation) => conversation.end());
    this.#conversations.clear();
    this.#page.abort();
    clearTimeout(this.#retry);
    this.io?.disconnect();
  }

  /** Opens a conversation: its history, then its events as they come. Two joins of one id return the same object. */
  join(contactId: string | number): Conversation<M> {
    return this.joinRoom(roomOf(contactId));
  }

  /** The same for a room of any kind, by its whole name: `inbox:7`. Take it back by the conversation's `leave`. */
  joinRoom(room: string): Conversation<M> {
    this.connect();
    const conversation = this.#conversations.get(room) ?? new Conversation<M>(room, this);
    this.#conversations.set(room, conversation);
    conversation.users += 1;
    return conversation;
  }

  /** Takes one `join` back. When all are taken back, the room is left. */
  leave(contactId: string | number): void {
    this.release(roomOf(contactId));
  }

  /** @internal */
  release(room: string): void {
    const conversation = this.#conversations.get(room);
    if (!conversation) return;
    conversation.users -= 1;
    // After the current task, because React's strict mode leaves and joins again within one.
    queueMicrotask(() => {
      if (conversation.users > 0 || this.#conversations.get(room) !== conversation) return;
      this.#conversations.delete(room);
      conversation.end();
    });
  }

  /** Calls `listener` for each event of that name in the joined conversations, until the returned function is called. */
  on<E extends keyof ServerEvents<M> | (string & {})>(event: E, listener: Listener<M, E>): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  /** @internal Waits until one more join does not exceed the server's rate. `again`: the server has just said that one did. */
  turn(signal: AbortSignal, again: boolean): Promise<void> {
    if (again) this.#joins.pause();
    return this.#joins.turn(signal);
  }

  /** @internal Reads `what` of a room over HTTP. Throws the server's refusal, which has a `code`. */
  async get<T>(room: string, what: string, signal?: AbortSignal): Promise<T> {
    const [word, name] = nameOf(room);
    await this.#reads.turn(signal);
    const given = this.#token.get();
    const token = await given;
    if (this.refusal === NO_TOKEN) this.connect();
    const response = await fetch(`${this.api}${word}s/${encodeURIComponent(name)}/${what}`, {
      cache: "no-store",
      ...(this.options.withCredentials && { credentials: "include" }),
      headers: token ? { authorization: `Bearer ${token}` } : {},
      signal: AbortSignal.any([AbortSignal.timeout(ANSWER_MS), signal ?? this.#page.signal]),
    });
    if (response.status === 401) this.#token.refused(given);
    const answer = (await response.json()) as T & { error?: Refusal };
    if (!response.ok) throw answer.error;
    return answer;
  }

  /** @internal Emits a request and waits for its ack. A connection that brings none in time is cut. */
  async ask(event: `${"join" | "leave"}:${"conversation" | "room"}` | "auth:refresh", argument: unknown): Promise<JoinAnswer> {
    try {
      return await this.io!.timeout(ANSWER_MS).emitWithAck(event as "join:conversation", argument as string);
    } catch (error) {
      if (this.connected) this.cut();
      throw error;
    }
  }

  /** @internal Leaves the room on the server, where there is a connection. */
  leaveRoom(room: string): void {
    if (!this.connected) return;
    const { leaving } = this;
    const [word, name] = nameOf(room);
    const leave = async () => {
      for (let isLeft = false; !isLeft; ) {
        await this.#joins.turn();
        if (!this.connected) return;
        const answer = await this.ask(`leave:${word}`, name);
        isLeft = answer.ok || answer.error.code !== "too_many_requests";
        if (!isLeft) this.#joins.pause();
      }
    };
    this.leaving = leave().catch(() => {}).then(() => leaving);
  }

  /** @internal Drops a connection that brings nothing, and connects again. */
  cut(): void {
    this.io!.disconnect().connect();
  }

  /** @internal The rooms that an event may belong to: one where its payload says which; all where it says nothing. */
  ownersOf(payload: unknown, event = ""): Conversation<M>[] {
    const { room, contactId } = (payload ?? {}) as Named;
    const isTyping = /^typing:/.test(event);
    const named = this.#conversations.get(isTyping ? roomOf(contactId!) : room!);
    const all = [...this.#conversations.values()];
    if (named) return [named];
    return contactId == null ? all : all.filter((each) => !isTyping && each.contactId === String(contactId));
  }

  /** @internal Calls the application's listeners of an event. */
  tell(event: string, payload: unknown): void {
    call(this.#listeners.get(event) ?? [], payload as never);
  }

  #each(what: (conversation: Conversation<M>) => void): void {
    this.#conversations.forEach(what);
  }

  /** The connection is refused: says why, and tries again later. */
  #refuse(code: string): void {
    this.refusal = code;
    this.#each((conversation) => conversation.wake());
    this.#connectLater();
  }

  /** Connects again later: Socket.IO does not, where the server has refused the connection or ended it. */
  #connectLater(): void {
    clearTimeout(this.#retry);
    const ms = Math.min(REFUSED_MS * 2 ** this.#refusals++, REFUSED_LONG_MS);
    this.#retry = setTimeout(() => this.#connectNow(), ms * (0.5 + Math.random()));
  }

  /** Connects, with a fresh token. */
  #connectNow(): void {
    clearTimeout(this.#retry);
    this.#token.forget();
    this.connect();
  }

  /** Sends the server the next token before the current one expires, over the same connection. */
  #renew(delay = this.#token.renewAt - Date.now()): void {
    clearTimeout(this.#renewal);
    // The expiry is unknown, or further away than a timer can wait.
    if (!(delay < 2e9)) return;
    this.#renewal = setTimeout(async () => {
      this.#token.forget();
      try {
        const token = await this.#token.get();
        if (!this.connected) return;
        const answer = await this.ask("auth:refresh", token);
        if (answer.ok) {
          this.#renew();
          // What was forbidden may be allowed now.
          this.#each((conversation) => conversation.state.error && conversation.wake());
        } else if (/^(unavailable|too_many_requests)$/.test(answer.error.code)) throw answer;
        // A server that does not accept the token here reads it when the page connects again.
        else this.cut();
      } catch {
        // The token that the server has is still valid, so there is time to try again.
        if (this.connected) this.#renew(REFUSED_MS);
      }
    }, delay && Math.max(delay, 1_000));
  }
}
