// The conversations that components show, over connections that all of a page's components share.

import type { Conversation } from "./conversation.js";
import { onFrames } from "./frame.js";
import type { Options } from "./options.js";
import type { Message, Row } from "./protocol.js";
import { ConversationSocket } from "./socket.js";
import type { ConversationState } from "./state.js";

/** How long a connection stays when nobody uses it: for the way from one page of the application to the next. */
const LINGER_MS = 5_000;

/** A conversation as a component shows it. */
export interface UsedConversation<M extends Row = Message> extends ConversationState<M>, Actions {
  /** Events come at once. */
  connected: boolean;
  /** The conversation itself, for a composer; nothing before it is opened, and on a server. */
  conversation: Conversation<M> | undefined;
}

/** What a component does with a conversation. The functions stay the same, whichever it shows, and do nothing without one. */
export interface Actions {
  loadOlder(): Promise<void>;
  /** The user has seen the messages that came above others. */
  seeEarlier(): void;
  /** Call it at each key stroke; it stops by itself. */
  startTyping(): void;
  stopTyping(): void;
}

/** The actions of the conversation that `shown` returns when they are called. */
export function actionsOf(shown: () => Actions | undefined): Actions {
  const call = (action: keyof Actions) => async () => shown()?.[action]();
  return { loadOlder: call("loadOlder"), seeEarlier: call("seeEarlier"), startTyping: call("startTyping"), stopTyping: call("stopTyping") };
}

interface Shared {
  socket: ConversationSocket<Row>;
  users: number;
  timer?: ReturnType<typeof setTimeout>;
}

const sockets = new Map<string | undefined, Shared>();

/**
 * Opens a room over the connection to `options.url` that all components of a page share; the first one's options hold, and the last
 * one's token. Calls `changed` after its changes, as often as can be drawn. Leaves it by `stop`.
 */
export function showRoom<M extends Row>(room: string, options: Options<M>, changed: () => void): { conversation: Conversation<M>; stop(): void } {
  const key = options.url;
  const shared: Shared = sockets.get(key) ?? { socket: open(options) as unknown as ConversationSocket<Row>, users: 0 };
  if (options.token) shared.socket.setToken(options.token);
  sockets.set(key, shared);
  clearTimeout(shared.timer);
  shared.users += 1;
  const conversation = shared.socket.joinRoom(room) as unknown as Conversation<M>;
  const unsubscribe = onFrames(conversation, changed);
  return {
    conversation,
    stop() {
      unsubscribe();
      conversation.leave();
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
    if (!options.url && !options.fetcher) throw "no url, no NEXT_PUBLIC_WEBHOOK_WS_URL";
    return new ConversationSocket<M>(options);
  } catch (error) {
    console.error(error);
    return new ConversationSocket<M>({ ...options, url: "" });
  }
}
