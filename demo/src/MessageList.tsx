import { useCallback, useEffect, useRef, useState, type ReactNode } from "react";
import { MessageItem, senderOf } from "./MessageItem";
import { texts } from "./texts";
import { dayOf, dayText, useToday } from "./time";
import { useEarlier } from "./useEarlier";
import type { Item } from "./useOutgoing";
import { useStick } from "./useStick";

/** How long a screen reader takes to see that what is there now is history. */
const SETTLE_MS = 1_000;
/** Longer than the kit takes to draw what has changed. */
const FRAME_MS = 50;

interface Props {
  items: readonly Item[];
  more: boolean;
  /** The ids of messages that came late, above others. */
  earlier: readonly string[];
  loading: boolean;
  loadOlder: () => Promise<void>;
  seeEarlier: () => void;
  /** Shown instead of messages. */
  children: ReactNode;
}

/** The messages of a conversation, the newest last. */
export function MessageList({ items, more, earlier, loading, loadOlder, seeEarlier, children }: Props) {
  const today = useToday();
  const { scroller, onScroll, isAway, fresh, toNewest } = useStick(items);
  const [isOlderComing, setIsOlderComing] = useState(false);
  const isLive = useLive(loading, items[0]?.key);
  useOwnInView(items, toNewest);
  const toEarlier = useEarlier(scroller, earlier, seeEarlier);

  async function older(): Promise<void> {
    if (isOlderComing) return;
    setIsOlderComing(true);
    await loadOlder();
    // What it brought is drawn in the next frame.
    setTimeout(() => setIsOlderComing(false), FRAME_MS);
  }
  // The button goes with the last page: the focus stays in the list.
  const olderButton = useCallback(
    (button: HTMLButtonElement) => () => {
      if (button === document.activeElement) scroller.current?.focus();
    },
    [scroller],
  );

  return (
    <div className="messages">
      <div
        className="log"
        ref={scroller}
        onScroll={onScroll}
        tabIndex={0}
        role="log"
        aria-label={texts.messages}
        aria-live={isLive ? "polite" : "off"}
        aria-relevant="additions"
        aria-busy={loading}
      >
        {more && (
          <button className="older" type="button" ref={olderButton} aria-disabled={isOlderComing} onClick={() => void older()}>
            {isOlderComing ? texts.loadingOlder : texts.older}
          </button>
        )}
        {earlier.length > 0 && (
          <div className="earlier-place">
            <button className="earlier" type="button" onClick={toEarlier}>
              <svg viewBox="0 0 24 24" aria-hidden="true">
                <path d="m6 15 6-6 6 6" />
              </svg>
              <span>{texts.earlierMessages(earlier.length)}</span>
            </button>
          </div>
        )}
        {items.length === 0 && children}
        <div className="days">
          {daysOf(items).map(({ key, heading, rows }) => (
            <section key={key}>
              {heading !== "" && (
                <h3 className="day">
                  <span>{dayText(heading, today)}</span>
                </h3>
              )}
              <ol>
                {rows.map((row, index) => (
                  <MessageItem
                    key={row.key}
                    id={row.key}
                    message={row.message}
                    draft={row.draft}
                    isLate={earlier.includes(row.message.id)}
                    isFirst={senderOf(rows[index - 1]?.message) !== senderOf(row.message)}
                  />
                ))}
              </ol>
            </section>
          ))}
        </div>
      </div>
      {isAway && (
        <button className="newest" type="button" onClick={toNewest} aria-label={fresh ? undefined : texts.toNewest}>
          {fresh > 0 && <span>{texts.newMessages(fresh)}</span>}
          <svg viewBox="0 0 24 24" aria-hidden="true">
            <path d="m6 9 6 6 6-6" />
          </svg>
        </button>
      )}
    </div>
  );
}

interface Day {
  key: string;
  /** A time of that day; empty for messages without one. */
  heading: string;
  rows: Item[];
}

/** Groups what stands together. A message that was committed late may make a day come twice. */
function daysOf(items: readonly Item[]): Day[] {
  const days: Day[] = [];
  const times = new Map<number, number>();
  let before: number | undefined;
  for (const item of items) {
    const { createdAt } = item.message;
    const day = dayOf(createdAt);
    const isSame = before !== undefined && (day === before || Number.isNaN(day));
    if (!isSame) {
      const nth = (times.get(day) ?? 0) + 1;
      times.set(day, nth);
      days.push({ key: `${day}-${nth}`, heading: Number.isNaN(day) ? "" : createdAt, rows: [] });
      before = day;
    }
    days.at(-1)?.rows.push(item);
  }
  return days;
}

/** Whether what is added is news: history, which is put above or comes at first, is not read out. */
function useLive(loading: boolean, firstKey: string | undefined): boolean {
  const start = firstKey ?? "";
  const [settled, setSettled] = useState<string | null>(null);
  useEffect(() => {
    if (loading) return;
    const timer = setTimeout(() => setSettled(start), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [loading, start]);
  // Whatever comes first into an empty conversation is news.
  return settled === start || settled === "";
}

/** Who sends wants to see it. */
function useOwnInView(items: readonly Item[], toNewest: () => void): void {
  const newest = items.at(-1);
  const last = useRef<string>(undefined);
  useEffect(() => {
    if (newest?.draft && newest.key !== last.current) toNewest();
    last.current = newest?.key;
  });
}
