// An answer that is asked for again and again while the page is seen: a tab in the background asks for nothing.

import { useEffect, useState, useSyncExternalStore } from "react";
import { ApiError, get, reasonOf } from "./api";

export interface Polled<T> {
  /** The last answer to this very question. */
  data: T | undefined;
  /** Why there is no newer one. */
  problem: string | null;
  /** The status of the refusal, if it was one. */
  status: number | null;
  /** Asks at once. */
  again: () => void;
}

/** Asks for `/api/<path>`, and again `pauseMs` after each answer; for nothing where `path` is null. */
export function usePolled<T>(path: string | null, pauseMs: number): Polled<T> {
  const [answer, setAnswer] = useState<{ path: string; data: T } | null>(null);
  const [failed, setFailed] = useState<{ problem: string; status: number | null } | null>(null);
  const [turn, setTurn] = useState(0);
  const isSeen = useIsSeen();
  useEffect(() => {
    if (path === null || !isSeen) return;
    const unmount = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async (): Promise<void> => {
      try {
        const data = await get<T>(path, unmount.signal);
        if (unmount.signal.aborted) return;
        setAnswer({ path, data });
        setFailed(null);
      } catch (error) {
        if (unmount.signal.aborted) return;
        const status = error instanceof ApiError ? error.status : null;
        if (status === 401) dispatchEvent(new Event("rowcast:signed-out"));
        setFailed({ problem: reasonOf(error), status });
      }
      timer = setTimeout(() => void ask(), pauseMs);
    };
    void ask();
    return () => {
      unmount.abort();
      clearTimeout(timer);
    };
  }, [path, pauseMs, isSeen, turn]);
  return {
    data: answer?.path === path ? answer?.data : undefined,
    problem: failed?.problem ?? null,
    status: failed?.status ?? null,
    again: () => setTurn((turn) => turn + 1),
  };
}

export function useIsSeen(): boolean {
  return useSyncExternalStore(
    (changed) => {
      document.addEventListener("visibilitychange", changed);
      return () => document.removeEventListener("visibilitychange", changed);
    },
    () => !document.hidden,
  );
}

/** A value once it has stood for a moment: what is typed is not asked for letter by letter. */
export function useSettled<T>(value: T, ms = 250): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}
