"use client";

import { createElement, useCallback, useEffect, useState, useSyncExternalStore, type HTMLAttributes, type ReactElement } from "react";
import type { Conversation } from "./conversation.js";
import type { Options } from "./options.js";
import type { Message, Row } from "./protocol.js";
import { roomOf } from "./room.js";
import { actionsOf, showRoom, type Actions, type UsedConversation } from "./shared.js";
import { NOTHING, type ConversationState, type Status } from "./state.js";
import { es, type Texts } from "./texts.js";

export type { UsedConversation };

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

/** Says "Escribiendo..." while the other side types, and is empty otherwise. Style it by `[data-typing]`. */
export function TypingBadge({ typing, texts = es, ...span }: Span & { typing: boolean; texts?: Texts }): ReactElement {
  return createElement("span", { role: "status", ...span, "data-typing": typing }, typing ? texts.typing : null);
}

/** Says why it is not connected, and is empty while there is nothing to say. Style it by `[data-error]`. */
export function ErrorBadge({ error, texts = es, ...span }: Span & { error: string | null; texts?: Texts }): ReactElement {
  const words = error && ((texts.errors as Record<string, string>)[error] ?? error);
  return createElement("span", { role: "status", ...span, "data-error": error ?? undefined }, words);
}
