import type { Row } from "./protocol.js";

/** The list after an event. An event that changes nothing gives the same list. */
export function applyEvent<M extends Row>(messages: readonly M[], event: string, payload: unknown): readonly M[] {
  const { message, messageId, status, truncated } = (payload ?? {}) as {
    message?: M;
    messageId?: unknown;
    status?: unknown;
    truncated?: true;
  };
  const id = message?.id ?? messageId;
  if (id === undefined) return messages;
  const index = messages.findLastIndex((known) => String(known.id) === String(id));
  if (event === "message:deleted") return index < 0 ? messages : messages.toSpliced(index, 1);
  if (event === "message:status") {
    return index < 0 ? messages : messages.with(index, { ...messages[index]!, status });
  }
  if (!message) return messages;
  const row = truncated ? { ...message, truncated } : message;
  if (index >= 0) return messages.with(index, row);
  // A change of a message that isn't loaded is for the page of history that has it.
  return event === "message:updated" ? messages : [...messages, row];
}

/** The newest messages as somebody else knows them, below the older ones that are known here. */
export function mergeNewest<M extends Row>(messages: readonly M[], newest: readonly M[]): readonly M[] {
  const first = newest[0];
  const index = first ? messages.findIndex((known) => String(known.id) === String(first.id)) : -1;
  const merged = [...messages.slice(0, Math.max(index, 0)), ...newest];
  return JSON.stringify(merged) === JSON.stringify(messages) ? messages : merged;
}
