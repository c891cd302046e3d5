import type { Row } from "./protocol.js";

/** After this long a page of history is quicker than the events since. */
const FRESH_MS = 10 * 60_000;
/** More than this is not kept: of a list in the order of arrival no part is surely the newest. */
const MOST_MESSAGES = 500;

/** A conversation as it was left: its messages, and the offset after which its events go on. */
export interface Kept<M extends Row> {
  messages: readonly M[];
  more: boolean;
  offset: string | undefined;
}

/** Where conversations are over a reload. A storage that is full, closed or absent costs a page of history, never more. */
export interface Shelf {
  storage?: Storage | null | undefined;
}

/** Puts a conversation on the shelf, or nothing in its place when nobody could go on from it. */
export function put<M extends Row>(shelf: Shelf, key: string, kept: Kept<M>): void {
  const isKept = kept.offset && kept.messages.length <= MOST_MESSAGES;
  try {
    storageOf(shelf)!.setItem(key, JSON.stringify(isKept ? { ...kept, at: Date.now() } : {}));
  } catch {
    // It is full, or closed to us.
  }
}

/** What is there, where it is fresh. */
export function take<M extends Row>(shelf: Shelf, key: string): Partial<Kept<M>> {
  try {
    const kept = JSON.parse(storageOf(shelf)!.getItem(key)!) as Kept<M> & { at: number };
    return Date.now() - kept.at < FRESH_MS ? kept : {};
  } catch {
    return {};
  }
}

/** The tab's own where none was given; browsers that are told to keep nothing throw at its name. */
function storageOf({ storage = sessionStorage }: Shelf): Storage | null {
  return storage;
}
