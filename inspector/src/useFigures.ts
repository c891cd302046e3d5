// Rates and quantiles out of the counters of successive answers: what happened while this page was looked at.

import { useEffect, useState } from "react";
import type { Overview } from "./api";
import { quantile } from "./format";

/** Over so long counters are compared. */
const RATE_MS = 5_000;
const QUANTILE_MS = 60_000;

export interface Figures {
  /** In a second; null while there is only one answer. */
  deliveries: number | null;
  events: number | null;
  p50: number | null;
  p99: number | null;
  /** Whether the quantiles are those of the last minute; else of the server's life. */
  isOfMinute: boolean;
}

export function useFigures(overview: Overview | undefined): Figures | null {
  const [seen, setSeen] = useState<Overview[]>([]);
  useEffect(() => {
    if (!overview) return;
    setSeen((seen) => {
      const last = seen.at(-1);
      // Another server, or the same one after a restart.
      const kept = last && last.uptimeMs > overview.uptimeMs ? [] : seen;
      return [...kept.filter((old) => overview.uptimeMs - old.uptimeMs <= QUANTILE_MS), overview];
    });
  }, [overview]);
  const last = seen.at(-1);
  return last ? figuresOf(seen, last) : null;
}

function figuresOf(seen: Overview[], last: Overview): Figures {
  const before = seen.find((old) => last.uptimeMs - old.uptimeMs <= RATE_MS && old !== last);
  const seconds = before ? (last.uptimeMs - before.uptimeMs) / 1000 : 0;
  const perSecond = (of: (overview: Overview) => number): number | null =>
    before && seconds > 0 ? (of(last) - of(before)) / seconds : null;
  const now = last.commitToBroadcast;
  const then = seen[0]?.commitToBroadcast;
  const isOfMinute = then !== undefined && now.count > then.count;
  const counts = isOfMinute ? now.counts.map((count, at) => count - (then.counts[at] ?? 0)) : now.counts;
  const total = isOfMinute ? now.count - then.count : now.count;
  const of = (share: number): number | null => quantile(share, now.boundsMs, counts, total);
  return {
    deliveries: perSecond((overview) => overview.deliveries),
    events: perSecond((overview) => overview.eventsRead),
    p50: of(0.5),
    p99: of(0.99),
    isOfMinute,
  };
}
