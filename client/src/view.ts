// What a page shows of one conversation.
//
// Guarantee: each change makes another state, and subscribers are called after it. Older messages that were on their way while events
//            came are shown as those events left them.

import { call } from "./call.js";
import { applyEvent, keyOf, type Shape } from "./messages.js";
import type { HistoryPage, Row } from "./protocol.js";
import { NOTHING, type ConversationState } from "./state.js";

/** A conversation's state, and who is told that it changed. The layers above are `Source`, `Carrier` and `Conversation`. */
export class View<M extends Row> {
  /** @internal What identifies and sorts the messages. */
  shape: Shape = {};
  #state: ConversationState<M> = NOTHING;
  readonly #subscribers = new Set<() => void>();
  /** The events that came since older messages were asked for. */
  #eventsSinceOlder: [event: string, payload: unknown][] | undefined;

  get state(): ConversationState<M> {
    return this.#state;
  }

  /** Calls `subscriber` after each change of `state`, until the function that it returns is called. */
  subscribe(subscriber: () => void): () => void {
    this.#subscribers.add(subscriber);
    return () => this.#subscribers.delete(subscriber);
  }

  /** @internal */
  set(change: Partial<ConversationState<M>>): void {
    const state = { ...this.#state, ...change };
    if ((Object.keys(change) as (keyof typeof change)[]).every((key) => state[key] === this.#state[key])) return;
    this.#state = state;
    call(this.#subscribers, undefined);
  }

  /** @internal Applies a stored event to the messages. */
  apply(event: string, payload: unknown): void {
    this.#eventsSinceOlder?.push([event, payload]);
    const { messages: before, more, earlier } = this.#state;
    const messages = applyEvent(before, event, payload, this.shape, more);
    const { message, messageId, moved } = (payload ?? {}) as Partial<Record<"messageId" | "moved", unknown> & { message: M }>;
    const key = keyOf(message, this.shape);
    const grown = messages.length - before.length;
    const isAbove = grown > 0 && !moved && keyOf(messages[before.length], this.shape) !== key;
    this.set({ messages, earlier: isAbove ? [...earlier, key] : grown < 0 ? earlier.filter((id) => id !== messageId) : earlier });
  }

  /** The user has seen the messages that came above others: `state.earlier` begins anew. */
  seeEarlier(): void {
    this.set({ earlier: NOTHING.earlier });
  }

  /** @internal Loads the page of history before the loaded messages, by `read`. Throws what that throws. */
  async readOlder(read: (query: string) => Promise<HistoryPage<M>>): Promise<void> {
    const first = keyOf(this.#state.messages[0], this.shape);
    if (!first || !this.#state.more || this.#eventsSinceOlder) return;
    const eventsSince: [string, unknown][] = (this.#eventsSinceOlder = []);
    try {
      const page = await read(`&before=${encodeURIComponent(first)}`);
      // The conversation was loaded again in the meantime, and its first message may be another one.
      if (this.#eventsSinceOlder !== eventsSince) return;
      const { messages } = this.#state;
      const known = new Set(messages.map((message) => keyOf(message, this.shape)));
      let older: readonly M[] = page.messages.filter((message) => !known.has(keyOf(message, this.shape)));
      // The server read the page at some moment after the request, so the events since then are applied to it again.
      for (const [event, payload] of eventsSince) if (event !== "message:new") older = applyEvent(older, event, payload, this.shape);
      this.set({ messages: [...older, ...messages], more: page.more });
    } finally {
      if (this.#eventsSinceOlder === eventsSince) this.dropOlder();
    }
  }

  /** @internal The messages are loaded again: older ones that are on their way may not fit them. */
  dropOlder(): void {
    this.#eventsSinceOlder = undefined;
  }
}
