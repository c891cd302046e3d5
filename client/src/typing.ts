/** How often the others are told that typing goes on. */
const REPEAT_MS = 5_000;
/** Typing has stopped when no key was struck for this long. */
const IDLE_MS = 4_000;
/** The server says when the other side stops, after 15 s at the latest; this is for a word that got lost. */
const LOST_MS = 20_000;

/** Typing in both directions. */
export class Typing {
  #toldAt: number | undefined;
  #idle: ReturnType<typeof setTimeout> | undefined;
  #lost: ReturnType<typeof setTimeout> | undefined;

  constructor(readonly emit: (typing: boolean) => void) {}

  start(): void {
    const now = performance.now();
    if (this.#toldAt === undefined || now - this.#toldAt > REPEAT_MS) {
      this.#toldAt = now;
      this.emit(true);
    }
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.stop(), IDLE_MS);
  }

  stop(): void {
    clearTimeout(this.#idle);
    if (this.#toldAt !== undefined) this.emit(false);
    this.#toldAt = undefined;
  }

  /** The other side types, or not: `lost` is called if it never says that it stopped. */
  other(typing: boolean, lost: () => void): void {
    clearTimeout(this.#lost);
    if (typing) this.#lost = setTimeout(lost, LOST_MS);
  }

  /** The connection is gone, and what was told with it. */
  forget(): void {
    clearTimeout(this.#idle);
    clearTimeout(this.#lost);
    this.#toldAt = undefined;
  }
}
