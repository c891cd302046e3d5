// Scrolling of the messages: at the newest one while that is in view, and else where the reader is.
//
// Owns the position alone: the style sheet turns the browser's own scroll anchoring off, which not all of them have. The place is kept by
// the topmost message in view, whatever comes or goes above it.

import { useCallback, useEffect, useLayoutEffect, useRef, useState, type RefObject } from "react";
import type { Item } from "./useOutgoing";

/** This close to the end is at the end. */
const NEAR_PX = 48;

export interface Stick {
  scroller: RefObject<HTMLDivElement | null>;
  onScroll(): void;
  isAway: boolean;
  /** Messages below that have come since the end was in view. */
  fresh: number;
  toNewest(): void;
}

export function useStick(items: readonly Item[]): Stick {
  const scroller = useRef<HTMLDivElement>(null);
  const isStuck = useRef(true);
  /** The topmost message in view, and how far below the upper edge it is. */
  const anchor = useRef<{ key: string; top: number }>(undefined);
  /** The newest message that was in view, while the end is not. */
  const [seen, setSeen] = useState<string | null>(null);
  const newest = items.at(-1)?.key ?? "";

  const settle = useCallback(() => {
    const element = scroller.current;
    if (!element) return;
    if (isStuck.current) {
      element.scrollTop = element.scrollHeight;
    } else if (anchor.current) {
      const { key, top } = anchor.current;
      const message = element.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`);
      if (message) element.scrollTop = message.offsetTop - top;
    }
    anchor.current = topmost(element);
  }, []);

  useLayoutEffect(settle, [items, settle]);

  // A keyboard that opens, a composer that grows, a window that is dragged.
  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const observer = new ResizeObserver(settle);
    observer.observe(element);
    for (const child of element.children) observer.observe(child);
    return () => observer.disconnect();
  }, [items.length === 0, settle]);

  const onScroll = () => {
    const element = scroller.current;
    if (!element) return;
    isStuck.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PX;
    anchor.current = topmost(element);
    setSeen((before) => (isStuck.current ? null : (before ?? newest)));
  };

  const toNewest = () => {
    isStuck.current = true;
    setSeen(null);
    settle();
  };

  const index = seen === null ? -1 : items.findLastIndex(({ key }) => key === seen);
  return { scroller, onScroll, isAway: seen !== null, fresh: index < 0 ? 0 : items.length - 1 - index, toNewest };
}

/** The topmost message in view. They stand one below the other, so that halves are enough. */
function topmost(scroller: HTMLElement): { key: string; top: number } | undefined {
  const messages = scroller.querySelectorAll<HTMLElement>("[data-key]");
  let [low, high] = [0, messages.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const message = messages[middle];
    if (message && message.offsetTop + message.offsetHeight > scroller.scrollTop) high = middle;
    else low = middle + 1;
  }
  const message = messages[low];
  return message && { key: message.dataset.key ?? "", top: message.offsetTop - scroller.scrollTop };
}
