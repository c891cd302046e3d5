import type { Socket } from "socket.io-client";
import type { Options } from "./options.js";
import type { ClientEvents, JoinAnswer, Row, ServerEvents } from "./protocol.js";

/**
 * What a conversation uses of the connection that it shares with the page's other conversations. `ConversationSocket`
 * is one. It imports `Conversation`, so `Conversation` imports only this.
 *
 * @internal
 */
export interface Connection<M extends Row> {
  readonly options: Options<M>;
  /** Nothing where no server is named: then there is only the fetcher. */
  readonly io: Socket<ServerEvents<M>, ClientEvents> | undefined;
  /** The URL that the paths of all conversations begin with. */
  readonly api: string;
  /** Whether the server has accepted the connection. */
  readonly connected: boolean;
  /** Settles when the server has answered the last `leaveRoom`: no event of that room can come any more. */
  readonly leaving: Promise<unknown> | undefined;
  /** The code by which the server refuses the connection. */
  readonly refusal: string | null;
  /** Takes one `join` back. */
  leave(contactId: string): void;
  /** Leaves the room on the server, where there is a connection. */
  leaveRoom(contactId: string): void;
  /** Reads `what` of a conversation over HTTP. Throws the server's refusal, which has a `code`. */
  get<T>(contactId: string, what: string, signal?: AbortSignal): Promise<T>;
  /** Emits a request and waits for its ack. */
  ask(event: "join:conversation", argument: unknown): Promise<JoinAnswer>;
  /** Drops a connection that brings nothing, and connects again. */
  cut(): void;
  /** The contact id that an event belongs to; nothing where that can't be told. */
  ownerOf(payload: unknown): unknown;
  /** Calls the application's listeners of an event. */
  tell(event: string, payload: unknown): void;
}
