import type { Row } from "./protocol.js";

/** The list after an event. An event that changes nothing gives the same list. */
export function applyEvent<M extends Row>(messages: readonly M[], event: string, payload: unknown): readonly M[] {
  const { message, messageId, status, truncated } = (payload ?? {}) as Partial<
    Record<"messageId" | "status", unknown> & { message: M; truncated: true }
  >;
  const index = indexOf(messages, message?.id ?? messageId);
  const known = messages[index];
  if (message && /^message:(new|updated)$/.test(event)) {
    const row = truncated ? { ...message, truncated } : message;
    // A change of a message that isn't loaded is for the page of history that has it.
    return known ? messages.with(index, row) : event === "message:new" ? [...messages, row] : messages;
  }
  if (known && event === "message:status") return messages.with(index, { ...known, status });
  return known && event === "message:deleted" ? messages.toSpliced(index, 1) : messages;
}

/** The newest messages as somebody else knows them, below the older ones that are known here. */
export function mergeNewest<M extends Row>(messages: readonly M[], newest: readonly M[]): readonly M[] {
  const merged = [...messages.slice(0, Math.max(indexOf(messages, newest[0]?.id), 0)), ...newest];
  return JSON.stringify(merged) === JSON.stringify(messages) ? messages : merged;
}

function indexOf<M extends Row>(messages: readonly M[], id: unknown): number {
  return messages.findLastIndex((known) => String(known.id) === String(id));
}
