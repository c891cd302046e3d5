// Scrolling of the messages: at the newest one while that is in view, and else where the reader is.
//
// Owns the position alone: the style sheet turns the browser's own scroll anchoring off, which not all of them have.

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
  const first = useRef<{ key: string; top: number }>(undefined);
  /** The newest message that was in view, while the end is not. */
  const [seen, setSeen] = useState<string | null>(null);
  const newest = items.at(-1)?.key ?? "";

  const settle = useCallback((key: string | undefined) => {
    const element = scroller.current;
    if (!element) return;
    const topOf = (wanted: string) => element.querySelector<HTMLElement>(`[data-key="${CSS.escape(wanted)}"]`)?.offsetTop;
    if (isStuck.current) {
      element.scrollTop = element.scrollHeight;
    } else if (first.current && first.current.key !== key) {
      const top = topOf(first.current.key);
      if (top !== undefined) element.scrollTop += top - first.current.top;
    }
    first.current = key === undefined ? undefined : { key, top: topOf(key) ?? 0 };
  }, []);

  const firstKey = items[0]?.key;
  useLayoutEffect(() => settle(firstKey), [items, firstKey, settle]);

  // A keyboard that opens, a composer that grows, a window that is dragged.
  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const observer = new ResizeObserver(() => settle(firstKey));
    observer.observe(element);
    for (const child of element.children) observer.observe(child);
    return () => observer.disconnect();
  }, [firstKey, settle]);

  const onScroll = () => {
    const element = scroller.current;
    if (!element) return;
    isStuck.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PX;
    setSeen((before) => (isStuck.current ? null : (before ?? newest)));
  };

  const toNewest = () => {
    isStuck.current = true;
    setSeen(null);
    settle(firstKey);
  };

  const index = seen === null ? -1 : items.findLastIndex(({ key }) => key === seen);
  return { scroller, onScroll, isAway: seen !== null, fresh: index < 0 ? 0 : items.length - 1 - index, toNewest };
}
