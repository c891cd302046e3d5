// Messages that came late, above others: the page says so until they have been in view.

import { useCallback, useEffect, type RefObject } from "react";

/** How long a message is in view until it is seen. */
const SEEN_MS = 2_000;

/**
 * Takes `earlier`, ids of messages, off by `see` once all of them have been in view. Returns what brings the first one that has not been
 * into view.
 */
export function useEarlier(scroller: RefObject<HTMLElement | null>, earlier: readonly string[], see: () => void): () => void {
  useEffect(() => {
    const root = scroller.current;
    if (!root || !earlier.length) return;
    const unseen = new Set(earlier);
    const timers = new Map<Element, ReturnType<typeof setTimeout>>();
    const observer = new IntersectionObserver(
      (entries) => {
        for (const { target, isIntersecting } of entries) {
          clearTimeout(timers.get(target));
          if (!isIntersecting) continue;
          const seen = () => {
            unseen.delete((target as HTMLElement).dataset.id ?? "");
            if (!unseen.size) see();
          };
          timers.set(target, setTimeout(seen, SEEN_MS));
        }
      },
      { root },
    );
    for (const id of earlier) {
      const message = elementOf(root, id);
      if (message) observer.observe(message);
    }
    return () => {
      observer.disconnect();
      for (const timer of timers.values()) clearTimeout(timer);
    };
  }, [scroller, earlier, see]);

  return useCallback(() => {
    const root = scroller.current;
    if (!root) return;
    const { top, bottom } = root.getBoundingClientRect();
    const messages = earlier.flatMap((id) => elementOf(root, id) ?? []);
    const isOut = (message: Element) => message.getBoundingClientRect().bottom < top || message.getBoundingClientRect().top > bottom;
    (messages.find(isOut) ?? messages[0])?.scrollIntoView({ block: "center" });
    // The button goes: the focus stays in the list.
    root.focus();
  }, [scroller, earlier]);
}

function elementOf(root: HTMLElement, id: string): HTMLElement | null {
  return root.querySelector<HTMLElement>(`[data-id="${CSS.escape(id)}"]`);
}
