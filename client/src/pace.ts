import { throwIfAborted } from "./abort.js";

/** So many in such a time are below the server's `ROWCAST_MAX_EVENT_RATE` of 50 a second, whenever they come. Those of one time come together, so that the server stores them together. */
const TURNS = 20;
const WINDOW_MS = 500;
const STEP_MS = WINDOW_MS / TURNS;
/** After this the server takes as many again as in its first second. */
const PAUSE_MS = 1_000;

/** Lets a page with hundreds of rooms ask for a few at a time: whoever comes when there are too many waits, in order. */
export class Pace {
  /** When the last one's turn is, if each had a moment of its own. */
  #last = 0;

  /** Lets who comes next wait for a while: what was sent in time came together, after a network's delay. */
  pause(): void {
    this.#last = Math.max(this.#last, performance.now() + PAUSE_MS);
  }

  /** Waits for its turn. Throws the signal's reason where that is aborted meanwhile. */
  async turn(signal?: AbortSignal): Promise<void> {
    const now = performance.now();
    this.#last = Math.max(this.#last, now - WINDOW_MS) + STEP_MS;
    if (this.#last <= now) return;
    // One timer for each who waits: browsers slow down timers that set timers, where nobody looks at the page.
    const giveBack = () => (this.#last -= STEP_MS);
    signal?.addEventListener("abort", giveBack);
    const at = Math.ceil(this.#last / WINDOW_MS) * WINDOW_MS;
    await new Promise((done) => setTimeout(done, at - now));
    signal?.removeEventListener("abort", giveBack);
    throwIfAborted(signal);
  }
}
