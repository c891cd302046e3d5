import { useEffect, useRef, type RefObject } from "react";

/** How far below what is seen the end may be. */
const MARGIN_PX = 600;

/** Calls `load` while the element that it gives is scrolled near its end and there is `more`; again after each change of `count`. */
export function useNearEnd<E extends HTMLElement>(more: boolean, count: number, load: () => Promise<void>): RefObject<E | null> {
  const list = useRef<E>(null);
  useEffect(() => {
    const element = list.current;
    if (!more || !element) return;
    const look = () => {
      if (element.scrollHeight - element.scrollTop - element.clientHeight < MARGIN_PX) void load();
    };
    look();
    element.addEventListener("scroll", look, { passive: true });
    return () => element.removeEventListener("scroll", look);
    // `load` is another function in each rendering, and does the same.
  }, [more, count]);
  return list;
}
