// One conversation: its messages, and how its next event arrives.
//
// Guarantee: every event once, in order. At any time either the socket or polling is the carrier: it alone brings events,
//            and it starts after the offset of the last event that the other one brought. What the other one still brings
//            is dropped.
// Relies on: offsets that mean the same over HTTP and in a join (docs/resume.md, docs/http.md).

import { readConversation, storeConversation } from "./cache.js";
import { call } from "./call.js";
import type { Connection } from "./connection.js";
import { codeOf, UNREACHABLE } from "./error.js";
import { applyEvent, keyOf, mergeNewest, type Shape } from "./messages.js";
import type { EventsPage, HistoryPage, JoinAnswer, Message, Row } from "./protocol.js";
import { idOf, isConversation, nameOf } from "./room.js";
import { NOTHING, type ConversationState, type Status } from "./state.js";

/** How long the socket may take to bring an event that a poll has seen. */
const OVERDUE_MS = 2_000;
/** A conversation that lost continuity is loaded again after a random part of this. */
const RESTART_MS = 1_000;
/** While the user types, the server is told once in this time. */
const TYPING_MS = 5_000;
/** The user has stopped typing when no key was struck for this long. */
const IDLE_MS = 4_000;
/** An event that may be of several rooms is looked for in each of them by a poll, at most this often. */
const NUDGE_MS = 500;
/** How often a join is tried again that came when there were too many, before the conversation polls. */
const TRIES = 4;
/** The server sends `typing:stop` after 15 s at the latest; when that event got lost, this ends the typing. */
const TYPING_LOST_MS = 20_000;

type Timer = ReturnType<typeof setTimeout> | undefined;

/** One conversation, or a room of another kind, as `ConversationSocket.join` and `joinRoom` return it. */
export class Conversation<M extends Row = Message> {
  /** What its events have as `contactId`. */
  readonly contactId: string;
  /** @internal How many have joined and not left. */
  users = 0;
  readonly #socket: Connection<M>;
  /** Its key in the cache. */
  readonly #key: string;
  #state: ConversationState<M> = NOTHING;
  #subscribers = new Set<() => void>();
  /** Whether the socket is the carrier; else polling is. */
  #live = false;
  /** The offset of the last event; unknown until the history is loaded. */
  #offset: string | undefined;
  /** What identifies and sorts the messages. */
  #shape: Shape = {};
  /** The offset after which a poll saw an event that the socket has not brought yet. */
  #overdueAfter: string | undefined;
  /** Aborts the current round when another one replaces it. */
  #round = new AbortController();
  /** Whether the current round loads history or joins: then `wake` doesn't replace it. */
  #busy = false;
  /** Starts the next round. */
  #timer: Timer;
  /** The events that came since older messages were asked for. */
  #eventsSinceOlder: [event: string, payload: unknown][] | undefined;
  /** When the server was last told that the user types; 0 when it was told that typing stopped. */
  #toldTypingAt = 0;
  /** Ends the user's typing. */
  #idleTimer: Timer;
  /** Ends the other side's typing. */
  #typingTimer: Timer;
  /** Polls for events that may be of several rooms. */
  #nudgeTimer: Timer;
  /** How many of those came that no poll has brought yet. Meanwhile polls alone change the messages: an event may be missing before the socket's next one. */
  #unsure = 0;

  /** @internal */
  constructor(
    readonly room: string,
    socket: Connection<M>,
  ) {
    this.#socket = socket;
    this.contactId = idOf(room);
    const { offset, messages, more, key, order } = readConversation<M>(socket.options, (this.#key = socket.api + room));
    if (messages) {
      this.#offset = offset;
      this.#shape = { key, order };
      this.#set({ messages, more: more!, loading: false });
    }
    void this.#runRound();
  }

  get state(): ConversationState<M> {
    return this.#state;
  }

  /** Calls `subscriber` after each change of `state`, until the function that it returns is called. */
  subscribe(subscriber: () => void): () => void {
    this.#subscribers.add(subscriber);
    return () => this.#subscribers.delete(subscriber);
  }

  /** Takes one `join` back. When all are taken back, the room is left. */
  leave(): void {
    this.#socket.release(this.room);
  }

  /** Call it at each key stroke. The others see it until `stopTyping`, or until no call came for a few seconds. Nobody types in rooms of other kinds. */
  startTyping(): void {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => this.stopTyping(), IDLE_MS);
    if (Date.now() - this.#toldTypingAt > TYPING_MS) this.#tellTyping("start", Date.now());
  }

  stopTyping(): void {
    clearTimeout(this.#idleTimer);
    if (this.#toldTypingAt) this.#tellTyping("stop", 0);
  }

  /** Loads the page of history before the loaded messages. A failure is in `state.error`. */
  async loadOlder(): Promise<void> {
    const first = keyOf(this.#state.messages[0], this.#shape);
    if (!first || !this.#state.more || this.#eventsSinceOlder) return;
    const eventsSince: [string, unknown][] = (this.#eventsSinceOlder = []);
    try {
      const page = await this.#history(`&before=${encodeURIComponent(first)}`);
      // The conversation was loaded again in the meantime, and its first message may be another one.
      if (this.#eventsSinceOlder !== eventsSince) return;
      const { messages } = this.#state;
      const known = new Set(messages.map((message) => keyOf(message, this.#shape)));
      let older: readonly M[] = page.messages.filter((message) => !known.has(keyOf(message, this.#shape)));
      // The server read the page at some moment after the request, so the events since then are applied to it again.
      for (const [event, payload] of eventsSince) if (event !== "message:new") older = applyEvent(older, event, payload, this.#shape);
      this.#set({ messages: [...older, ...messages], more: page.more });
    } catch (failure) {
      const error = codeOf(failure);
      if (error === "forbidden") this.#forbid();
      else this.#set({ error });
    }
    if (this.#eventsSinceOlder === eventsSince) this.#eventsSinceOlder = undefined;
  }

  /** @internal Starts a round now: the connection was accepted or refused, the network is back, or the page is shown. */
  wake(): void {
    if (!this.#busy) void this.#runRound();
  }

  /** @internal An event came that may be of this room or of another one. */
  nudge(): void {
    this.#unsure++;
    this.#nudgeTimer ??= setTimeout(() => {
      this.#nudgeTimer = undefined;
      this.wake();
    }, NUDGE_MS);
  }

  /** @internal The socket has lost its connection. */
  disconnected(): void {
    if (this.#live) this.#dropSocket();
  }

  /** @internal The socket brings an event. */
  receive(event: string, payload: unknown, offset: unknown): void {
    if (!this.#live) return;
    if (event === "rowcast:resync") this.#restart();
    const typing = event === "typing:start";
    if (typing || event === "typing:stop") {
      clearTimeout(this.#typingTimer);
      this.#typingTimer = setTimeout(() => this.#set({ typing: false }), TYPING_LOST_MS);
      this.#set({ typing });
    }
    if (this.#unsure) this.#socket.tell(event, payload);
    else this.#apply(event, payload, offset);
  }

  /** @internal The server has put the page out of the room. */
  left(reason: string): void {
    if (!this.#live) return;
    if (reason === "unavailable") this.#dropSocket(RESTART_MS * Math.random());
    else this.#forbid();
  }

  /** @internal Ends it, after the last `leave`. */
  end(): void {
    this.save();
    this.stopTyping();
    this.#dropSocket();
    clearTimeout(this.#timer);
    clearTimeout(this.#nudgeTimer);
  }

  /** @internal Stores it for the next time that the page opens it. */
  save(): void {
    const { messages, more } = this.#state;
    storeConversation(this.#socket.options, this.#key, { messages, more, offset: this.#offset, ...this.#shape });
  }

  /** Tells the server that the user's typing started or stopped; `at` is what `#toldTypingAt` becomes. */
  #tellTyping(word: "start" | "stop", at: number): void {
    if (!this.#live || !isConversation(this.room)) return;
    this.#toldTypingAt = at;
    this.#socket.io!.emit(`typing:${word}`, this.contactId);
  }

  #set(change: Partial<ConversationState<M>>): void {
    const state = { ...this.#state, ...change };
    if ((Object.keys(change) as (keyof typeof change)[]).every((key) => state[key] === this.#state[key])) return;
    this.#state = state;
    call(this.#subscribers, undefined);
  }

  #abortRound(): void {
    clearTimeout(this.#timer);
    this.#round.abort();
    this.#busy = false;
  }

  #scheduleRound(ms?: number): void {
    const { pollConnectedMs = 30_000, pollDisconnectedMs = 5_000 } = this.#socket.options;
    this.#timer = setTimeout(() => void this.#runRound(), ms ?? (this.#live ? pollConnectedMs : pollDisconnectedMs));
  }

  /** Makes polling the carrier, and starts the next round in `wait` milliseconds. */
  #dropSocket(wait?: number, change: Partial<ConversationState<M>> = {}): void {
    this.#abortRound();
    if (this.#live) this.#socket.leaveRoom(this.room);
    this.#live = false;
    this.#overdueAfter = undefined;
    this.#toldTypingAt = this.#unsure = 0;
    clearTimeout(this.#typingTimer);
    // Before `#set`: a subscriber that it calls may close everything, and that must find the timer to clear it.
    this.#scheduleRound(wait);
    this.#set({ status: "connecting", typing: false, ...change });
  }

  /** Loads, joins or polls, whichever is due, and schedules the next round. */
  async #runRound(): Promise<void> {
    this.#abortRound();
    const { signal } = (this.#round = new AbortController());
    const { io } = this.#socket;
    let error: string | null = null;
    let status: Status = "polling";
    try {
      if (io) error = await this.#useServer(signal);
      else await this.#useFetcher(signal);
    } catch (failure) {
      if (signal.aborted) return;
      this.#busy = false;
      const code = codeOf(failure);
      if (code === "forbidden") return this.#forbid();
      // offset_expired, bad_request: the server can't go on from this offset.
      if (this.#offset && /^off|^bad/.test(code)) return this.#restart();
      // While the socket brings the events, a poll that fails costs nothing.
      if (!this.#live) {
        error = code;
        status = "offline";
        if (io && this.#fetcher) await this.#useFetcher(signal).then(() => (status = "polling"), () => {});
      }
    }
    if (signal.aborted) return;
    this.#scheduleRound(this.#overdueAfter || this.#unsure ? OVERDUE_MS : undefined);
    this.#set({ error: this.#socket.refusal ?? error, status: this.#live ? "connected" : status });
  }

  /** Loads the history, then joins the room, or polls. Returns the code by which the server refuses the join. */
  async #useServer(signal: AbortSignal): Promise<string | null> {
    let refusal: string | null = null;
    if (!this.#live) {
      this.#busy = true;
      if (!this.#offset) await this.#load(signal);
      refusal = await this.#joinRoom(signal);
      this.#busy = false;
      if (this.#live as boolean) return null;
    }
    await this.#poll(signal);
    return refusal;
  }

  async #load(signal: AbortSignal): Promise<void> {
    try {
      const { messages, more, offset, key, order } = await this.#history("", signal);
      signal.throwIfAborted();
      this.#offset = offset;
      this.#shape = { key, order };
      this.#set({ messages, more, loading: false });
    } catch (error) {
      if (!this.#fetcher || codeOf(error) === UNREACHABLE) throw error;
      // A server without this history has the events all the same. Its offset is read before the messages: an event in
      // between is then applied to messages that have it already, and none is missed.
      const { offset } = await this.#events("", signal);
      await this.#useFetcher(signal);
      this.#offset = offset;
    }
  }

  #history(query: string, signal?: AbortSignal): Promise<HistoryPage<M>> {
    return this.#socket.get(this.room, `messages?limit=${this.#socket.options.limit ?? 50}${query}`, signal);
  }

  #events(query: string, signal: AbortSignal): Promise<EventsPage> {
    return this.#socket.get(this.room, `events${query}`, signal);
  }

  /** The application's own fetcher, which knows conversations alone. */
  get #fetcher() {
    return isConversation(this.room) ? this.#socket.options.fetcher : undefined;
  }

  /** Asks it for the newest messages. */
  async #useFetcher(signal: AbortSignal): Promise<void> {
    const fetcher = this.#fetcher;
    if (!fetcher) throw { code: "not_configured" };
    const newest = await fetcher(this.contactId, { signal });
    signal.throwIfAborted();
    const messages = mergeNewest(this.#state.messages, newest, this.#shape);
    // Messages may be missing between the loaded ones and the newest, so the history is loaded again from the server.
    if (keyOf(messages[0], this.#shape) !== keyOf(this.#state.messages[0], this.#shape)) this.#offset = this.#eventsSinceOlder = undefined;
    this.#set({ messages, loading: false });
  }

  /** Joins the room after the last event. Returns the code by which the server refuses it. */
  async #joinRoom(signal: AbortSignal): Promise<string | null> {
    const [word, name] = nameOf(this.room);
    await this.#socket.leaving;
    let answer: JoinAnswer;
    for (let tries = 0; ; tries++) {
      await this.#socket.turn(signal, tries > 0);
      signal.throwIfAborted();
      if (!this.#socket.connected) return null;
      this.#live = true;
      answer = await this.#socket.ask(`join:${word}`, { [word === "room" ? word : "contactId"]: name, after: this.#offset });
      signal.throwIfAborted();
      if (answer.ok) break;
      this.#live = false;
      const { code } = answer.error;
      if (code === "forbidden") throw answer.error;
      if (code !== "too_many_requests" || tries > TRIES) return code;
    }
    if (answer.resync) this.#restart();
    return null;
  }

  /** Reads the events after the last one. */
  async #poll(signal: AbortSignal): Promise<void> {
    let more = true;
    while (more) {
      const after = this.#offset;
      const unsure = this.#unsure;
      const page = await this.#events(`?after=${after}`, signal);
      signal.throwIfAborted();
      if (this.#live) return this.#compare(page, after, unsure);
      for (const { event, data, offset } of page.events) {
        this.#apply(event, data, offset);
        // A listener that it calls may abort this round.
        signal.throwIfAborted();
      }
      this.#offset = page.offset;
      more = page.more;
    }
  }

  /** Checks by a poll that the socket brings the events; cuts a connection that has brought none since the last check. */
  #compare(page: EventsPage, after: string | undefined, unsure: number): void {
    const wasOverdue = this.#overdueAfter === after;
    this.#overdueAfter = undefined;
    if (after !== this.#offset) return;
    // The socket changes no messages by events whose payload does not say that they are this room's alone.
    const isOurs = ({ data }: EventsPage["events"][number]) => {
      const [only, other] = this.#socket.ownersOf(data);
      return only === this && !other;
    };
    if (unsure || !page.events.some(isOurs)) {
      for (const { event, data, offset } of page.events) this.#applyToMessages(event, data, offset);
      this.#offset = page.offset;
      if (page.more) this.nudge();
      if (this.#unsure === unsure) this.#unsure = 0;
    }
    else if (wasOverdue) {
      this.#socket.cut();
      void this.#runRound();
    } else this.#overdueAfter = after;
  }

  /** Applies an event to the messages and calls its listeners. Transient events have no offset. */
  #apply(event: string, payload: unknown, offset: unknown): void {
    if (typeof offset === "string") this.#applyToMessages(event, payload, offset);
    this.#socket.tell(event, payload);
  }

  #applyToMessages(event: string, payload: unknown, offset: string): void {
    this.#offset = offset;
    this.#eventsSinceOlder?.push([event, payload]);
    const { messages, more } = this.#state;
    this.#set({ messages: applyEvent(messages, event, payload, this.#shape, more) });
  }

  /** Continuity is lost: loads the history and joins the room again. */
  #restart(): void {
    // The wait is random because the server may have told many pages to resync at this moment.
    this.#discard(RESTART_MS * Math.random());
  }

  /** Nothing of it may be shown. A right that comes back is seen in the next round, or when the page has another token. */
  #forbid(): void {
    const { pollConnectedMs = 30_000 } = this.#socket.options;
    const error = this.#socket.refusal ?? "forbidden";
    this.#discard(pollConnectedMs, { messages: NOTHING.messages, more: false, loading: false, status: "offline", error });
  }

  /** Forgets the offset, so that the next round loads the history. */
  #discard(wait: number, change?: Partial<ConversationState<M>>): void {
    this.#offset = this.#eventsSinceOlder = undefined;
    this.#dropSocket(wait, change);
    this.save();
  }
}
