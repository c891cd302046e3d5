// Where the page is: `#/<tab>`, and for a room or a socket `#/<tab>/<its name, percent-encoded>`.

import { useSyncExternalStore } from "react";

export const tabs = ["overview", "sources", "rooms", "sockets", "events", "doctor"] as const;
export type Tab = (typeof tabs)[number];

export interface Route {
  tab: Tab;
  /** A room, or the number of a socket. */
  item: string | null;
}

export function hrefOf(tab: Tab, item?: string | number): string {
  return item === undefined ? `#/${tab}` : `#/${tab}/${encodeURIComponent(item)}`;
}

function routeOf(hash: string): Route {
  const [tab = "", item] = hash.replace(/^#\//, "").split("/", 2);
  const known = tabs.find((known) => known === tab) ?? "overview";
  try {
    return { tab: known, item: item ? decodeURIComponent(item) : null };
  } catch {
    return { tab: known, item: null };
  }
}

export function useRoute(): Route {
  const hash = useSyncExternalStore(subscribe, () => location.hash);
  return routeOf(hash);
}

function subscribe(changed: () => void): () => void {
  addEventListener("hashchange", changed);
  return () => removeEventListener("hashchange", changed);
}
