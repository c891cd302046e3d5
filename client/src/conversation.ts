// One conversation: its messages, and who brings the next event.
//
// Guarantee: every event once, in order. At any time one carrier alone brings them, the socket or polling, and it begins
//            after the offset of the last event that the other one brought. What comes by the one that is off is dropped.
// Relies on: offsets that mean the same over HTTP and in a join (docs/resume.md, docs/http.md).

import { call } from "./call.js";
import { codeOf, UNREACHABLE } from "./error.js";
import { put, take } from "./kept.js";
import { applyEvent, mergeNewest } from "./messages.js";
import type { EventsPage, HistoryPage, Message, Row } from "./protocol.js";
import type { ConversationSocket } from "./socket.js";
import { NOTHING, type ConversationState, type Status } from "./state.js";

/** How long the socket may take for an event that polling has seen. */
const OWED_MS = 2_000;
/** How long a conversation may wait until it is loaded again. */
const RESTART_MS = 1_000;
/** How often the others are told that typing goes on. */
const TYPING_MS = 5_000;
/** Typing has stopped when no key was struck for this long. */
const IDLE_MS = 4_000;
/** The server says when the other side stops, after 15 s at the latest; this is for a word that got lost. */
const LOST_MS = 20_000;

type Timer = ReturnType<typeof setTimeout> | undefined;

/** See the top. Made by `ConversationSocket.join`. */
export class Conversation<M extends Row = Message> {
  /** @internal How many have joined it. */
  users = 0;
  readonly #socket: ConversationSocket<M>;
  /** What it is kept under. */
  readonly #key: string;
  #state: ConversationState<M> = NOTHING;
  #subscribers = new Set<() => void>();
  /** The carrier: the socket, or else polling. */
  #live = false;
  /** After which the next event is wanted; unknown until the history is there. */
  #offset: string | undefined;
  /** The offset after which polling saw an event that the socket has not brought. */
  #owed: string | undefined;
  /** The round at hand; aborted when it is overtaken. */
  #round = new AbortController();
  /** It must not be overtaken: history, or a join. */
  #busy = false;
  #next: Timer;
  /** Events since older messages were asked for. */
  #meanwhile: [event: string, payload: unknown][] | undefined;
  #toldTypingAt = 0;
  #idle: Timer;
  #lost: Timer;

  /** @internal */
  constructor(
    readonly contactId: string,
    socket: ConversationSocket<M>,
  ) {
    this.#socket = socket;
    const { offset, messages, more } = take<M>(socket.options, (this.#key = socket.api + contactId));
    if (messages) {
      this.#offset = offset;
      this.#set({ messages, more: more!, loading: false });
    }
    void this.#go();
  }

  get state(): ConversationState<M> {
    return this.#state;
  }

  /** Calls `subscriber` after each change of `state`, until the function that it returns is called. */
  subscribe(subscriber: () => void): () => void {
    this.#subscribers.add(subscriber);
    return () => this.#subscribers.delete(subscriber);
  }

  /** Says that this user of the conversation needs it no more. The last one's leaves the room. */
  leave(): void {
    this.#socket.leave(this.contactId);
  }

  /** Call it at each key stroke: the others see it, until `stopTyping` or a few seconds without. */
  startTyping(): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.stopTyping(), IDLE_MS);
    if (Date.now() - this.#toldTypingAt > TYPING_MS) this.#tellTyping("start", Date.now());
  }

  stopTyping(): void {
    clearTimeout(this.#idle);
    if (this.#toldTypingAt) this.#tellTyping("stop", 0);
  }

  /** Loads the page of history before the messages that are here. What goes wrong is in `state.error`. */
  async loadOlder(): Promise<void> {
    const first = this.#state.messages[0]?.id;
    if (first === undefined || !this.#state.more || this.#meanwhile) return;
    const meanwhile: [string, unknown][] = (this.#meanwhile = []);
    try {
      const page = await this.#history(`&before=${encodeURIComponent(first)}`);
      // A conversation that was loaded again meanwhile begins elsewhere.
      if (this.#meanwhile !== meanwhile) return;
      const { messages } = this.#state;
      const known = new Set(messages.map(({ id }) => id));
      let older: readonly M[] = page.messages.filter(({ id }) => !known.has(id));
      // The page is of a moment in between: whatever changed since it was asked for is applied to it again.
      for (const [event, payload] of meanwhile) if (event !== "message:new") older = applyEvent(older, event, payload);
      this.#set({ messages: [...older, ...messages], more: page.more });
    } catch (error) {
      this.#set({ error: codeOf(error) });
    }
    if (this.#meanwhile === meanwhile) this.#meanwhile = undefined;
  }

  /** @internal What it may have waited for is there: the connection or its refusal, the network, or somebody who looks. */
  wake(): void {
    if (!this.#busy) void this.#go();
  }

  /** @internal The socket has lost its connection. */
  disconnected(): void {
    if (this.#live) this.#unplug();
  }

  /** @internal The socket brings an event. */
  receive(event: string, payload: unknown, offset: unknown): void {
    if (!this.#live) return;
    if (event === "rowcast:resync") this.#restart();
    const typing = event === "typing:start";
    if (typing || event === "typing:stop") {
      clearTimeout(this.#lost);
      this.#lost = setTimeout(() => this.#set({ typing: false }), LOST_MS);
      this.#set({ typing });
    }
    this.#take(event, payload, offset);
  }

  /** @internal The last one has left. */
  end(): void {
    this.keep();
    this.stopTyping();
    this.#unplug();
    clearTimeout(this.#next);
  }

  /** @internal Puts it on the shelf, for who comes back; nothing, where nobody could go on from it. */
  keep(): void {
    const { messages, more } = this.#state;
    put(this.#socket.options, this.#key, { messages, more, offset: this.#offset });
  }

  #tellTyping(word: "start" | "stop", at: number): void {
    if (!this.#live) return;
    this.#toldTypingAt = at;
    this.#socket.io!.emit(`typing:${word}`, this.contactId);
  }

  #set(change: Partial<ConversationState<M>>): void {
    const state = { ...this.#state, ...change };
    if ((Object.keys(change) as (keyof typeof change)[]).every((key) => state[key] === this.#state[key])) return;
    this.#state = state;
    call(this.#subscribers, undefined);
  }

  #interrupt(): void {
    clearTimeout(this.#next);
    this.#round.abort();
    this.#busy = false;
  }

  #wait(ms?: number): void {
    const { pollConnectedMs = 30_000, pollDisconnectedMs = 5_000 } = this.#socket.options;
    this.#next = setTimeout(() => void this.#go(), ms ?? (this.#live ? pollConnectedMs : pollDisconnectedMs));
  }

  /** The socket brings nothing more. */
  #unplug(wait?: number): void {
    this.#interrupt();
    if (this.#live) this.#socket.leaveRoom(this.contactId);
    this.#live = false;
    this.#owed = undefined;
    this.#toldTypingAt = 0;
    clearTimeout(this.#lost);
    // First: whoever is told of the change may close everything.
    this.#wait(wait);
    this.#set({ status: "connecting", typing: false });
  }

  /** One round: what is due is done, and the next round is set. */
  async #go(): Promise<void> {
    this.#interrupt();
    const { signal } = (this.#round = new AbortController());
    const { io, options } = this.#socket;
    let error: string | null = null;
    let status: Status = "polling";
    try {
      if (io) error = await this.#serve(signal);
      else await this.#ask(signal);
    } catch (failure) {
      if (signal.aborted) return;
      this.#busy = false;
      const code = codeOf(failure);
      if (code === "forbidden") return this.#discard({ messages: [], more: false, status: "offline", error: code });
      // offset_expired, bad_request: it is none that this server can go on from.
      if (this.#offset && /^off|^bad/.test(code)) return this.#restart();
      // A poll that fails beside the socket fails for nobody.
      if (!this.#live) {
        error = code;
        status = "offline";
        if (io && options.fetcher) await this.#ask(signal).then(() => (status = "polling"), () => {});
      }
    }
    if (signal.aborted) return;
    this.#wait(this.#owed ? OWED_MS : undefined);
    this.#set({ error: this.#socket.refusal ?? error, status: this.#live ? "connected" : status });
  }

  /** With the server: history, then the room or a poll. Returns why the room can't be joined. */
  async #serve(signal: AbortSignal): Promise<string | null> {
    let refusal: string | null = null;
    if (!this.#live) {
      this.#busy = true;
      if (!this.#offset) await this.#load(signal);
      refusal = await this.#enter(signal);
      this.#busy = false;
      if (this.#live as boolean) return null;
    }
    await this.#poll(signal);
    return refusal;
  }

  async #load(signal: AbortSignal): Promise<void> {
    try {
      const { messages, more, offset } = await this.#history("", signal);
      signal.throwIfAborted();
      this.#offset = offset;
      this.#set({ messages, more, loading: false });
    } catch (error) {
      if (!this.#socket.options.fetcher || codeOf(error) === UNREACHABLE) throw error;
      // A server without this history has the events all the same. The offset first: nothing falls between.
      const { offset } = await this.#events("", signal);
      await this.#ask(signal);
      this.#offset = offset;
    }
  }

  #history(query: string, signal?: AbortSignal): Promise<HistoryPage<M>> {
    return this.#socket.get(this.contactId, `messages?limit=${this.#socket.options.limit ?? 50}${query}`, signal);
  }

  #events(query: string, signal: AbortSignal): Promise<EventsPage> {
    return this.#socket.get(this.contactId, `events${query}`, signal);
  }

  /** The application's own way to the messages. */
  async #ask(signal: AbortSignal): Promise<void> {
    const { fetcher } = this.#socket.options;
    if (!fetcher) throw { code: "not_configured" };
    const newest = await fetcher(this.contactId, { signal });
    signal.throwIfAborted();
    const messages = mergeNewest(this.#state.messages, newest);
    // Between what is known and the newest there may be others: the server has them in its history.
    if (messages[0]?.id !== this.#state.messages[0]?.id) this.#offset = this.#meanwhile = undefined;
    this.#set({ messages, loading: false });
  }

  /** Into the room. Returns why not. */
  async #enter(signal: AbortSignal): Promise<string | null> {
    const { contactId } = this;
    await this.#socket.leaving;
    signal.throwIfAborted();
    if (!this.#socket.connected) return null;
    this.#live = true;
    const answer = await this.#socket.ask("join:conversation", { contactId, after: this.#offset });
    signal.throwIfAborted();
    if (!answer.ok) {
      this.#live = false;
      return answer.error.code;
    }
    if (answer.resync) this.#restart();
    return null;
  }

  async #poll(signal: AbortSignal): Promise<void> {
    let more = true;
    while (more) {
      const after = this.#offset;
      const page = await this.#events(`?after=${after}`, signal);
      signal.throwIfAborted();
      if (this.#live) return this.#compare(page, after);
      for (const { event, data, offset } of page.events) {
        this.#take(event, data, offset);
        // By who was told.
        signal.throwIfAborted();
      }
      this.#offset = page.offset;
      more = page.more;
    }
  }

  /** The socket brings the events: polling only looks whether it does. */
  #compare(page: EventsPage, after: string | undefined): void {
    const wasOwed = this.#owed === after;
    this.#owed = undefined;
    if (after !== this.#offset) return;
    // What comes without a name through the socket can't be told from another conversation's.
    if (page.events.every(({ data }) => this.#socket.ownerOf(data) === undefined)) this.#offset = page.offset;
    else if (wasOwed) {
      this.#socket.cut();
      void this.#go();
    } else this.#owed = after;
  }

  #take(event: string, payload: unknown, offset: unknown): void {
    if (typeof offset === "string") {
      this.#offset = offset;
      this.#meanwhile?.push([event, payload]);
      this.#set({ messages: applyEvent(this.#state.messages, event, payload) });
    }
    this.#socket.tell(event, payload);
  }

  /** Continuity is lost: the history again, then the room again. */
  #restart(): void {
    // Others may have been told the same at this moment.
    this.#discard({}, RESTART_MS * Math.random());
  }

  /** Nothing goes on from here. */
  #discard(change: Partial<ConversationState<M>>, wait?: number): void {
    this.#unplug(wait);
    this.#offset = this.#meanwhile = undefined;
    this.keep();
    this.#set(change);
  }
}
