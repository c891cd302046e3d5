import type { Message, Row } from "./protocol.js";

/** A token, or where to get one: asked again before the one it gave expires. */
export type TokenSource = string | (() => string | null | undefined | Promise<string | null | undefined>);

/** The application's own way to a conversation's newest messages, the newest last. */
export type Fetcher<M extends Row = Message> = (
  contactId: string,
  options: { signal: AbortSignal },
) => Promise<readonly M[]>;

/** How to reach the server, and what to do without it. */
export interface Options<M extends Row = Message> {
  /** The server, as `wss://example.com` or `https://example.com/below`. Without it there is only the fetcher. */
  url?: string | undefined;
  /** Proves who is asking, where the server wants that. */
  token?: TokenSource | undefined;
  /** Asked while the server can't be, for conversations. */
  fetcher?: Fetcher<M> | undefined;
  /** Time between two polls while the room is joined: 30,000. */
  pollConnectedMs?: number | undefined;
  /** Time between two polls while it is not: 5,000. */
  pollDisconnectedMs?: number | undefined;
  /** Messages in a page of history, 1 to 200: 50. */
  limit?: number | undefined;
  /** Where conversations are kept over a reload: `sessionStorage`; `null` keeps nothing. */
  storage?: Storage | null | undefined;
  /** Sends cookies to a server of another origin. */
  withCredentials?: boolean | undefined;
  /** Socket.IO's transports: `["websocket"]`. */
  transports?: ("websocket" | "polling")[] | undefined;
}
