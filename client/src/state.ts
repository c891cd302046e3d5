import type { Message, Row } from "./protocol.js";

/**
 * How a conversation's events come: `connected` at once, through the socket; `polling` every few seconds; `offline` not at
 * all for now; `connecting` until one of these is known.
 */
export type Status = "connecting" | "connected" | "polling" | "offline";

/** What there is to show. A change makes another object. */
export interface ConversationState<M extends Row = Message> {
  /** The newest last. */
  messages: readonly M[];
  /** Whether there are older ones. */
  more: boolean;
  /** Nothing is known yet. */
  loading: boolean;
  status: Status;
  /** Somebody on the other side types. */
  typing: boolean;
  /** Why it is not connected: a code such as `forbidden`, or `unreachable`. */
  error: string | null;
}

/** @internal */
export const NOTHING: ConversationState<never> = {
  messages: [],
  more: false,
  loading: true,
  status: "connecting",
  typing: false,
  error: null,
};
