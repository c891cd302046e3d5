"use client";

import { createElement, useCallback, useEffect, useMemo, useState, useSyncExternalStore, type HTMLAttributes, type ReactElement } from "react";
import { composerOf, type Composed, type Composer, type ComposerOptions } from "./composer.js";
import type { Conversation } from "./conversation.js";
import { onFrames } from "./frame.js";
import { ALL, inboxOf, type Inbox, type InboxRow, type Unread } from "./inbox.js";
import type { Options } from "./options.js";
import { NOBODY, presenceOf, type PresenceState } from "./presence.js";
import type { Message, Row } from "./protocol.js";
import { roomOf } from "./room.js";
import { actionsOf, showRoom, type Actions, type UsedConversation } from "./shared.js";
import { NOTHING, type ConversationState, type Status } from "./state.js";
import { es, type Texts } from "./texts.js";

export type { InboxRow, UsedConversation };

/** How long a room stays open for a component that was suspended until it was loaded. */
const AWAITED_MS = 5_000;

declare const process: { env: { NEXT_PUBLIC_WEBHOOK_WS_URL?: string } };

/**
 * Shows a conversation: joins its room when it is viewed and leaves it on a change or when the component goes. All hooks of
 * a page share one connection, and `options` are those of the first, but for `token`: the last one holds.
 *
 * @param contactId whose conversation; nothing is opened for `null` and `undefined`
 * @param options `url` is `NEXT_PUBLIC_WEBHOOK_WS_URL` where that is set
 */
export function useConversationSocket<M extends Row = Message>(
  contactId: string | number | null | undefined,
  options: Options<M> = {},
): UsedConversation<M> {
  return useRoom(contactId === null || contactId === undefined ? null : roomOf(contactId), options);
}

/** The same for a room of any kind, by its whole name: `inbox:7`. */
export function useRoom<M extends Row = Message>(room: string | null | undefined, options: Options<M> = {}): UsedConversation<M> {
  const url = options.url ?? environmentUrl();
  const [own] = useState<Own<M>>(() => {
    const own = {} as Own<M>;
    own.actions = actionsOf(() => own.conversation);
    return own;
  });
  own.options = { ...options, url };
  const subscribe = useCallback(
    (changed: () => void) => {
      if (!room) return () => {};
      const { conversation, stop } = showRoom(room, own.options, changed);
      own.conversation = conversation;
      return () => {
        own.conversation = undefined;
        stop();
      };
    },
    [room, url],
  );
  useEffect(() => {
    if (options.token) own.conversation?.socket.setToken(options.token);
  }, [options.token]);
  const shown = () => (own.conversation?.room === room ? own.conversation : undefined);
  const state = useSyncExternalStore<ConversationState<M>>(subscribe, () => shown()?.state ?? NOTHING, () => NOTHING);
  return { ...state, ...own.actions, conversation: shown(), connected: state.status === "connected" };
}

/** A list of conversations as a component shows it. */
export type UsedInbox<R extends Unread = InboxRow> = UsedConversation<R> & Inbox<R>;

/**
 * Shows a list of conversations, the newest first and live; `loadOlder` while there are `more`.
 *
 * @param room that of the chat tables, or one whose rows are your own
 */
export function useInbox<R extends Unread = InboxRow>(room: string | null | undefined = ALL, options: Options<R> = {}): UsedInbox<R> {
  const used = useRoom(room, options);
  return { ...used, ...inboxOf(used.messages) };
}

/** What a hook keeps from one rendering to the next. */
interface Own<M extends Row> {
  options: Options<M>;
  conversation?: Conversation<M> | undefined;
  actions: Actions;
}

/** Bundlers put the value in place of this expression; elsewhere there may be no `process`. */
function environmentUrl(): string | undefined {
  try {
    return process.env.NEXT_PUBLIC_WEBHOOK_WS_URL;
  } catch {}
}

type Span = Omit<HTMLAttributes<HTMLSpanElement>, "children">;

/** Says how events come: "Tiempo real" when at once. Style it by `[data-status]`. */
export function ConnectionBadge({ status, texts = es, ...span }: Span & { status: Status; texts?: Texts }): ReactElement {
  return createElement("span", { role: "status", ...span, "data-status": status }, texts.connection[status]);
}

/** Says "Escribiendo..." while the other side types, who does where `typist` says so, and is empty otherwise. Style it by `[data-typing]`. */
export function TypingBadge({ typing, typist, texts = es, ...span }: Span & { typing: boolean; typist?: string | null; texts?: Texts }): ReactElement {
  const words = typist ? texts.typist(typist) : texts.typing;
  return createElement("span", { role: "status", ...span, "data-typing": typing }, typing ? words : null);
}

/** Says why it is not connected, and is empty while there is nothing to say. Style it by `[data-error]`. */
export function ErrorBadge({ error, texts = es, ...span }: Span & { error: string | null; texts?: Texts }): ReactElement {
  const words = error && ((texts.errors as Record<string, string>)[error] ?? error);
  return createElement("span", { role: "status", ...span, "data-error": error ?? undefined }, words);
}

/** Sends a conversation's messages, and shows them with those that are there. */
export interface UsedComposer<M extends Row = Message> {
  /** The conversation's messages, then what is not written yet: with `draft`, which has its `status`, `error`, `retry()` and `discard()`. */
  messages: readonly Composed<M>[];
  /** Shows a draft at once, and writes it. Throws while there is no conversation. */
  send: Composer<M>["send"];
}

/**
 * Shows what the user sends before its row is there.
 *
 * @param conversation as `useConversationSocket` and `useRoom` return it
 * @param options those of the first rendering of each conversation hold
 */
export function useComposer<M extends Row = Message>(
  conversation: Conversation<M> | undefined,
  options?: ComposerOptions<M>,
): UsedComposer<M> {
  const composer = useMemo(() => conversation && composerOf(conversation, options), [conversation]);
  const messages = useSource<readonly Composed<M>[]>(composer, () => composer?.messages, NOTHING.messages);
  const send = useCallback<Composer<M>["send"]>(
    (draft, write) => {
      if (!composer) throw new Error("send: no conversation is open");
      composer.send(draft, write);
    },
    [composer],
  );
  return { messages, send };
}

/**
 * Who is in a conversation's room, and who types there.
 *
 * @param conversation as `useConversationSocket` and `useRoom` return it
 */
export function usePresence<M extends Row>(conversation: Conversation<M> | undefined): PresenceState {
  const presence = conversation && presenceOf(conversation);
  return useSource(presence, () => presence?.state, NOBODY);
}

/** What is read of a source that may not be there; `none` without it, and on a server. */
function useSource<S>(source: Parameters<typeof onFrames>[0] | undefined, read: () => S | undefined, none: S): S {
  const subscribe = useCallback((changed: () => void) => (source ? onFrames(source, changed) : () => {}), [source]);
  return useSyncExternalStore(subscribe, () => read() ?? none, () => none);
}

/** Rooms that components wait for, by their url and name: kept open until a component that was suspended is there. */
const awaited = new Map<string, Awaited<never>>();

interface Awaited<M extends Row> {
  conversation: Conversation<M>;
  loaded: Promise<void>;
}

/**
 * `useConversationSocket` for a component below a `Suspense`, which shows its fallback until there is something to show: messages, that there
 * are none, or an `error`. On a server the fallback is shown.
 */
export function useConversationSuspense<M extends Row = Message>(contactId: string | number, options: Options<M> = {}): UsedConversation<M> {
  return useRoomSuspense(roomOf(contactId), options);
}

/** The same for a room of any kind, by its whole name. */
export function useRoomSuspense<M extends Row = Message>(room: string, options: Options<M> = {}): UsedConversation<M> {
  // Without a snapshot for servers React shows the fallback there.
  useSyncExternalStore(subscribeToNothing, () => true);
  const used = useRoom(room, options);
  if (used.conversation) return used;
  const url = options.url ?? environmentUrl();
  const { conversation, loaded } = awaitRoom<M>(`${url} ${room}`, room, { ...options, url });
  const { state } = conversation;
  if (isWaiting(state)) throw loaded;
  return { ...used, ...state, conversation, connected: state.status === "connected" };
}

const subscribeToNothing = () => () => {};

const isWaiting = ({ loading, error }: Pick<ConversationState, "loading" | "error">) => loading && !error;

/** Opens a room until it is loaded, and for as long as the component may take to be there then. */
function awaitRoom<M extends Row>(key: string, room: string, options: Options<M>): Awaited<M> {
  const known = awaited.get(key);
  if (known) return known as unknown as Awaited<M>;
  let done: () => void;
  const loaded = new Promise<void>((resolve) => (done = resolve));
  const look = () => {
    if (isWaiting(conversation.state)) return;
    done();
    setTimeout(() => {
      awaited.delete(key);
      stop();
    }, AWAITED_MS);
    unsubscribe();
  };
  const { conversation, stop } = showRoom(room, options, () => {});
  const unsubscribe = conversation.subscribe(look);
  const entry = { conversation, loaded };
  awaited.set(key, entry as unknown as Awaited<never>);
  look();
  return entry;
}
