import type { Row } from "./protocol.js";

/** Which members of a message identify it, and which sort it: null is the newest. A page of history says so. */
export interface Shape {
  key?: readonly string[] | undefined;
  order?: readonly string[] | undefined;
}

type Members = Record<string, unknown>;

/** What identifies a message, as events and `before` name it: those of the key's members that it has. */
export function keyOf(message: Row | undefined, { key }: Shape = {}): string {
  const members = (message ?? {}) as unknown as Members;
  return (key?.length ? key : ["id"]).filter((member) => member in members).map((member) => members[member]).join(":");
}

/**
 * The list after an event. An event that changes nothing gives the same list. Where there is `more` to load, a message that belongs
 * before the first one comes with the page that has it.
 */
export function applyEvent<M extends Row>(messages: readonly M[], event: string, payload: unknown, shape: Shape = {}, more?: boolean): readonly M[] {
  const { message, messageId, status, truncated } = (payload ?? {}) as Partial<
    Record<"messageId" | "status", unknown> & { message: M; truncated: true }
  >;
  const index = indexOf(messages, message ? keyOf(message, shape) : String(messageId), shape);
  const known = messages[index];
  if (message && /^message:(new|updated)$/.test(event)) {
    const row = truncated ? { ...message, truncated } : message;
    if (known && (truncated || !compare(known, row, shape))) return splice(messages, index, 1, row);
    // A change of a message that isn't loaded is for the page of history that has it.
    if (!known && event !== "message:new") return messages;
    const others = known ? splice(messages, index, 1) : messages;
    let place = others.length;
    while (place && compare(others[place - 1]!, row, shape) > 0) place--;
    return !place && more && others.length ? others : splice(others, place, 0, row);
  }
  if (known && event === "message:status") return splice(messages, index, 1, { ...known, status });
  return known && event === "message:deleted" ? splice(messages, index, 1) : messages;
}

/** The newest messages as somebody else knows them, below the older ones that are known here. */
export function mergeNewest<M extends Row>(messages: readonly M[], newest: readonly M[], shape: Shape = {}): readonly M[] {
  const merged = [...messages.slice(0, Math.max(indexOf(messages, keyOf(newest[0], shape), shape), 0)), ...newest];
  return JSON.stringify(merged) === JSON.stringify(messages) ? messages : merged;
}

function indexOf<M extends Row>(messages: readonly M[], key: string, shape: Shape): number {
  let index = messages.length;
  while (index-- && keyOf(messages[index], shape) !== key);
  return index;
}

/** A copy with some of its messages replaced. */
function splice<M>(messages: readonly M[], ...change: [at: number, count: number, ...rows: M[]]): readonly M[] {
  const copy = [...messages];
  copy.splice(...change);
  return copy;
}

/** How two messages are sorted; 0 where the server says nothing of it. */
export function compare(a: Row, b: Row, { order = [] }: Shape): number {
  for (const member of order) {
    const [x, y] = [a, b].map((row) => (row as unknown as Members)[member]) as [string, string];
    if (x == null || y == null) {
      if (x != y) return x == null ? 1 : -1;
      // Numbers are often strings, and then longer than a number can be. Of a time only the Z at its end is in the way.
    } else if (+x - +y) return +x - +y;
    else if (x !== y) return x.replace(/Z$/, "") < y.replace(/Z$/, "") ? -1 : 1;
  }
  return 0;
}
