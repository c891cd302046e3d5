// Which rows of a long list there are: those that are seen, some around them, and those that are kept.
//
// Guarantee: as many as fit and a few more, however long the list is. What the reader looks at stays where it is when rows above it come,
//            go or move; at the very top the newest ones are shown.
// Relies on: rows of one height, which the style sheet places by their number.

import { useEffect, useLayoutEffect, useRef, useState, type RefObject } from "react";

/** Rows above and below those that are seen, so that they are there when they come into view. */
const SPARE = 8;
/** More are loaded when fewer than so many are below. */
const AHEAD = 30;

interface Range {
  from: number;
  to: number;
}

export interface Rows {
  scroller: RefObject<HTMLElement | null>;
  list: RefObject<HTMLUListElement | null>;
  /** The numbers of the rows to show, in their order. */
  shown: readonly number[];
}

export function useRows(keys: readonly string[], kept: readonly (string | null)[], more: boolean, loadMore: () => Promise<void>): Rows {
  const scroller = useRef<HTMLElement>(null);
  const list = useRef<HTMLUListElement>(null);
  const [range, setRange] = useState<Range>({ from: 0, to: 4 * SPARE });
  const count = keys.length;
  useAnchor(scroller, list, keys);

  useEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const look = () => {
      const height = heightOf(list.current, count);
      if (!height) return;
      const first = Math.floor(element.scrollTop / height);
      const last = first + Math.ceil(element.clientHeight / height);
      // In steps, so that not every row that comes into view is a rendering.
      const [from, to] = [Math.max(0, Math.floor(first / SPARE) - 1) * SPARE, (Math.ceil(last / SPARE) + 1) * SPARE];
      setRange((old) => (old.from === from && old.to === to ? old : { from, to }));
      if (more && last + AHEAD > count) void loadMore();
    };
    look();
    element.addEventListener("scroll", look, { passive: true });
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => {
      element.removeEventListener("scroll", look);
      observer.disconnect();
    };
    // `loadMore` is another function in each rendering, and does the same.
  }, [count, more]);

  const shown = new Set<number>();
  for (let index = range.from; index < Math.min(range.to, count); index++) shown.add(index);
  for (const key of kept) {
    const index = key === null ? -1 : keys.indexOf(key);
    if (index >= 0) shown.add(index);
  }
  return { scroller, list, shown: [...shown].sort((a, b) => a - b) };
}

/** Scrolls along when the rows that are seen have other numbers. */
function useAnchor(scroller: RefObject<HTMLElement | null>, list: RefObject<HTMLUListElement | null>, keys: readonly string[]): void {
  const before = useRef(keys);
  useLayoutEffect(() => {
    const old = before.current;
    before.current = keys;
    const element = scroller.current;
    const height = heightOf(list.current, keys.length);
    if (old === keys || !element || !height || element.scrollTop < height / 2) return;
    const top = Math.floor(element.scrollTop / height);
    // The first one that has kept its place among its neighbours: one that moved up is not what is looked at.
    for (let index = top; index < Math.min(top + SPARE, old.length); index++) {
      const now = keys.indexOf(old[index]!);
      if (now < 0 || keys[now + 1] !== old[index + 1]) continue;
      element.scrollTop += (now - index) * height;
      return;
    }
  }, [keys]);
}

const heightOf = (list: HTMLUListElement | null, count: number) => (list && count ? list.offsetHeight / count : 0);
