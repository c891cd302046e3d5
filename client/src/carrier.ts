// Which of the two brings a conversation's events: the socket or polling.
//
// Guarantee: every event once, in order. At any time either the socket or polling is the carrier: it alone brings events,
//            and it starts after the offset of the last event that the other one brought. What the other one still brings
//            is dropped.
// Relies on: offsets that mean the same over HTTP and in a join (docs/resume.md, docs/http.md).

import { throwIfAborted } from "./abort.js";
import { debug } from "./debug.js";
import { codeOf } from "./error.js";
import { joinRoom } from "./join.js";
import type { EventsPage, ResyncEvent, Row } from "./protocol.js";
import { idOf, isConversation } from "./room.js";
import { Source } from "./source.js";
import { NOTHING, type ConversationState, type Status } from "./state.js";
import { Typing } from "./typing.js";

/** How long the socket may take to bring an event that a poll has seen. */
const OVERDUE_MS = 2_000;
/** A conversation that lost continuity is loaded again after a random part of this. */
const RESTART_MS = 1_000;
/** An event that may be of several rooms is looked for in each of them by a poll, at most this often. */
const NUDGE_MS = 500;

type Timer = ReturnType<typeof setTimeout> | undefined;

/** Brings one room's events into its view, and to the application's listeners. */
export abstract class Carrier<M extends Row> extends Source<M> {
  readonly #typing = new Typing(
    (word) => {
      const canTell = this.#live && isConversation(this.room);
      if (canTell) this.socket.io!.emit(`typing:${word}`, idOf(this.room));
      return canTell;
    },
    (typing) => this.set({ typing }),
  );
  /** Whether the socket is the carrier; else polling is. */
  #live = false;
  /** The offset after which a poll saw an event that the socket has not brought yet. */
  #overdueAfter: string | undefined;
  /** Aborts the current round when another one replaces it. */
  #round = new AbortController();
  /** Whether the current round loads history or joins: then `wake` doesn't replace it. */
  #busy = false;
  /** Starts the next round. */
  #timer: Timer;
  /** Polls for events that may be of several rooms. */
  #nudgeTimer: Timer;
  /** How many of those came that no poll has brought yet. Meanwhile polls alone change the messages: an event may be missing before the socket's next one. */
  #unsure = 0;

  /** @internal Stores it for the next time that the page opens it. */
  abstract save(): void;

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
    debug(this.room, event, offset);
    if (event === "rowcast:resync") this.#restart((payload as ResyncEvent).reason);
    this.#typing.receive(event);
    if (this.#unsure) this.socket.tell(event, payload);
    else this.#apply(event, payload, offset);
  }

  /** @internal The server has put the page out of the room. */
  left(reason: string): void {
    if (!this.#live) return;
    if (reason === "unavailable") this.#dropSocket(RESTART_MS * Math.random());
    else this.#forbid();
  }

  /** Call it at each key stroke. The others see it until `stopTyping`, or until no call came for a few seconds. Nobody types in rooms of other kinds. */
  startTyping(): void {
    this.#typing.start();
  }

  stopTyping(): void {
    this.#typing.stop();
  }

  /** @internal */
  olderFailed(error: string): void {
    if (error === "forbidden") this.#forbid();
    else this.set({ error });
  }

  /** @internal Ends it, for good. */
  end(): void {
    this.save();
    this.stopTyping();
    this.#dropSocket();
    clearTimeout(this.#timer);
    clearTimeout(this.#nudgeTimer);
  }

  #abortRound(): void {
    clearTimeout(this.#timer);
    this.#round.abort();
    this.#busy = false;
  }

  #scheduleRound(ms?: number): void {
    this.#timer = setTimeout(() => void this.#runRound(), ms ?? this.#pollMs(this.#live));
  }

  #pollMs(live: boolean): number {
    const { pollConnectedMs = 30_000, pollDisconnectedMs = 5_000 } = this.socket.options;
    return live ? pollConnectedMs : pollDisconnectedMs;
  }

  /** Makes polling the carrier, and starts the next round in `wait` milliseconds. */
  #dropSocket(wait?: number, change: Partial<ConversationState<M>> = {}): void {
    this.#abortRound();
    if (this.#live) this.socket.leaveRoom(this.room);
    this.#live = false;
    this.#overdueAfter = undefined;
    this.#unsure = 0;
    this.#typing.reset();
    // Before `set`: a subscriber that it calls may close everything, and that must find the timer to clear it.
    this.#scheduleRound(wait);
    this.set({ status: "connecting", typing: false, ...change });
  }

  /** Loads, joins or polls, whichever is due, and schedules the next round. */
  async #runRound(): Promise<void> {
    this.#abortRound();
    const { signal } = (this.#round = new AbortController());
    const { io } = this.socket;
    let error: string | null = null;
    let status: Status = "polling";
    try {
      if (io) error = await this.#useServer(signal);
      else await this.useFetcher(signal);
    } catch (failure) {
      if (signal.aborted) return;
      this.#busy = false;
      const code = codeOf(failure);
      if (code === "forbidden") return this.#forbid();
      // offset_expired, bad_request: the server can't go on from this offset.
      if (this.offset && /^off|^bad/.test(code)) return this.#restart(code);
      // While the socket brings the events, a poll that fails costs nothing.
      if (!this.#live) {
        error = code;
        status = "offline";
        if (io && this.fetcher) await this.useFetcher(signal).then(() => (status = "polling"), () => {});
      }
    }
    if (signal.aborted) return;
    this.#scheduleRound(this.#overdueAfter || this.#unsure ? OVERDUE_MS : undefined);
    this.set({ error: this.socket.refusal ?? error, status: this.#live ? "connected" : status });
  }

  /** Loads the history, then joins the room, or polls. Returns the code by which the server refuses the join. */
  async #useServer(signal: AbortSignal): Promise<string | null> {
    let refusal: string | null = null;
    if (!this.#live) {
      this.#busy = true;
      if (!this.offset) await this.load(signal);
      refusal = await joinRoom(this.socket, this.room, this.offset, this, signal, (live) => (this.#live = live));
      this.#busy = false;
      if (this.#live as boolean) return null;
    }
    await this.#poll(signal);
    return refusal;
  }

  /** Reads the events after the last one. */
  async #poll(signal: AbortSignal): Promise<void> {
    let more = true;
    while (more) {
      const after = this.offset;
      const unsure = this.#unsure;
      const page = await this.events(`?after=${after}`, signal);
      throwIfAborted(signal);
      if (this.#live) return this.#compare(page, after, unsure);
      for (const { event, data, offset } of page.events) {
        this.#apply(event, data, offset);
        // A listener that it calls may abort this round.
        throwIfAborted(signal);
      }
      this.offset = page.offset;
      more = page.more;
    }
  }

  /** Checks by a poll that the socket brings the events; cuts a connection that has brought none since the last check. */
  #compare(page: EventsPage, after: string | undefined, unsure: number): void {
    const wasOverdue = this.#overdueAfter === after;
    this.#overdueAfter = undefined;
    if (after !== this.offset) return;
    // The socket changes no messages by events whose payload does not say that they are this room's alone.
    const isOurs = ({ data }: EventsPage["events"][number]) => {
      const [only, other] = this.socket.ownersOf(data);
      return only === this && !other;
    };
    if (unsure || !page.events.some(isOurs)) {
      for (const { event, data, offset } of page.events) this.apply(event, data, offset);
      this.offset = page.offset;
      if (page.more) this.nudge();
      if (this.#unsure === unsure) this.#unsure = 0;
    }
    else if (wasOverdue) {
      this.socket.cut();
      void this.#runRound();
    } else this.#overdueAfter = after;
  }

  /** Applies an event to the messages and calls its listeners. Transient events have no offset. */
  #apply(event: string, payload: unknown, offset: unknown): void {
    if (typeof offset === "string") this.apply(event, payload, offset);
    this.socket.tell(event, payload);
  }

  /** Continuity is lost: loads the history and joins the room again. */
  #restart(reason: string): void {
    debug(this.room, "gap", reason);
    // The wait is random because the server may have told many pages to resync at this moment.
    this.#discard(RESTART_MS * Math.random(), { reason });
  }

  /** Nothing of it may be shown. A right that comes back is seen in the next round, or when the page has another token. */
  #forbid(): void {
    const error = this.socket.refusal ?? "forbidden";
    this.#discard(this.#pollMs(true), { ...NOTHING, loading: false, status: "offline", error });
  }

  /** Forgets the offset, so that the next round loads the history. */
  #discard(wait: number, change?: Partial<ConversationState<M>>): void {
    this.offset = this.olderEvents = undefined;
    this.#dropSocket(wait, change);
    this.save();
  }
}
