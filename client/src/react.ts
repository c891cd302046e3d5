"use client";

import { createElement, useCallback, useMemo, useRef, useSyncExternalStore, type HTMLAttributes, type ReactElement } from "react";
import type { Conversation, ConversationState, Status } from "./conversation.js";
import type { Options } from "./options.js";
import type { Message, Row } from "./protocol.js";
import { acquire } from "./shared.js";
import { es, type Texts } from "./texts.js";

/** A conversation as a component shows it. */
export interface UsedConversation<M extends Row = Message> extends ConversationState<M> {
  /** Events come at once. */
  connected: boolean;
  loadOlder(): Promise<void>;
  /** Call it at each key stroke; it stops by itself. */
  startTyping(): void;
  stopTyping(): void;
}

const NOTHING: ConversationState<never> = { messages: [], more: false, loading: true, status: "connecting", typing: false, error: null };
const UNUSABLE: ConversationState<never> = { ...NOTHING, status: "offline", error: "not_configured" };

declare const process: { env: { NEXT_PUBLIC_WEBHOOK_WS_URL?: string } };

/**
 * Shows a conversation: joins its room when it is viewed and leaves it on a change or when the component goes. All hooks of
 * a page share one connection, and `options` are those of the first.
 *
 * @param contactId whose conversation; nothing is opened for `null` and `undefined`
 * @param options `url` is `NEXT_PUBLIC_WEBHOOK_WS_URL` where that is set
 */
export function useConversationSocket<M extends Row = Message>(
  contactId: string | number | null | undefined,
  options: Options<M> = {},
): UsedConversation<M> {
  const url = options.url ?? environmentUrl();
  const latest = useRef(options);
  latest.current = options;
  const current = useRef<Conversation<M>>(undefined);
  const isUsable = useRef(true);
  const subscribe = useCallback(
    (changed: () => void) => {
      if (contactId === null || contactId === undefined) return () => {};
      let shared: ReturnType<typeof acquire<M>>;
      try {
        shared = acquire<M>({ ...latest.current, url });
        isUsable.current = true;
      } catch (error) {
        // A page without a server's address shows what it has.
        console.error(error);
        isUsable.current = false;
        return () => {};
      }
      const conversation = (current.current = shared.socket.join(contactId));
      const unsubscribe = conversation.subscribe(changed);
      return () => {
        unsubscribe();
        current.current = undefined;
        conversation.leave();
        shared.release();
      };
    },
    [contactId, url],
  );
  const read = () => {
    const conversation = current.current;
    if (conversation?.contactId === String(contactId)) return conversation.state;
    return isUsable.current ? NOTHING : UNUSABLE;
  };
  const state = useSyncExternalStore<ConversationState<M>>(subscribe, read, () => NOTHING);
  const actions = useMemo(
    () => ({
      loadOlder: async () => current.current?.loadOlder(),
      startTyping: () => current.current?.startTyping(),
      stopTyping: () => current.current?.stopTyping(),
    }),
    [],
  );
  return { ...state, ...actions, connected: state.status === "connected" };
}

/** Bundlers put the value in place of this expression; elsewhere there may be no `process`. */
function environmentUrl(): string | undefined {
  try {
    return process.env.NEXT_PUBLIC_WEBHOOK_WS_URL || undefined;
  } catch {
    return undefined;
  }
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
