/** So many in such a time are below the server's `ROWCAST_MAX_EVENT_RATE` of 50 a second, whenever they come. */
const TURNS = 20;
const WINDOW_MS = 500;
/** After this the server takes as many again as in its first second. */
const PAUSE_MS = 1_000;

/** Lets a page with hundreds of rooms ask for a few at a time: whoever comes when there are too many waits, in order. */
export class Pace {
  #left = 0;
  #until = 0;

  /** Lets nobody through for a while: what was sent in time came together, after a network's delay. */
  pause(): void {
    this.#left = 0;
    this.#until = performance.now() + PAUSE_MS;
  }

  /** Waits for its turn. Throws the signal's reason where that is aborted meanwhile. */
  async turn(signal?: AbortSignal): Promise<void> {
    for (;;) {
      const now = performance.now();
      if (now >= this.#until) {
        this.#left = TURNS;
        this.#until = now + WINDOW_MS;
      }
      if (this.#left-- > 0) return;
      await new Promise((done) => setTimeout(done, this.#until - now));
      signal?.throwIfAborted();
    }
  }
}
