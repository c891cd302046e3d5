// The list of conversations: a room like any other, which the kit loads, joins and keeps sorted (docs/sql.md, "The inbox").
//
// Guarantee: what was shown stays while the server is away, and is fresh soon after it is back.

import type { ErrorCode, Message, MessageStatus, Row } from "@rowcast/client";
import { useRoom } from "@rowcast/client/react";
import { useMemo } from "react";
import { texts } from "./texts";

/** The options of the page's only connection. */
export const options = { url: location.origin };

/** A row of public.conversations. */
interface ConversationRow extends Row {
  contactId: string;
  lastMessage: { id: string; direction: Message["direction"]; author?: string; body: string; status: MessageStatus; type?: string };
  lastMessageAt: string;
  unread: number;
}

/** A conversation in the list. */
export interface Entry {
  contactId: string;
  /** Its newest message, as far as the list has it. */
  last: Pick<Message, "body" | "createdAt" | "direction" | "metadata" | "status">;
  unread: number;
}

export interface InboxState {
  /** The newest first; null until they are known. */
  conversations: readonly Entry[] | null;
  /** Whether there are older ones. */
  more: boolean;
  loadOlder: () => Promise<void>;
  /** Why the list is not fresh. */
  problem: string | null;
}

export function useInbox(): InboxState {
  const { messages, more, loading, status, error, loadOlder } = useRoom<ConversationRow>("inbox:all", options);
  const conversations = useMemo(() => messages.map(entryOf).reverse(), [messages]);
  return { conversations: loading ? null : conversations, more, loadOlder, problem: status === "offline" ? reasonOf(error) : null };
}

function entryOf({ contactId, lastMessage, lastMessageAt, unread }: ConversationRow): Entry {
  const { body, direction, status, type } = lastMessage;
  return { contactId, last: { body, createdAt: lastMessageAt, direction, metadata: type === undefined ? {} : { type }, status }, unread };
}

function reasonOf(error: string | null): string {
  if (error === null || error === "unreachable") return texts.unreachable;
  return texts.kit.errors[error as ErrorCode] ?? error;
}
