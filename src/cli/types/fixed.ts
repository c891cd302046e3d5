// Made by `rowcast types` of what is attached to the database. Don't change it: run that again.
//
//   const socket: Socket<ServerToClientEvents, ClientToServerEvents> = io("https://...");
//
// A payload that is larger than ROWCAST_MAX_PAYLOAD comes as its ids, with `truncated`: ask for that first. Events that a back end emits by
// itself (rowcast.emit) are not listed: extend ServerToClientEvents with them.

// ROWS

/** A payload, or what is sent in its place where it is too large. */
export type Sent<T> = (T extends { truncated: unknown } ? T : T & { truncated?: never }) | Truncated<T>;

/** The same shape with its ids only, those that are not too long. A row of history is cut so, too. */
export type Truncated<T> = { truncated: true } & Ids<T>;

type Ids<T> = {
  [K in keyof T as K extends "id" | `${string}Id` | `${string}_id` ? K : unknown extends T[K] ? K : NonNullable<T[K]> extends readonly unknown[] ? never : NonNullable<T[K]> extends object ? K : never]?: unknown extends T[K]
    ? unknown
    : NonNullable<T[K]> extends object
      ? Ids<NonNullable<T[K]>>
      : T[K];
};

/** Why something was refused. */
export interface Refusal {
  code: string;
  message: string;
}

/** The answer to a join. `resync`: what came after the offset can't be told, so the room is to be loaded again.
 * `presence`: where the join asked for it, whether it is told who is in the room; `subject`: who it is among them. */
export type JoinAnswer =
  | { ok: true; room: string; offset: string; replayed: number; resync?: true; presence?: boolean; subject?: string }
  | { ok: false; error: Refusal };

/** The answer to anything else. */
export type Answer = { ok: true } | { ok: false; error: Refusal };

/** Somebody in a room, and since when. */
export interface Presence {
  subject: string;
  since: string;
}

/** What the server sends. The offset is what to join with after a reload. */
export interface ServerToClientEvents {
  // EVENTS
  "typing:start": (payload: { contactId: string; subject?: string }) => void;
  "typing:stop": (payload: { contactId: string }) => void;
  "presence:state": (payload: { room: string; count: number; subjects: Presence[] }) => void;
  "presence:join": (payload: { room: string } & Presence) => void;
  "presence:leave": (payload: { room: string } & Presence) => void;
  "rowcast:ready": (payload: { server: string }, offset: string) => void;
  "rowcast:resync": (payload: { room: string; contactId: string; reason: string }) => void;
  "rowcast:left": (payload: { room: string; reason: string }) => void;
  "rowcast:error": (payload: Refusal) => void;
}

/** What a client sends; every answer is optional. */
export interface ClientToServerEvents {
  "join:conversation": (
    target: string | number | { contactId: string | number; after?: string; presence?: boolean },
    answer?: (answer: JoinAnswer) => void,
  ) => void;
  "join:room": (
    target: string | { room: string; after?: string; presence?: boolean },
    answer?: (answer: JoinAnswer) => void,
  ) => void;
  "leave:conversation": (contactId: string | number, answer?: (answer: Answer) => void) => void;
  "leave:room": (room: string, answer?: (answer: Answer) => void) => void;
  "typing:start": (contactId: string | number, answer?: (answer: Answer) => void) => void;
  "typing:stop": (contactId: string | number, answer?: (answer: Answer) => void) => void;
  "auth:refresh": (token: string, answer?: (answer: Answer) => void) => void;
}
