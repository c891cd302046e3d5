// Where the page is: `#/` the list, `#/<contact id, percent-encoded>` a conversation.

import { useSyncExternalStore } from "react";

const MOST_BYTES = 500;

/** Whether the server takes it as a contact id, and a URL can carry it: `.` and `..` are steps in a path. */
export function isContactId(text: string): boolean {
  const bytes = new TextEncoder().encode(text).length;
  return bytes > 0 && bytes <= MOST_BYTES && !text.includes("\0") && text !== "." && text !== "..";
}

export function hrefOf(contactId: string): string {
  return `#/${encodeURIComponent(contactId)}`;
}

/** The list when `contactId` is null. */
export function go(contactId: string | null): void {
  location.hash = contactId === null ? "#/" : hrefOf(contactId);
}

function contactOf(hash: string): string | null {
  if (!hash.startsWith("#/")) return null;
  try {
    const contactId = decodeURIComponent(hash.slice(2));
    return isContactId(contactId) ? contactId : null;
  } catch {
    return null;
  }
}

/** The contact whose conversation is open. */
export function useRoute(): string | null {
  return useSyncExternalStore(subscribe, () => contactOf(location.hash));
}

function subscribe(changed: () => void): () => void {
  addEventListener("hashchange", changed);
  return () => removeEventListener("hashchange", changed);
}
