// What is written and not sent, by conversation: it is there again when one comes back.

import { useSyncExternalStore } from "react";

const drafts = new Map<string, string>();
const subscribers = new Set<() => void>();

export function draftOf(contactId: string): string {
  return drafts.get(contactId) ?? "";
}

export function setDraft(contactId: string, text: string): void {
  if (text) drafts.set(contactId, text);
  else drafts.delete(contactId);
  for (const subscriber of subscribers) subscriber();
}

export function useDraft(contactId: string): string {
  return useSyncExternalStore(subscribe, () => draftOf(contactId));
}

function subscribe(changed: () => void): () => void {
  subscribers.add(changed);
  return () => subscribers.delete(changed);
}
