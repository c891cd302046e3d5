import type { Options } from "./options.js";
import type { Row } from "./protocol.js";
import { ConversationSocket } from "./socket.js";

/** How long a connection stays when nobody uses it: for the way from one page of the application to the next. */
const LINGER_MS = 5_000;

interface Shared {
  socket: ConversationSocket<Row>;
  users: number;
  timer?: ReturnType<typeof setTimeout>;
}

const sockets = new Map<string | undefined, Shared>();

/** The connection to `options.url` that all hooks of a page share; the first one's options hold, and the last one's token. Give it back by `release`. */
export function acquire<M extends Row>(options: Options<M>): { socket: ConversationSocket<M>; release(): void } {
  const key = options.url;
  const shared: Shared = sockets.get(key) ?? { socket: open(options) as unknown as ConversationSocket<Row>, users: 0 };
  if (options.token) shared.socket.setToken(options.token);
  sockets.set(key, shared);
  clearTimeout(shared.timer);
  shared.users += 1;
  return {
    socket: shared.socket as unknown as ConversationSocket<M>,
    release() {
      shared.users -= 1;
      if (shared.users) return;
      shared.timer = setTimeout(() => {
        sockets.delete(key);
        shared.socket.close();
      }, LINGER_MS);
    },
  };
}

/** A page whose server's address is wrong has its fetcher, if anything, and says so where a developer looks. */
function open<M extends Row>(options: Options<M>): ConversationSocket<M> {
  try {
    if (!options.url && !options.fetcher) throw "no NEXT_PUBLIC_WEBHOOK_WS_URL";
    return new ConversationSocket<M>(options);
  } catch (error) {
    console.error(error);
    return new ConversationSocket<M>({ ...options, url: "" });
  }
}
