// The list of conversations: a room like any other, which the kit loads, joins and keeps sorted (docs/sql.md, "The inbox").
//
// Guarantee: what was shown stays while the server is away, and is fresh soon after it is back.

import type { ErrorCode } from "@rowcast/client";
import { useInbox as useRows, type InboxRow } from "@rowcast/client/react";
import { useMemo } from "react";
import { texts } from "./texts";

/** The options of the page's only connection. */
export const options = { url: location.origin };

export interface InboxState {
  /** The newest first. */
  conversations: readonly InboxRow[];
  /** Whose they are, in the same order. */
  contacts: readonly string[];
  unread: number;
  /** Whether there are older ones. */
  more: boolean;
  /** Nothing is known yet. */
  loading: boolean;
  loadOlder: () => Promise<void>;
  /** Why the list is not fresh. */
  problem: string | null;
}

export function useInbox(): InboxState {
  const { conversations, unread, more, loading, status, error, loadOlder } = useRows(undefined, options as object);
  const contacts = useMemo(() => conversations.map(({ contactId }) => contactId), [conversations]);
  return { conversations, contacts, unread, more, loading, loadOlder, problem: status === "offline" ? reasonOf(error) : null };
}

function reasonOf(error: string | null): string {
  if (error === null || error === "unreachable") return texts.unreachable;
  return texts.kit.errors[error as ErrorCode] ?? error;
}
