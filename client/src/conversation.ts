// One conversation: its messages, and who brings the next event.
//
// Guarantee: every event once, in order. At any time one carrier alone brings them, the socket or polling, and it begins
//            after the offset of the last event that the other one brought. What comes by the one that is off is dropped.
// Relies on: offsets that mean the same over HTTP and in a join (docs/resume.md, docs/http.md).

import { RowcastError, type Http } from "./http.js";
import type { Shelf } from "./kept.js";
import { applyEvent, mergeNewest } from "./messages.js";
import type { Options } from "./options.js";
import type { EventsPage, HistoryPage, JoinAnswer, Message, Row } from "./protocol.js";
import { Typing } from "./typing.js";

/**
 * How a conversation's events come: `connected` at once, through the socket; `polling` every few seconds; `offline` not at
 * all for now; `connecting` until one of these is known.
 */
export type Status = "connecting" | "connected" | "polling" | "offline";

/** What there is to show. A change makes another object. */
export interface ConversationState<M extends Row = Message> {
  /** The newest last. */
  messages: readonly M[];
  /** Whether there are older ones. */
  more: boolean;
  /** Nothing is known yet. */
  loading: boolean;
  status: Status;
  /** Somebody on the other side types. */
  typing: boolean;
  /** Why it is not connected: a code such as `forbidden`, or `unreachable`. */
  error: string | null;
}

/** What a conversation needs of the socket that it shares with others. */
export interface Link<M extends Row> {
  readonly options: Options<M>;
  readonly http: Http | undefined;
  readonly shelf: Shelf;
  readonly connected: boolean;
  /** Settles once no event of an earlier membership can come any more. */
  left(contactId: string): Promise<unknown>;
  join(contactId: string, after: string | undefined): Promise<JoinAnswer>;
  leaveRoom(contactId: string): void;
  emitTyping(contactId: string, typing: boolean): void;
  /** Gives the connection up: it brings nothing. */
  cut(): void;
  tell(event: string, payload: unknown): void;
  /** One user of the conversation less. */
  leave(contactId: string): void;
}

/** How long the socket may take for an event that polling has seen. */
const OWED_MS = 2_000;

/** See the top. Made by `ConversationSocket.join`. */
export class Conversation<M extends Row = Message> {
  #state: ConversationState<M> = { messages: [], more: false, loading: true, status: "connecting", typing: false, error: null };
  #subscribers = new Set<() => void>();
  #carrier: "poll" | "socket" = "poll";
  /** After which the next event is wanted; unknown until the history is there. */
  #offset: string | undefined;
  /** The offset after which polling saw an event that the socket has not brought. */
  #owed: string | undefined;
  /** The work at hand; aborted when it is overtaken. */
  #round = new AbortController();
  /** It must not be overtaken: history, or a join. */
  #busy = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #restartedAt = -Infinity;
  /** Events since older messages were asked for. */
  #meanwhile: [event: string, payload: unknown][] | undefined;
  readonly #typing: Typing;

  readonly #link: Link<M>;

  /** @internal */
  constructor(
    readonly contactId: string,
    link: Link<M>,
  ) {
    this.#link = link;
    this.#typing = new Typing((typing) => this.#isLive && link.emitTyping(contactId, typing));
    const kept = link.http && link.shelf.take<M>(contactId);
    if (kept) {
      const { messages, more, offset } = kept;
      this.#offset = offset;
      this.#set({ messages, more, loading: false });
    }
    void this.#go();
  }

  get state(): ConversationState<M> {
    return this.#state;
  }

  /** Calls `subscriber` after each change of `state`, until the function that it returns is called. */
  subscribe = (subscriber: () => void): (() => void) => {
    this.#subscribers.add(subscriber);
    return () => this.#subscribers.delete(subscriber);
  };

  /** Call it at each key stroke: the others see it, until `stopTyping` or a few seconds without. */
  startTyping = (): void => this.#typing.start();
  stopTyping = (): void => this.#typing.stop();

  /** Loads the page of history before the messages that are here. What goes wrong is in `state.error`. */
  loadOlder = async (): Promise<void> => {
    const { http, options } = this.#link;
    const [first] = this.#state.messages;
    if (!http || !first || !this.#state.more || this.#meanwhile) return;
    const meanwhile: [string, unknown][] = (this.#meanwhile = []);
    try {
      const query = { limit: options.limit, before: String(first.id) };
      const page = await http.get<HistoryPage<M>>(this.contactId, "messages", query);
      const { messages } = this.#state;
      // A conversation that was loaded again meanwhile begins elsewhere.
      if (messages[0]?.id !== first.id) return;
      const known = new Set(messages.map(({ id }) => String(id)));
      let older: readonly M[] = page.messages.filter(({ id }) => !known.has(String(id)));
      // The page is of a moment in between: whatever changed since it was asked for is applied to it again.
      for (const [event, payload] of meanwhile) if (event !== "message:new") older = applyEvent(older, event, payload);
      this.#set({ messages: [...older, ...messages], more: page.more });
    } catch (error) {
      this.#set({ error: codeOf(error) });
    } finally {
      this.#meanwhile = undefined;
    }
  };

  /** Says that this user of the conversation needs it no more. The last one's leaves the room. */
  leave = (): void => this.#link.leave(this.contactId);

  /** @internal The socket has connected. */
  connected(): void {
    if (!this.#busy) void this.#go();
  }

  /** @internal The socket has lost its connection. */
  disconnected(): void {
    if (!this.#isLive) return;
    this.#interrupt();
    this.#carrier = "poll";
    this.#owed = undefined;
    this.#typing.forget();
    this.#set({ status: "connecting", typing: false });
    this.#wait(this.#pollMs);
  }

  /** @internal The page is looked at again, or the network is back: what is due is done now. */
  nudge(): void {
    if (!this.#busy) void this.#go();
  }

  /** @internal The server refuses the connection. */
  refused(code: string): void {
    this.#set({ error: code });
  }

  /** @internal The socket brings an event. */
  receive(event: string, payload: unknown, offset: unknown): void {
    if (!this.#isLive) return;
    if (event === "rowcast:resync") this.#restart();
    if (event === "typing:start" || event === "typing:stop") {
      const typing = event === "typing:start";
      this.#set({ typing });
      this.#typing.other(typing, () => this.#set({ typing: false }));
    }
    this.#take(event, payload, offset);
  }

  /** @internal The last one has left. */
  end(): void {
    this.keep();
    this.#interrupt();
    this.#typing.stop();
    this.#typing.forget();
    if (this.#isLive) this.#link.leaveRoom(this.contactId);
    this.#carrier = "poll";
    this.#subscribers.clear();
  }

  /** @internal Puts it on the shelf, for who comes back. */
  keep(): void {
    const { messages, more } = this.#state;
    if (this.#offset) this.#link.shelf.put(this.contactId, { messages, more, offset: this.#offset });
  }

  get #isLive(): boolean {
    return this.#carrier === "socket";
  }

  get #pollMs(): number {
    const { pollConnectedMs = 30_000, pollDisconnectedMs = 5_000 } = this.#link.options;
    return this.#isLive ? pollConnectedMs : pollDisconnectedMs;
  }

  #set(change: Partial<ConversationState<M>>): void {
    const state = this.#state as unknown as Record<string, unknown>;
    if (Object.entries(change).every(([key, value]) => Object.is(state[key], value))) return;
    this.#state = { ...this.#state, ...change };
    for (const subscriber of this.#subscribers) subscriber();
  }

  #interrupt(): void {
    clearTimeout(this.#timer);
    this.#round.abort();
    this.#busy = false;
  }

  #wait(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#go(), ms);
  }

  /** One round: what is due is done, and the next round is set. */
  async #go(): Promise<void> {
    this.#interrupt();
    const { signal } = (this.#round = new AbortController());
    const { http, options } = this.#link;
    let error: string | null = null;
    let status: Status | undefined;
    try {
      if (http) error = (await this.#serve(http, signal)) ?? null;
      else await this.#ask(signal);
    } catch (failure) {
      if (signal.aborted) return;
      error = codeOf(failure);
      if (error === "forbidden") this.#forget();
      status = "offline";
      if (http && options.fetcher) await this.#ask(signal).then(() => (status = "polling"), () => {});
    }
    if (signal.aborted) return;
    this.#set({ error, status: status ?? (this.#isLive ? "connected" : "polling") });
    this.#wait(this.#owed === undefined ? this.#pollMs : OWED_MS);
  }

  /** With the server: history, then the room or a poll. Returns why the room can't be joined. */
  async #serve(http: Http, signal: AbortSignal): Promise<string | undefined> {
    let refusal: string | undefined;
    if (!this.#isLive) {
      this.#busy = true;
      try {
        if (!this.#offset) await this.#load(http, signal);
        if (this.#link.connected) refusal = await this.#enter(signal);
      } finally {
        if (!signal.aborted) this.#busy = false;
      }
      if (this.#isLive) return;
    }
    await this.#poll(http, signal);
    return refusal;
  }

  async #load(http: Http, signal: AbortSignal): Promise<void> {
    const { fetcher, limit = 50 } = this.#link.options;
    try {
      const page = await http.get<HistoryPage<M>>(this.contactId, "messages", { limit }, signal);
      signal.throwIfAborted();
      this.#offset = page.offset;
      this.#set({ messages: page.messages, more: page.more, loading: false });
    } catch (error) {
      if (!fetcher || !(error instanceof RowcastError)) throw error;
      // A server without this history has the events all the same. The offset first: nothing falls between.
      const { offset } = await http.get<EventsPage>(this.contactId, "events", {}, signal);
      await this.#ask(signal);
      this.#offset = offset;
    }
  }

  /** The application's own way to the messages. */
  async #ask(signal: AbortSignal): Promise<void> {
    const newest = await this.#link.options.fetcher!(this.contactId, { signal });
    signal.throwIfAborted();
    this.#set({ messages: mergeNewest(this.#state.messages, newest), loading: false });
  }

  /** Into the room. Returns why not. */
  async #enter(signal: AbortSignal): Promise<string | undefined> {
    await this.#link.left(this.contactId);
    signal.throwIfAborted();
    if (!this.#link.connected) return;
    this.#carrier = "socket";
    const answer = await this.#link.join(this.contactId, this.#offset);
    signal.throwIfAborted();
    if (!answer.ok) {
      this.#carrier = "poll";
      return answer.error.code;
    }
    if (answer.resync) this.#restart();
    return;
  }

  async #poll(http: Http, signal: AbortSignal): Promise<void> {
    for (;;) {
      const after = this.#offset;
      let page: EventsPage;
      try {
        page = await http.get<EventsPage>(this.contactId, "events", { after }, signal);
      } catch (error) {
        const isLost = error instanceof RowcastError && /^(offset_expired|bad_request)$/.test(error.code);
        if (isLost && !signal.aborted) this.#restart();
        throw error;
      }
      signal.throwIfAborted();
      if (this.#isLive) return this.#compare(page, after);
      for (const { event, data, offset } of page.events) this.#take(event, data, offset);
      this.#offset = page.offset;
      if (!page.more) return;
    }
  }

  /** The socket brings the events: polling only looks whether it does. */
  #compare(page: EventsPage, after: string | undefined): void {
    const wasOwed = this.#owed === after && after !== undefined;
    this.#owed = undefined;
    if (after !== this.#offset) return;
    if (!page.events.length) this.#offset = page.offset;
    else if (wasOwed) this.#link.cut();
    else this.#owed = after;
  }

  #take(event: string, payload: unknown, offset: unknown): void {
    if (typeof offset === "string") {
      this.#offset = offset;
      this.#meanwhile?.push([event, payload]);
      this.#set({ messages: applyEvent(this.#state.messages, event, payload) });
    }
    this.#link.tell(event, payload);
  }

  /** Continuity is lost: the history again, then the room again. */
  #restart(): void {
    this.#interrupt();
    if (this.#isLive) this.#link.leaveRoom(this.contactId);
    this.#carrier = "poll";
    this.#offset = this.#owed = undefined;
    this.#link.shelf.remove(this.contactId);
    this.#set({ status: "connecting", typing: false });
    // Once at once; a server that goes on like this is asked at the pace of polling.
    const isFirst = performance.now() - this.#restartedAt > this.#pollMs;
    this.#restartedAt = performance.now();
    this.#wait(isFirst ? 0 : this.#pollMs);
  }

  /** It may not be seen any more. */
  #forget(): void {
    this.#offset = undefined;
    this.#link.shelf.remove(this.contactId);
    this.#set({ messages: [], more: false });
  }
}

function codeOf(error: unknown): string {
  return error instanceof RowcastError ? error.code : "unreachable";
}
