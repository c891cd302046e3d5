// Stores of Svelte's contract, 3 to 5: `$chat` subscribes while the component is there. Nothing of Svelte is imported.

import { composerOf, type Composed, type Composer, type ComposerOptions } from "./composer.js";
import type { Conversation } from "./conversation.js";
import { onFrames } from "./frame.js";
import { ALL, inboxOf, type Inbox, type InboxRow, type Unread } from "./inbox.js";
import type { Options } from "./options.js";
import { NOBODY, presenceOf, type PresenceState } from "./presence.js";
import type { Message, Row } from "./protocol.js";
import { roomOf } from "./room.js";
import { actionsOf, showRoom, type Actions, type UsedConversation } from "./shared.js";
import { NOTHING } from "./state.js";

export type { InboxRow };

/** What Svelte subscribes to. */
export interface Store<T> {
  subscribe(run: (value: T) => void): () => void;
}

/** What a room's store says: a conversation's state. */
export type Shown<M extends Row = Message> = Omit<UsedConversation<M>, keyof Actions>;

/** A conversation, open while somebody subscribes, and what can be done with it. */
export type ConversationStore<M extends Row = Message> = Store<Shown<M>> & Actions;

/** A conversation as a store. All of a page share one connection; the first one's options hold, and the last one's token. */
export function conversationStore<M extends Row = Message>(contactId: string | number, options: Options<M>): ConversationStore<M> {
  return roomStore(roomOf(contactId), options);
}

/** The same for a room of any kind, by its whole name: `inbox:7`. */
export function roomStore<M extends Row = Message>(room: string, options: Options<M>): ConversationStore<M> {
  let conversation: Conversation<M> | undefined;
  const runs = new Set<(value: Shown<M>) => void>();
  const read = (): Shown<M> => {
    const state = conversation?.state ?? NOTHING;
    return { ...state, conversation, connected: state.status === "connected" };
  };
  let stop = () => {};
  return {
    ...actionsOf(() => conversation),
    subscribe(run) {
      // A page that is rendered on a server connects to nothing.
      if (!runs.size && typeof window !== "undefined") {
        ({ conversation, stop } = showRoom(room, options, () => runs.forEach((each) => each(read()))));
      }
      // A function of its own, because the same one may subscribe twice.
      const own = (value: Shown<M>) => run(value);
      runs.add(own);
      run(read());
      return () => {
        if (!runs.delete(own) || runs.size) return;
        stop();
        stop = () => {};
        conversation = undefined;
      };
    },
  };
}

/** A list of conversations as a store: the newest first and live; `loadOlder` while there are `more`. The room is that of the chat tables, or one of your own. */
export function inboxStore<R extends Unread = InboxRow>(room: string = ALL, options: Options<R> = {}): Store<Shown<R> & Inbox<R>> & Actions {
  const store = roomStore(room, options);
  return { ...store, subscribe: (run) => store.subscribe((shown) => run({ ...shown, ...inboxOf(shown.messages) })) };
}

/** The store's messages, then what the user sends and is not written yet. */
export function composerStore<M extends Row = Message>(
  chat: ConversationStore<M>,
  options?: ComposerOptions<M>,
): Store<readonly Composed<M>[]> & { send: Composer<M>["send"] } {
  let composer: Composer<M> | undefined;
  return {
    send(draft, write) {
      if (!composer) throw new Error("send: no conversation is open");
      composer.send(draft, write);
    },
    subscribe(run) {
      let unsubscribe: (() => void) | undefined;
      const stop = chat.subscribe(({ conversation }) => {
        if (conversation && !unsubscribe) {
          const own = (composer = composerOf(conversation, options));
          unsubscribe = onFrames(own, () => run(own.messages));
        }
        run(composer?.messages ?? []);
      });
      return () => {
        unsubscribe?.();
        stop();
      };
    },
  };
}

/** Who is in the store's room, and who types there. */
export function presenceStore<M extends Row>(chat: ConversationStore<M>): Store<PresenceState> {
  return {
    subscribe(run) {
      let unsubscribe: (() => void) | undefined;
      run(NOBODY);
      const stop = chat.subscribe(({ conversation }) => {
        if (!conversation || unsubscribe) return;
        const presence = presenceOf(conversation);
        unsubscribe = presence.subscribe(() => run(presence.state));
        run(presence.state);
      });
      return () => {
        unsubscribe?.();
        stop();
      };
    },
  };
}
