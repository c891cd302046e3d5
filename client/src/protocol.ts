// What travels between Rowcast and a page: rows, events, answers. Types only.
//
// The events are the server's to the letter: the payload first, then, for events that are stored, the offset.

/** How far a message has come. */
export type MessageStatus = "queued" | "sent" | "delivered" | "read" | "failed";

/** What every row has that is shown in a conversation. */
export interface Row {
  id: string;
  /** Only the ids are here: the row was larger than the server's ROWCAST_MAX_PAYLOAD. */
  truncated?: true;
}

/** A row of the chat tables. A table of your own has other members: name its type, as in `ConversationSocket<MyRow>`. */
export interface Message extends Row {
  contactId: string;
  direction: "inbound" | "outbound";
  author: string | null;
  body: string;
  status: MessageStatus;
  externalId: string | null;
  metadata: Record<string, unknown>;
  /** RFC 3339, as every time. */
  createdAt: string;
  updatedAt: string;
}

/** A row that is new, or that changed. */
export interface RowEvent<M extends Row = Message> {
  message: M;
  contactId: string;
  truncated?: true;
  /** The row is not new: it came from another room, or has another key. Nothing to ring for. */
  moved?: true;
}

/** A message's status changed. */
export interface StatusEvent {
  messageId: string;
  status: MessageStatus;
  contactId: string;
  at: string;
}

/** A message is gone. */
export interface DeletedEvent {
  messageId: string;
  contactId: string;
  /** The row is not gone: it went to another room, or has another key. */
  moved?: true;
}

/** Somebody on the other side types, or stopped. Never stored: without an offset. */
export interface TypingEvent {
  contactId: string;
  /** Who, by the subject of the token, where there is one: of those who type, who has for longest. */
  subject?: string;
}

/** Somebody who is in a room. */
export interface Member {
  /** By the token; without one, what stands for a page's session. */
  subject: string;
  since: string;
}

/** Who is in a room: sent after each join that asks for it, and in place of single changes where there is a crowd. */
export interface PresenceEvent {
  room: string;
  /** How many there are, also those that are too many to be listed. */
  count: number;
  subjects: Member[];
}

/** Somebody has come into a room, or left it. Never stored: without an offset. */
export interface MemberEvent extends Member {
  room: string;
}

/** Continuity can't be proved: the room has to be loaded again. */
export interface ResyncEvent {
  /** Its whole name. */
  room: string;
  contactId: string;
  reason: string;
}

/**
 * The server has put the page out of a room: `forbidden`, the right to it has ended; `unavailable`, it could not be told whether
 * there is one; anything else is what the right was revoked for.
 */
export interface LeftEvent {
  room: string;
  reason: string;
}

/** Why the server refused what was asked. */
export interface Refusal {
  code: string;
  message: string;
}

/** What the server sends: `Socket<ServerEvents, ClientEvents>` types the stock client. */
export interface ServerEvents<M extends Row = Message> {
  "message:new": (payload: RowEvent<M>, offset: string) => void;
  "message:updated": (payload: RowEvent<M>, offset: string) => void;
  "message:status": (payload: StatusEvent, offset: string) => void;
  "message:deleted": (payload: DeletedEvent, offset: string) => void;
  "typing:start": (payload: TypingEvent) => void;
  "typing:stop": (payload: TypingEvent) => void;
  "presence:state": (payload: PresenceEvent) => void;
  "presence:join": (payload: MemberEvent) => void;
  "presence:leave": (payload: MemberEvent) => void;
  "rowcast:ready": (payload: { server: string }, offset: string) => void;
  "rowcast:resync": (payload: ResyncEvent) => void;
  "rowcast:left": (payload: LeftEvent) => void;
  "rowcast:error": (payload: Refusal) => void;
}

/**
 * The answer to a join. `resync`: what came after the offset can't be told. Where it asked for presence: `presence`, whether the server keeps
 * it, and the `subject` for which this connection counts.
 */
export type JoinAnswer =
  | { ok: true; room: string; offset: string; replayed: number; resync?: true; presence?: boolean; subject?: string }
  | { ok: false; error: Refusal };

/** The answer to anything else. */
export type Answer = { ok: true } | { ok: false; error: Refusal };

/** What a client sends; every answer is optional. */
export interface ClientEvents {
  "join:conversation": (
    target: string | number | { contactId: string | number; after?: string; presence?: boolean },
    answer?: (answer: JoinAnswer) => void,
  ) => void;
  "leave:conversation": (contactId: string | number, answer?: (answer: Answer) => void) => void;
  /** A room of any kind, by its whole name. */
  "join:room": (target: string | { room: string; after?: string; presence?: boolean }, answer?: (answer: JoinAnswer) => void) => void;
  "leave:room": (room: string, answer?: (answer: Answer) => void) => void;
  "typing:start": (contactId: string | number, answer?: (answer: Answer) => void) => void;
  "typing:stop": (contactId: string | number, answer?: (answer: Answer) => void) => void;
  "auth:refresh": (token: string, answer?: (answer: Answer) => void) => void;
}

/** A page of history. */
export interface HistoryPage<M extends Row = Message> {
  messages: M[];
  offset: string;
  more: boolean;
  /** The members of a message that identify it, and those that sort it. */
  key?: string[];
  order?: string[];
}

/** Events as polling brings them. */
export interface EventsPage {
  events: { event: string; data: unknown; offset: string }[];
  offset: string;
  more: boolean;
}
