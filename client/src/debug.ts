/** Prints what happens, where `localStorage.rowcast` is `"debug"`: joins, reads, events with their offsets, gaps. Never a token. */
export function debug(...what: unknown[]): void {
  try {
    if (localStorage.rowcast === "debug") console.debug("rowcast", ...what);
  } catch {
    // There is no storage, or it is closed.
  }
}
