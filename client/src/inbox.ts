// A room whose rows are conversations, as a list shows it.

import type { MessageStatus, Row } from "./protocol.js";

/** The room of all conversations of the chat tables. */
export const ALL = "inbox:all";

/** A row of the chat tables' `conversations`. For a list of your own, name your row's type: `useInbox<MyRow>("inbox:7", options)`. */
export interface InboxRow extends Row {
  contactId: string;
  /** The newest one. Of a long body or author the first 200 characters are here; `type` is that of its `metadata`. */
  lastMessage: { id: string; direction: "inbound" | "outbound"; author?: string; body: string; status: MessageStatus; type?: string };
  lastMessageAt: string;
  /** How many came in and are not read. */
  unread: number;
  updatedAt: string;
}

/** A row that says how much of it is unread; a number that is a `bigint` comes as text. */
export type Unread = Row & { unread?: number | string | null | undefined };

/** What a list shows of a room. */
export interface Inbox<R extends Unread = InboxRow> {
  /** The room's rows, the newest first. */
  conversations: readonly R[];
  /** How much is unread in all of them that are loaded. */
  unread: number;
}

const inboxes = new WeakMap<readonly Unread[], Inbox<never>>();

/** The rows of a room's state as a list: the same one for the same rows. */
export function inboxOf<R extends Unread = InboxRow>(messages: readonly R[]): Inbox<R> {
  let inbox = inboxes.get(messages) as Inbox<R> | undefined;
  if (!inbox) {
    inbox = { conversations: [...messages].reverse(), unread: messages.reduce((sum, { unread }) => sum + Number(unread ?? 0), 0) };
    inboxes.set(messages, inbox as Inbox<never>);
  }
  return inbox;
}
