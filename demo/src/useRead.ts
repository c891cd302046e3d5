import type { Message } from "@rowcast/client";
import { useEffect, useRef, useSyncExternalStore } from "react";
import { markRead } from "./api";
import { pause } from "./pause";

const FIRST_PAUSE_MS = 500;
const MOST_PAUSE_MS = 15_000;

/** Marks a conversation's inbound messages read while it is looked at; again until the messages say that they are. */
export function useRead(contactId: string, messages: readonly Message[], unread: number): void {
  const isVisible = useSyncExternalStore(subscribe, () => !document.hidden);
  const newest = messages.findLast(({ direction, status }) => direction === "inbound" && status !== "read")?.id;
  const isUnread = newest !== undefined || unread > 0;
  const latest = useRef(newest);
  useEffect(() => {
    latest.current = newest;
  });
  useEffect(() => {
    if (!isUnread || !isVisible) return;
    const over = new AbortController();
    void (async () => {
      let ms = FIRST_PAUSE_MS;
      while (!over.signal.aborted) {
        const asked = latest.current;
        const isDone = await markRead(contactId).then(
          () => true,
          () => false,
        );
        // Others came meanwhile: they are due. Else the answer is on its way, or the server is not there.
        ms = isDone && latest.current !== asked ? FIRST_PAUSE_MS : Math.min(ms * 2, MOST_PAUSE_MS);
        await pause(ms, over.signal);
      }
    })();
    return () => over.abort();
  }, [contactId, isUnread, isVisible]);
}

function subscribe(changed: () => void): () => void {
  document.addEventListener("visibilitychange", changed);
  return () => document.removeEventListener("visibilitychange", changed);
}
