// The one connection of Socket.IO: who opens it, with which token, and when again.
//
// Guarantee: a connection that is lost or refused is tried again for ever, with a fresh token where the server asked for one. The
//            server gets the next token before the present one expires.
// Refuses:   Socket.IO's own resume. Each conversation goes on after its own offset, which polling moves too.

import { io, type Socket } from "socket.io-client";
import { parseAddress } from "./address.js";
import type { Conversation } from "./conversation.js";
import type { Options, TokenSource } from "./options.js";
import type { ClientEvents, JoinAnswer, Row, ServerEvents } from "./protocol.js";
import { NO_TOKEN, Token, type Given } from "./token.js";

/** How long the server may take to answer. */
export const ANSWER_MS = 10_000;
/** A refused connection is tried again after half to one and a half of this, and of twice as much each time. */
const REFUSED_MS = 5_000;
/** At most of this. */
const REFUSED_LONG_MS = 30_000;

type Timer = ReturnType<typeof setTimeout> | undefined;

/** The connection, and the token that it is made with. */
export abstract class Link<M extends Row> {
  /** @internal Nothing where no server is named. */
  readonly io: Socket<ServerEvents<M>, ClientEvents> | undefined;
  /** @internal The code by which the server refuses the connection, or why it was not asked for one. */
  refusal: string | null = null;
  /** @internal */
  readonly token: Token;
  /** @internal The URL that the paths of all rooms begin with. */
  readonly api: string;
  /** What the last handshake had. */
  #shown: Given | undefined;
  /** How often the connection was refused since it was accepted. */
  #refusals = 0;
  #retry: Timer;
  #renewal: Timer;

  /** @throws TypeError when `url` is not a URL */
  constructor(readonly options: Options<M>) {
    const { url, withCredentials = false, transports = ["websocket"] } = options;
    const { origin, path } = url ? parseAddress(url) : { origin: "", path: "" };
    this.api = `${origin}${path}/api/`;
    const token = (this.token = new Token(options.token));
    if (!url) return;
    const socket: Socket<ServerEvents<M>, ClientEvents> = (this.io = io(origin, {
      path: `${path}/socket.io`,
      transports,
      withCredentials,
      forceNew: true,
      autoConnect: false,
      auth: (send) => {
        const { engine } = socket.io;
        // A connection that was given up while the source thought about it has nobody to send the token to.
        const isWaiting = () => socket.active && socket.io.engine === engine;
        (this.#shown = token.get()).then(
          // Without the `pid` that Socket.IO would add: it would resume all rooms, and each conversation joins its own.
          (token) => isWaiting() && send({ token, pid: undefined }),
          // A handshake without a token would be refused for a cause that is not the true one.
          ({ code }) => {
            if (!isWaiting()) return;
            socket.disconnect();
            this.#refuse(code);
          },
        );
      },
    }));
    socket.on("connect", () => {
      this.refusal = null;
      this.#refusals = 0;
      // Another token came while the server was asked to accept this one.
      this.#renew(token.isPresent(this.#shown) ? undefined : 0);
      this.wake();
    });
    socket.on("disconnect", (reason) => {
      clearTimeout(this.#renewal);
      this.each((conversation) => conversation.disconnected());
      if (reason === "io server disconnect") this.#connectLater();
    });
    socket.on("connect_error", ({ message }) => {
      if (!socket.active) this.#refuse(message);
    });
  }

  /** @internal Does something with each of the conversations that go over it. */
  abstract each(what: (conversation: Conversation<M>) => void): void;

  /** @internal Lets each look whether its next round is due: the connection was accepted or refused, the network is back, or the page is shown. */
  wake(): void {
    this.each((conversation) => conversation.wake());
  }

  /** Whether the server has accepted the connection. A conversation is live when its own `status` says `connected`. */
  get connected(): boolean {
    return !!this.io?.connected;
  }

  /** Connects, unless it is connected or trying to. `join` does so too. */
  connect(): void {
    // `connect` on an active socket would open a second engine session.
    if (!this.io?.active) this.io?.connect();
  }

  /**
   * Takes another token, or another source. Another value goes to the server at once, over the same connection where it has the
   * same subject. A function that follows a function is asked when the next token is due.
   */
  setToken(source: TokenSource | undefined): void {
    if (!this.token.replace(source)) return;
    if (this.connected) this.#renew(0);
    else this.retryNow();
  }

  /** @internal Connects with a fresh token, where it was refused. */
  retryNow(): void {
    if (this.refusal) this.#connectNow();
  }

  /** @internal Emits a request and waits for its ack. A connection that brings none in time is cut. */
  async ask(event: `${"join" | "leave"}:${"conversation" | "room"}` | "auth:refresh", argument: unknown): Promise<JoinAnswer> {
    try {
      return await this.io!.timeout(ANSWER_MS).emitWithAck(event as "join:conversation", argument as string);
    } catch (error) {
      if (this.connected) this.cut();
      throw error;
    }
  }

  /** @internal Drops a connection that brings nothing, and connects again. */
  cut(): void {
    this.io!.disconnect().connect();
  }

  /** Leaves every conversation and disconnects, for good. */
  close(): void {
    clearTimeout(this.#retry);
    this.io?.disconnect();
  }

  /** The connection is refused: says why, and tries again later. */
  #refuse(code: string): void {
    this.refusal = code;
    this.wake();
    this.#connectLater();
  }

  /** Connects again later: Socket.IO does not, where the server has refused the connection or ended it. */
  #connectLater(): void {
    clearTimeout(this.#retry);
    const ms = Math.min(REFUSED_MS * 2 ** this.#refusals++, REFUSED_LONG_MS);
    this.#retry = setTimeout(() => this.#connectNow(), ms * (0.5 + Math.random()));
  }

  /** Connects, with a fresh token. */
  #connectNow(): void {
    clearTimeout(this.#retry);
    this.token.forget();
    this.connect();
  }

  /** Sends the server the next token before the current one expires, over the same connection. */
  #renew(delay = this.token.renewAt - Date.now()): void {
    clearTimeout(this.#renewal);
    // The expiry is unknown, or further away than a timer can wait.
    if (!(delay < 2e9)) return;
    this.#renewal = setTimeout(async () => {
      this.token.forget();
      try {
        const token = await this.token.get();
        if (!this.connected) return;
        const answer = await this.ask("auth:refresh", token);
        if (answer.ok) {
          this.#renew();
          // What was forbidden may be allowed now.
          this.each((conversation) => conversation.state.error && conversation.wake());
        } else if (/^(unavailable|too_many_requests)$/.test(answer.error.code)) throw answer;
        // A server that does not accept the token here reads it when the page connects again.
        else this.cut();
      } catch {
        // The token that the server has is still valid, so there is time to try again.
        if (this.connected) this.#renew(REFUSED_MS);
      }
    }, delay && Math.max(delay, 1_000));
  }
}
