import type { Socket } from "socket.io-client";
import type { Options, TokenSource } from "./options.js";
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
  /** The URL that the paths of all rooms begin with. */
  readonly api: string;
  /** Whether the server has accepted the connection. */
  readonly connected: boolean;
  /** Settles when the server has answered the last `leaveRoom`: no event of that room can come any more. */
  readonly leaving: Promise<unknown> | undefined;
  /** The code by which the server refuses the connection. */
  readonly refusal: string | null;
  /** Takes another token, or another source. */
  setToken(source: TokenSource | undefined): void;
  /** Takes one join of the room back. */
  release(room: string): void;
  /** Waits until one more join does not exceed the server's rate. `again`: the server has just said that one did. */
  turn(signal: AbortSignal, again: boolean): Promise<void>;
  /** Leaves the room on the server, where there is a connection. */
  leaveRoom(room: string): void;
  /** Reads `what` of a room over HTTP. Throws the server's refusal, which has a `code`. */
  get<T>(room: string, what: string, signal?: AbortSignal): Promise<T>;
  /** Emits a request and waits for its ack. */
  ask(event: `join:${"conversation" | "room"}`, argument: unknown): Promise<JoinAnswer>;
  /** Drops a connection that brings nothing, and connects again. */
  cut(): void;
  /** How many of the page's rooms an event may belong to, by its payload. */
  ownersOf(payload: unknown): readonly unknown[];
  /** Calls `listener` for each such event in the joined conversations, until the returned function is called. */
  on<E extends keyof ServerEvents<M>>(event: E, listener: (payload: Parameters<ServerEvents<M>[E]>[0]) => void): () => void;
  /** Calls the application's listeners of an event. */
  tell(event: string, payload: unknown): void;
}
