// Where a conversation's messages are read, without the socket: the server's history and events, and the application's fetcher.
//
// Guarantee: older messages that were on their way while events came are shown as those events left them.

import { throwIfAborted } from "./abort.js";
import type { Connection } from "./connection.js";
import { codeOf, UNREACHABLE } from "./error.js";
import { applyEvent, keyOf, mergeNewest } from "./messages.js";
import type { EventsPage, HistoryPage, Row } from "./protocol.js";
import { idOf, isConversation } from "./room.js";
import { View } from "./view.js";

/** What can be read of one room, into its view. */
export abstract class Source<M extends Row> extends View<M> {
  /** @internal Whether joins ask for presence. Declared alone: where nobody sets it, it costs nothing. */
  declare presence?: boolean | undefined;

  /** @internal */
  constructor(
    readonly room: string,
    /** @internal */
    readonly socket: Connection<M>,
  ) {
    super();
  }

  /** @internal */
  history(query: string, signal?: AbortSignal): Promise<HistoryPage<M>> {
    return this.socket.get(this.room, `messages?limit=${this.socket.options.limit ?? 50}${query}`, signal);
  }

  /** @internal */
  events(query: string, signal: AbortSignal): Promise<EventsPage> {
    return this.socket.get(this.room, `events${query}`, signal);
  }

  /** @internal Loads the newest messages, and the offset after which their events go on. */
  async load(signal: AbortSignal): Promise<void> {
    try {
      const { messages, more, offset, key, order } = await this.history("", signal);
      throwIfAborted(signal);
      this.shape = { key, order };
      this.offset = offset;
      this.set({ messages, more, loading: false });
    } catch (error) {
      if (!this.fetcher || codeOf(error) === UNREACHABLE) throw error;
      // A server without this history has the events all the same. Its offset is read before the messages: an event in
      // between is then applied to messages that have it already, and none is missed.
      const { offset } = await this.events("", signal);
      await this.useFetcher(signal);
      this.offset = offset;
    }
  }

  /** Loads the page of history before the loaded messages. A failure is in `state.error`. */
  async loadOlder(): Promise<void> {
    const { messages, more } = this.state;
    const first = keyOf(messages[0], this.shape);
    if (!first || !more || this.olderEvents) return;
    const events: [string, unknown][] = (this.olderEvents = []);
    try {
      const page = await this.history(`&before=${encodeURIComponent(first)}`);
      // The conversation was loaded again in the meantime, and its first message may be another one.
      if (this.olderEvents !== events) return;
      const { messages } = this.state;
      const known = new Set(messages.map((message) => keyOf(message, this.shape)));
      let older: readonly M[] = page.messages.filter((message) => !known.has(keyOf(message, this.shape)));
      // The server read the page at some moment after the request, so the events since then are applied to it again.
      for (const [event, payload] of events) if (event !== "message:new") older = applyEvent(older, event, payload, this.shape);
      this.set({ messages: [...older, ...messages], more: page.more });
    } catch (error) {
      this.olderFailed(codeOf(error));
    }
    if (this.olderEvents === events) this.olderEvents = undefined;
  }

  /** @internal */
  abstract olderFailed(error: string): void;

  /** @internal The application's own fetcher, which knows conversations alone. */
  get fetcher() {
    return isConversation(this.room) ? this.socket.options.fetcher : undefined;
  }

  /** @internal Shows the newest messages that the fetcher has. */
  async useFetcher(signal: AbortSignal): Promise<void> {
    const { fetcher } = this;
    if (!fetcher) throw { code: "not_configured" };
    const newest = await fetcher(idOf(this.room), { signal });
    throwIfAborted(signal);
    const messages = mergeNewest(this.state.messages, newest, this.shape);
    // Messages may be missing between the loaded ones and the newest, so the history is loaded again from the server.
    if (keyOf(messages[0], this.shape) !== keyOf(this.state.messages[0], this.shape)) {
      this.offset = undefined;
      this.olderEvents = undefined;
    }
    this.set({ messages, loading: false });
  }
}
