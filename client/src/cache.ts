// Keeps conversations over a reload of the page.
//
// Guarantee: what is read is one whole conversation and the offset after which its events go on, at most ten minutes old.
// Relies on: nothing. A storage that is full, closed or absent costs one read of history.

import type { Shape } from "./messages.js";
import type { Row } from "./protocol.js";

/** A conversation that is older than this loads faster from its history than from the events since. */
const FRESH_MS = 10 * 60_000;
/** A longer list is not stored: no part of it is surely the newest, since a server need not say how it is sorted. */
const MAX_MESSAGES = 500;

/** A conversation as the page left it. */
export interface CachedConversation<M extends Row> extends Shape {
  messages: readonly M[];
  more: boolean;
  /** After which event the next one is wanted; without it nobody can go on from these messages. */
  offset: string | undefined;
}

/** Where conversations are stored: in the tab's `sessionStorage` by default, nowhere for `null`. */
export interface ConversationCache {
  storage?: Storage | null | undefined;
}

/** Stores a conversation. One that nobody can go on from, or that is too long, removes what was stored before. */
export function storeConversation<M extends Row>(
  cache: ConversationCache,
  key: string,
  conversation: CachedConversation<M>,
): void {
  const isUsable = conversation.offset && conversation.messages.length <= MAX_MESSAGES;
  try {
    storageOf(cache)!.setItem(key, JSON.stringify(isUsable ? { ...conversation, at: Date.now() } : {}));
  } catch {
    // The storage is full, closed or absent.
  }
}

/** The stored conversation, or an empty object where there is none that is fresh. */
export function readConversation<M extends Row>(cache: ConversationCache, key: string): Partial<CachedConversation<M>> {
  try {
    const cached = JSON.parse(storageOf(cache)!.getItem(key)!) as CachedConversation<M> & { at: number };
    return Date.now() - cached.at < FRESH_MS ? cached : {};
  } catch {
    return {};
  }
}

/** Reads the global here, inside the callers' `try`: a browser that is told to store nothing throws at its name. */
function storageOf({ storage = sessionStorage }: ConversationCache): Storage | null {
  return storage;
}
