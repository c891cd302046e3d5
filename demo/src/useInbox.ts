// Keeps the list fresh: one request after the other, each answered when something has changed.
//
// Guarantee: what was shown stays while the server is away, and is fresh soon after it is back.
// Refuses:   to hold a request open while nobody looks. A browser has six connections for all tabs of an origin, and tabs
//            in the background would take them from the one in front.

import { useEffect, useState } from "react";
import { getConversations, reasonOf, type Entry } from "./api";
import { pause } from "./pause";

const WAIT_S = 25;
/** Between two requests: what comes in a burst is one change of the list. */
const GAP_MS = 200;
const HIDDEN_MS = 5_000;
const LEAST_BACKOFF_MS = 500;
const MOST_BACKOFF_MS = 10_000;

export interface InboxState {
  /** Null until the first answer. */
  conversations: readonly Entry[] | null;
  /** Why the list is not fresh. */
  problem: string | null;
}

export function useInbox(): InboxState {
  const [state, setState] = useState<InboxState>({ conversations: null, problem: null });
  useEffect(() => {
    const unmount = new AbortController();
    void follow(unmount.signal, (change) => setState((old) => ({ ...old, ...change })));
    return () => unmount.abort();
  }, []);
  return state;
}

async function follow(signal: AbortSignal, tell: (change: Partial<InboxState>) => void): Promise<void> {
  let tag: string | null = null;
  let failures = 0;
  while (!signal.aborted) {
    try {
      // After a failure the answer is wanted at once: it says that the server is back.
      const listing = await getConversations(tag, tag && !failures && !document.hidden ? WAIT_S : 0, signal);
      if (signal.aborted) return;
      if (listing) {
        tag = listing.tag;
        tell({ conversations: listing.conversations, problem: null });
      } else if (failures) {
        tell({ problem: null });
      }
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      failures += 1;
      tell({ problem: reasonOf(error) });
    }
    await pause(failures ? backoff(failures) : document.hidden ? HIDDEN_MS : GAP_MS, signal);
  }
}

function backoff(failures: number): number {
  return Math.min(LEAST_BACKOFF_MS * 2 ** (failures - 1), MOST_BACKOFF_MS) * (0.5 + Math.random() / 2);
}
