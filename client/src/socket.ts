// The connection that all conversations of a page share.
//
// Guarantee: an event is told once, whoever brought it (see conversation.ts). A connection that is lost or refused is tried
//            again for ever, with a fresh token where the server asked for one.
// Refuses:   Socket.IO's own resume. Conversations go on after their offsets, which polling moves too.

import { io, type Socket } from "socket.io-client";
import { parseAddress } from "./address.js";
import { Conversation, type Link } from "./conversation.js";
import { Http } from "./http.js";
import { Shelf, tabStorage } from "./kept.js";
import type { Options } from "./options.js";
import type { ClientEvents, JoinAnswer, Message, Row, ServerEvents } from "./protocol.js";
import { Token } from "./token.js";

/** How long the server may take to answer. */
const ANSWER_MS = 10_000;
/** Until a refused connection is tried again. */
const REFUSED_MS = 5_000;

/** What a listener of an event is given. Any other event of the server can be listened to by its name. */
export type Listener<M extends Row, E extends string> = E extends keyof ServerEvents<M>
  ? (payload: Parameters<ServerEvents<M>[E]>[0]) => void
  : (payload: unknown) => void;

/** Conversations of one server, over one connection. */
export class ConversationSocket<M extends Row = Message> {
  readonly #io: Socket<ServerEvents<M>, ClientEvents> | undefined;
  readonly #link: Link<M>;
  readonly #token: Token;
  readonly #conversations = new Map<string, { conversation: Conversation<M>; users: number }>();
  readonly #leaving = new Map<string, Promise<unknown>>();
  readonly #listeners = new Map<string, Set<(payload: never) => void>>();
  #page: AbortController | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #refresh: ReturnType<typeof setTimeout> | undefined;

  /** @throws TypeError when there is neither a url nor a fetcher, or the url is none */
  constructor(options: Options<M>) {
    const { url, fetcher, token, withCredentials = false, storage = tabStorage() } = options;
    if (!url && !fetcher) {
      throw new TypeError("Rowcast: give a url (NEXT_PUBLIC_WEBHOOK_WS_URL for the hook) or a fetcher, or both");
    }
    const address = url ? parseAddress(url) : undefined;
    this.#token = new Token(token);
    if (address) {
      this.#io = io(address.origin, {
        path: `${address.path}/socket.io`,
        transports: options.transports ?? ["websocket"],
        withCredentials,
        forceNew: true,
        autoConnect: false,
        // Without the pid that Socket.IO would add to it: each conversation goes on after its own offset.
        auth: (send) => void this.#token.get().then((token) => send({ token, pid: undefined, offset: undefined }), () => send({})),
      });
      this.#listen(this.#io);
    }
    const socket = this;
    this.#link = {
      options,
      http: address && new Http(address, this.#token, withCredentials),
      shelf: new Shelf(storage, `rowcast:${address?.origin}${address?.path}:`),
      get connected() {
        return socket.connected;
      },
      left: async (contactId) => this.#leaving.get(contactId),
      join: (contactId, after) => this.#ask("join:conversation", after === undefined ? contactId : { contactId, after }) as Promise<JoinAnswer>,
      leaveRoom: (contactId) => this.#leaveRoom(contactId),
      emitTyping: (contactId, typing) => this.#io?.emit(typing ? "typing:start" : "typing:stop", contactId),
      cut: () => this.#io?.io.engine.close(),
      tell: (event, payload) => this.#tell(event, payload),
      leave: (contactId) => this.leave(contactId),
    };
  }

  /** Whether the server has accepted the connection. A conversation is live when its own `status` says `connected`. */
  get connected(): boolean {
    return this.#io?.connected ?? false;
  }

  /** Connects, if it is not yet; `join` does so too. */
  connect(): void {
    if (!this.#page) {
      this.#page = new AbortController();
      this.#watchPage(this.#page.signal);
    }
    this.#io?.connect();
  }

  /** Leaves every conversation and disconnects. `connect` or `join` opens it again. */
  close(): void {
    for (const { conversation } of this.#conversations.values()) conversation.end();
    this.#conversations.clear();
    this.#page?.abort();
    this.#page = undefined;
    clearTimeout(this.#retry);
    clearTimeout(this.#refresh);
    this.#io?.disconnect();
  }

  /** Opens a conversation: history, then its events as they come. All who join the same one get the same object. */
  join(contactId: string | number): Conversation<M> {
    this.connect();
    const id = String(contactId);
    let entry = this.#conversations.get(id);
    if (!entry) {
      entry = { conversation: new Conversation<M>(id, this.#link), users: 0 };
      this.#conversations.set(id, entry);
    }
    entry.users += 1;
    return entry.conversation;
  }

  /** Takes a `join` back. After the last one the room is left. */
  leave(contactId: string | number): void {
    const id = String(contactId);
    const entry = this.#conversations.get(id);
    if (!entry) return;
    entry.users -= 1;
    // Whoever leaves and joins in one breath, as React's strict mode does, has not left.
    queueMicrotask(() => {
      if (entry.users > 0 || this.#conversations.get(id) !== entry) return;
      this.#conversations.delete(id);
      entry.conversation.end();
    });
  }

  /** Calls `listener` for each event of that name in the joined conversations. Returns what ends it. */
  on<E extends keyof ServerEvents<M> | (string & {})>(event: E, listener: Listener<M, E>): () => void {
    const listeners = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    return () => void listeners.delete(listener);
  }

  #listen(io: Socket<ServerEvents<M>, ClientEvents>): void {
    io.on("connect", () => {
      this.#refreshToken();
      for (const { conversation } of this.#conversations.values()) conversation.connected();
    });
    io.on("disconnect", (reason) => {
      clearTimeout(this.#refresh);
      this.#leaving.clear();
      for (const { conversation } of this.#conversations.values()) conversation.disconnected();
      if (reason === "io server disconnect") this.#connectLater();
    });
    io.on("connect_error", ({ message }) => {
      if (io.active) return;
      for (const { conversation } of this.#conversations.values()) conversation.refused(message);
      this.#connectLater();
    });
    io.onAny((event: string, payload: { contactId?: unknown } | null | undefined, offset: unknown) => {
      if (event.startsWith("rowcast:") && event !== "rowcast:resync") return this.#tell(event, payload);
      const id = payload?.contactId;
      const [only, ...others] = this.#conversations.values();
      // A payload of the application's own need not say whose it is: with one conversation that is clear.
      const entry = id !== undefined ? this.#conversations.get(String(id)) : others.length ? undefined : only;
      if (entry) entry.conversation.receive(event, payload, offset);
      else if (id === undefined) this.#tell(event, payload);
    });
  }

  /** Socket.IO leaves it to us where the server said no. */
  #connectLater(): void {
    this.#token.forget();
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#io?.connect(), REFUSED_MS * (0.5 + Math.random()));
  }

  /** Before the token expires the server gets the next one, over the same connection. */
  #refreshToken(): void {
    clearTimeout(this.#refresh);
    const { remainingMs } = this.#token;
    if (remainingMs === undefined) return;
    this.#refresh = setTimeout(async () => {
      const token = await this.#token.get().catch(() => undefined);
      const answer = token && (await this.#ask("auth:refresh", token).catch(() => undefined));
      // A server that takes none gets it with the next connection.
      if (answer && answer.ok) this.#refreshToken();
      else if (this.connected) this.#io?.disconnect().connect();
    }, Math.min(Math.max(remainingMs, 1_000), 2 ** 31 - 1));
  }

  async #ask(event: "join:conversation" | "leave:conversation" | "auth:refresh", argument: unknown): Promise<JoinAnswer> {
    try {
      return await this.#io!.timeout(ANSWER_MS).emitWithAck(event as "join:conversation", argument as string);
    } catch (error) {
      if (this.connected) this.#link.cut();
      throw error;
    }
  }

  #leaveRoom(contactId: string): void {
    if (!this.connected) return;
    const left = this.#ask("leave:conversation", contactId).catch(() => {});
    this.#leaving.set(contactId, left);
    void left.then(() => this.#leaving.get(contactId) === left && this.#leaving.delete(contactId));
  }

  #tell(event: string, payload: unknown): void {
    for (const listener of this.#listeners.get(event) ?? []) {
      try {
        listener(payload as never);
      } catch (error) {
        // The application's, and nobody else's to handle.
        setTimeout(() => {
          throw error;
        });
      }
    }
  }

  #watchPage(signal: AbortSignal): void {
    if (typeof document === "undefined") return;
    const conversations = () => [...this.#conversations.values()].map(({ conversation }) => conversation);
    const keep = () => conversations().forEach((conversation) => conversation.keep());
    const nudge = () => conversations().forEach((conversation) => conversation.nudge());
    addEventListener("pagehide", keep, { signal });
    addEventListener("online", nudge, { signal });
    document.addEventListener("visibilitychange", () => (document.hidden ? keep() : nudge()), { signal });
  }
}
