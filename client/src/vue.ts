import { getCurrentInstance, onMounted, onScopeDispose, shallowReactive, shallowRef, toValue, watch, type MaybeRefOrGetter, type ShallowRef } from "vue";
import { composerOf, type Composed, type Composer, type ComposerOptions } from "./composer.js";
import type { Conversation } from "./conversation.js";
import { onFrames } from "./frame.js";
import { ALL, inboxOf, type Inbox, type InboxRow, type Unread } from "./inbox.js";
import type { Options } from "./options.js";
import { NOBODY, presenceOf, type PresenceState } from "./presence.js";
import type { Message, Row } from "./protocol.js";
import { roomOf } from "./room.js";
import { actionsOf, showRoom, type UsedConversation } from "./shared.js";
import { NOTHING } from "./state.js";

export type { InboxRow, UsedConversation };

/**
 * Shows a conversation while the component is there, or the scope: the returned object changes with it. All of a page share one
 * connection, and `options` are those of the first, but for `token`: the last one holds.
 *
 * @param contactId whose conversation, or where to read that; nothing is opened for `null` and `undefined`
 */
export function useConversationSocket<M extends Row = Message>(
  contactId: MaybeRefOrGetter<string | number | null | undefined>,
  options: Options<M>,
): Readonly<UsedConversation<M>> {
  return useRoom(() => {
    const id = toValue(contactId);
    return id === null || id === undefined ? null : roomOf(id);
  }, options);
}

/** The same for a room of any kind, by its whole name: `inbox:7`. */
export function useRoom<M extends Row = Message>(room: MaybeRefOrGetter<string | null | undefined>, options: Options<M>): Readonly<UsedConversation<M>> {
  let conversation: Conversation<M> | undefined;
  const used = shallowReactive({ ...NOTHING, connected: false, conversation, ...actionsOf(() => conversation) }) as UsedConversation<M>;
  const show = () => {
    const state = conversation?.state ?? NOTHING;
    Object.assign(used, state, { conversation, connected: state.status === "connected" });
  };
  const start = () =>
    watch(
      () => toValue(room),
      (name, _, onCleanup) => {
        const shown = name ? showRoom(name, options, show) : undefined;
        conversation = shown?.conversation;
        show();
        onCleanup(() => {
          conversation = undefined;
          shown?.stop();
        });
      },
      { immediate: true },
    );
  // Not on a server, where nothing is mounted.
  if (getCurrentInstance()) onMounted(start);
  else start();
  return used;
}

/** A list of conversations as a component shows it. */
export type UsedInbox<R extends Unread = InboxRow> = UsedConversation<R> & Inbox<R>;

/** Shows a list of conversations, the newest first and live; `loadOlder` while there are `more`. The room is that of the chat tables, or one of your own. */
export function useInbox<R extends Unread = InboxRow>(
  room: MaybeRefOrGetter<string | null | undefined> = ALL,
  options: Options<R> = {},
): Readonly<UsedInbox<R>> {
  const used = useRoom(room, options) as UsedInbox<R>;
  watch(() => used.messages, (messages) => Object.assign(used, inboxOf(messages)), { immediate: true, flush: "sync" });
  return used;
}

/**
 * Shows what the user sends before its row is there: the conversation's messages, then what is not written yet.
 *
 * @param used what `useConversationSocket` or `useRoom` returned
 */
export function useComposer<M extends Row = Message>(
  used: Readonly<UsedConversation<M>>,
  options?: ComposerOptions<M>,
): { messages: Readonly<ShallowRef<readonly Composed<M>[]>>; send: Composer<M>["send"] } {
  const messages = shallowRef<readonly Composed<M>[]>(NOTHING.messages);
  let composer: Composer<M> | undefined;
  let unsubscribe = () => {};
  const show = () => void (messages.value = composer?.messages ?? NOTHING.messages);
  watch(
    () => used.conversation as Conversation<M> | undefined,
    (conversation) => {
      unsubscribe();
      composer = conversation && composerOf(conversation, options);
      unsubscribe = composer ? onFrames(composer, show) : () => {};
      show();
    },
    { immediate: true, flush: "sync" },
  );
  onScopeDispose(() => unsubscribe());
  return {
    messages,
    send(draft, write) {
      if (!composer) throw new Error("send: no conversation is open");
      composer.send(draft, write);
    },
  };
}

/**
 * Who is in a conversation's room, and who types there.
 *
 * @param used what `useConversationSocket` or `useRoom` returned
 */
export function usePresence<M extends Row>(used: Readonly<UsedConversation<M>>): Readonly<ShallowRef<PresenceState>> {
  const state = shallowRef(NOBODY);
  watch(
    () => used.conversation as Conversation<M> | undefined,
    (conversation, _, onCleanup) => {
      const presence = conversation && presenceOf(conversation);
      const show = () => void (state.value = presence?.state ?? NOBODY);
      onCleanup(presence?.subscribe(show) ?? (() => {}));
      show();
    },
    { immediate: true, flush: "sync" },
  );
  return state;
}
