import type { Row } from "./protocol.js";

/** After this long a page of history is quicker than the events since. */
const FRESH_MS = 10 * 60_000;
const MOST_MESSAGES = 200;

/** A conversation as it was left: its messages, and the offset after which its events go on. */
export interface Kept<M extends Row> {
  messages: readonly M[];
  more: boolean;
  offset: string;
}

/** Conversations over a reload. A storage that is full, closed or absent costs a page of history, never more. */
export class Shelf {
  constructor(
    readonly storage: Storage | null,
    readonly prefix: string,
  ) {}

  put<M extends Row>(contactId: string, { messages, more, offset }: Kept<M>): void {
    const newest = messages.slice(-MOST_MESSAGES);
    const text = JSON.stringify({ at: Date.now(), messages: newest, more: more || newest.length < messages.length, offset });
    try {
      this.storage?.setItem(this.prefix + contactId, text);
    } catch {
      for (const key of Object.keys(this.storage!)) if (key.startsWith(this.prefix)) this.storage!.removeItem(key);
    }
  }

  take<M extends Row>(contactId: string): Kept<M> | undefined {
    try {
      const kept = JSON.parse(this.storage!.getItem(this.prefix + contactId)!) as Kept<M> & { at: number };
      const isFresh = Math.abs(Date.now() - kept.at) < FRESH_MS;
      return isFresh && typeof kept.offset === "string" && Array.isArray(kept.messages) ? kept : undefined;
    } catch {
      return undefined;
    }
  }

  remove(contactId: string): void {
    try {
      this.storage?.removeItem(this.prefix + contactId);
    } catch {
      // It is closed to us: nothing was kept.
    }
  }
}

/** The tab's own storage, where there is one that may be used. */
export function tabStorage(): Storage | null {
  try {
    return globalThis.sessionStorage ?? null;
  } catch {
    return null;
  }
}
