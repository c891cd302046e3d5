// The connection that all conversations of a page share.
//
// Guarantee: a listener is called once for an event, whether the socket or polling brought it.

import { within } from "./abort.js";
import { call } from "./call.js";
import { Conversation } from "./conversation.js";
import { debug } from "./debug.js";
import { ANSWER_MS, Link } from "./link.js";
import type { Options } from "./options.js";
import type { LeftEvent, Message, Refusal, Row, ServerEvents } from "./protocol.js";
import { Pace } from "./pace.js";
import { nameOf, roomOf } from "./room.js";
import { NO_TOKEN } from "./token.js";

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
export class ConversationSocket<M extends Row = Message> extends Link<M> {
  /** @internal Settles when the server has answered the last `leaveRoom`: no event of that room can come any more. */
  leaving: Promise<unknown> | undefined;
  readonly #page = new AbortController();
  readonly #joins = new Pace();
  readonly #reads = new Pace();
  readonly #conversations = new Map<string, Conversation<M>>();
  readonly #listeners = new Map<string, Set<(payload: never) => void>>();

  /** @throws TypeError when `url` is not a URL */
  constructor(options: Options<M>) {
    super(options);
    if (typeof document !== "undefined") {
      const look = () => {
        if (document.hidden) return;
        this.retryNow();
        this.wake();
      };
      const { signal } = this.#page;
      addEventListener("pagehide", () => this.each((conversation) => conversation.save()), { signal });
      addEventListener("online", look, { signal });
      addEventListener("visibilitychange", look, { signal });
    }
    this.io?.onAny((event: string, payload: unknown, offset: unknown) => this.#receive(event, payload, offset));
  }

  override close(): void {
    this.each((conversation) => conversation.end());
    this.#conversations.clear();
    this.#page.abort();
    super.close();
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
    return () => listeners.delete(listener);
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
    const given = this.token.get();
    const token = await given;
    if (this.refusal === NO_TOKEN) this.connect();
    return within(ANSWER_MS, signal ?? this.#page.signal, async (signal) => {
      const response = await fetch(`${this.api}${word}s/${encodeURIComponent(name)}/${what}`, {
        cache: "no-store",
        credentials: this.options.withCredentials ? "include" : "same-origin",
        headers: token ? { authorization: `Bearer ${token}` } : {},
        signal,
      });
      debug(room, what, response.status);
      if (response.status === 401) this.token.refused(given);
      const answer = (await response.json()) as T & { error?: Refusal };
      if (!response.ok) throw answer.error;
      return answer;
    });
  }

  /** @internal Leaves the room on the server, where there is a connection. */
  leaveRoom(room: string): void {
    if (!this.connected) return;
    const { leaving } = this;
    const [word, name] = nameOf(room);
    const leave = async () => {
      for (;;) {
        await this.#joins.turn();
        if (!this.connected) return;
        const answer = await this.ask(`leave:${word}`, name);
        if (answer.ok || answer.error.code !== "too_many_requests") return;
        this.#joins.pause();
      }
    };
    this.leaving = leave().catch(() => {}).then(() => leaving);
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

  #receive(event: string, payload: unknown, offset: unknown): void {
    if (event === "rowcast:left") {
      const { room, reason } = payload as LeftEvent;
      this.#conversations.get(room)?.left(reason);
    }
    if (/^rowcast:(?!resync)/.test(event)) return this.tell(event, payload);
    const owners = this.ownersOf(payload, event);
    if (!owners[1]) return owners[0]?.receive(event, payload, offset);
    this.tell(event, payload);
    // Not for an event that says nothing: each of the page's rooms would ask.
    if ((payload as Named | null)?.contactId != null) owners.forEach((conversation) => conversation.nudge());
  }

  /** @internal */
  each(what: (conversation: Conversation<M>) => void): void {
    this.#conversations.forEach(what);
  }
}
