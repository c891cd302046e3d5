/** Waits, but no longer than until the page is looked at again, the network is back or `signal` says so. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const over = new AbortController();
    const end = () => {
      over.abort();
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(end, ms);
    const until = { signal: over.signal };
    addEventListener("online", end, until);
    document.addEventListener("visibilitychange", () => document.hidden || end(), until);
    signal.addEventListener("abort", end, until);
    if (signal.aborted) end();
  });
}
