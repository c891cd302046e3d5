// What a page shows of one conversation.
//
// Guarantee: each change makes another state, and subscribers are called after it.

import { call } from "./call.js";
import { applyEvent, keyOf, type Shape } from "./messages.js";
import type { Row } from "./protocol.js";
import { NOTHING, type ConversationState } from "./state.js";

/** A conversation's state, and who is told that it changed. The layers above are `Source`, `Carrier` and `Conversation`. */
export class View<M extends Row> {
  /** @internal The offset of the last event; unknown until the history is loaded. */
  offset: string | undefined;
  /** @internal What identifies and sorts the messages. */
  shape: Shape = {};
  // Its own, so that a hook sees that there is a conversation before anything is known of it.
  #state: ConversationState<M> = { ...NOTHING };
  readonly #subscribers = new Set<() => void>();
  /** @internal The events that came since older messages were asked for. Without it, what comes of those is dropped. */
  olderEvents: [event: string, payload: unknown][] | undefined;

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
    for (const key in change) {
      if (state[key as keyof typeof change] === this.#state[key as keyof typeof change]) continue;
      this.#state = state;
      return call(this.#subscribers);
    }
  }

  /** @internal Applies a stored event to the messages. */
  apply(event: string, payload: unknown, offset: string): void {
    this.offset = offset;
    this.olderEvents?.push([event, payload]);
    const { messages: before, more, earlier } = this.#state;
    const messages = applyEvent(before, event, payload, this.shape, more);
    const { message, messageId, moved } = (payload ?? {}) as Partial<Record<"messageId" | "moved", unknown> & { message: M }>;
    const key = keyOf(message, this.shape);
    const grown = messages.length - before.length;
    const isAbove = grown > 0 && !moved && keyOf(messages[before.length], this.shape) !== key;
    this.set({ messages, lastEventAt: Date.now(), earlier: isAbove ? [...earlier, key] : grown < 0 ? earlier.filter((id) => id !== messageId) : earlier });
  }

  /** The user has seen the messages that came above others: `state.earlier` begins anew. */
  seeEarlier(): void {
    this.set({ earlier: NOTHING.earlier });
  }
}
