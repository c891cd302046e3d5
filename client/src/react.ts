"use client";

import { createElement, useCallback, useEffect, useState, useSyncExternalStore, type HTMLAttributes, type ReactElement } from "react";
import type { Conversation } from "./conversation.js";
import type { Options } from "./options.js";
import type { Message, Row } from "./protocol.js";
import { roomOf } from "./room.js";
import { acquire } from "./shared.js";
import type { ConversationSocket } from "./socket.js";
import { NOTHING, type ConversationState, type Status } from "./state.js";
import { es, type Texts } from "./texts.js";

/** A conversation as a component shows it. */
export interface UsedConversation<M extends Row = Message> extends ConversationState<M> {
  /** Events come at once. */
  connected: boolean;
  loadOlder(): Promise<void>;
  /** The user has seen the messages that came above others. */
  seeEarlier(): void;
  /** Call it at each key stroke; it stops by itself. */
  startTyping(): void;
  stopTyping(): void;
}

/** Between two renderings, as a screen has it. */
const FRAME_MS = 16;

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
  const [own] = useState(() => {
    const call = (action: keyof Actions) => async () => own.conversation?.[action]();
    const own: Own<M> = {
      options,
      actions: {
        loadOlder: call("loadOlder"), seeEarlier: call("seeEarlier"), startTyping: call("startTyping"), stopTyping: call("stopTyping"),
      },
    };
    return own;
  });
  own.options = { ...options, url };
  const subscribe = useCallback(
    (changed: () => void) => {
      if (!room) return () => {};
      const { socket, release } = acquire(own.options);
      own.socket = socket;
      const conversation = (own.conversation = socket.joinRoom(room));
      let frame: ReturnType<typeof setTimeout> | void;
      let nextAt = 0;
      const draw = () => {
        frame = undefined;
        nextAt = Date.now() + FRAME_MS;
        changed();
      };
      // At once, and then once a frame: a burst of a thousand events is not a thousand renderings.
      const unsubscribe = conversation.subscribe(() => (frame ??= Date.now() < nextAt ? setTimeout(draw, FRAME_MS) : draw()));
      return () => {
        own.conversation = own.socket = undefined;
        unsubscribe();
        clearTimeout(frame!);
        conversation.leave();
        release();
      };
    },
    [room, url],
  );
  useEffect(() => {
    if (options.token) own.socket?.setToken(options.token);
  }, [options.token]);
  const read = () => (room && own.conversation?.room === room ? own.conversation.state : NOTHING);
  const state = useSyncExternalStore<ConversationState<M>>(subscribe, read, () => NOTHING);
  return { ...state, ...own.actions, connected: state.status === "connected" };
}

/** What a hook keeps from one rendering to the next. */
interface Own<M extends Row> {
  options: Options<M>;
  conversation?: Conversation<M> | undefined;
  socket?: ConversationSocket<M> | undefined;
  actions: Actions;
}

type Actions = Pick<UsedConversation, "loadOlder" | "seeEarlier" | "startTyping" | "stopTyping">;

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
