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
  /**
   * The keys of messages that came above others, because their time is an older one, until `seeEarlier`: "1 earlier message". Those that
   * moved here from another room are not among them, nor those that belong before the loaded ones.
   */
  earlier: readonly string[];
  /** Nothing is known yet. */
  loading: boolean;
  status: Status;
  /** Somebody on the other side types. */
  typing: boolean;
  /** When its last stored event came, in milliseconds since 1970; `null` before. */
  lastEventAt: number | null;
  /** Why it had to be loaded again, when that happened last: the server's reason, or its code for an offset that it can't go on from. */
  reason: string | null;
  /** Why it is not connected: a code such as `forbidden`, or `unreachable`. */
  error: string | null;
}

/** @internal */
export const NOTHING: ConversationState<never> = {
  messages: [],
  more: false,
  earlier: [],
  loading: true,
  status: "connecting",
  typing: false,
  lastEventAt: null,
  reason: null,
  error: null,
};
