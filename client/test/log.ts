// What the scripted server has stored: one log of events for all rooms, and the rows that they make.

import type { HistoryPage, Message } from "../src/index.js";

export interface Entry {
  contactId: string;
  event: string;
  data: Record<string, unknown>;
  /** How many entries there are up to here. */
  position: number;
}

/** Opaque, and another text for the same place each time, as the server's are. */
export function offsetText(from: string, position: number): string {
  return Buffer.from(`${from}:${position}:${nonce++}`).toString("base64url");
}
let nonce = 0;

/** Not a number for what is no offset. */
export function positionOf(offset: string): number {
  return Number(Buffer.from(offset, "base64url").toString().split(":")[1]);
}

export class Log {
  readonly entries: Entry[] = [];
  /** Events in an answer. */
  pageOfEvents = 500;
  /** The member that sorts the rows, and that identifies them; said where it is set. */
  order: keyof Message | undefined;
  key: keyof Message | undefined;
  readonly #rows = new Map<string, Message[]>();

  get position(): number {
    return this.entries.length;
  }

  rows(contactId: string): readonly Message[] {
    return this.#rows.get(contactId) ?? [];
  }

  row(contactId: string, id: string, more: Partial<Message> = {}): Message {
    const at = "2026-01-01T00:00:00Z";
    return {
      id, contactId, direction: "inbound", author: null, body: id, status: "sent", externalId: null, metadata: {},
      createdAt: at, updatedAt: at, ...more,
    };
  }

  append(contactId: string, event: string, data: Record<string, unknown>): number {
    const rows = [...this.rows(contactId)];
    const { message, messageId, status } = (data ?? {}) as { message?: Message; messageId?: string; status?: Message["status"] };
    const index = rows.findIndex(({ id }) => id === (message?.id ?? messageId));
    if (event === "message:new") rows.push(message!);
    else if (event === "message:updated") rows[index] = message!;
    else if (event === "message:status") rows[index] = { ...rows[index]!, status: status! };
    else if (event === "message:deleted") rows.splice(index, 1);
    const { order } = this;
    // As Postgres sorts: rows of one time stay as they came, and null comes last.
    if (order) rows.sort((a, b) => (a[order] === b[order] ? 0 : b[order] === null || String(a[order]) < String(b[order]) ? -1 : 1));
    this.#rows.set(contactId, rows);
    return this.entries.push({ contactId, event, data, position: this.position + 1 });
  }

  after(contactId: string, position: number): Entry[] {
    return this.entries.slice(position).filter((entry) => entry.contactId === contactId);
  }

  /** A page of history; none when nothing has the id `before`. */
  page(contactId: string, limit: number, before: string | null): Omit<HistoryPage, "offset"> | undefined {
    const rows = this.rows(contactId);
    const end = before === null ? rows.length : rows.findIndex((row) => row[this.key ?? "id"] === before);
    if (end < 0) return undefined;
    const start = Math.max(0, end - limit);
    const { order, key } = this;
    return { messages: rows.slice(start, end), more: start > 0, ...(order && { order: [order] }), ...(key && { key: [key] }) };
  }
}
