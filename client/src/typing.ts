// Who types: the user, as the server is told of it, and the other side, as the page shows it.
//
// Guarantee: the server is told once in a while, however many keys are struck, and of an end only where it was told of a start.
//            The other side's typing ends, also where the event that says so got lost.

/** While the user types, the server is told once in this time. */
const TYPING_MS = 5_000;
/** The user has stopped typing when no key was struck for this long. */
const IDLE_MS = 4_000;
/** The server sends `typing:stop` after 15 s at the latest; when that event got lost, this ends the typing. */
const TYPING_LOST_MS = 20_000;

type Timer = ReturnType<typeof setTimeout> | undefined;

/** Both sides' typing in one conversation. */
export class Typing {
  /** When the server was last told that the user types; 0 when it was told that typing stopped. */
  #toldAt = 0;
  /** Ends the user's typing. */
  #idleTimer: Timer;
  /** Ends the other side's typing. */
  #lostTimer: Timer;

  /**
   * @param tell tells the server, and returns whether there was a way to
   * @param show shows whether the other side types
   */
  constructor(
    private tell: (word: "start" | "stop") => boolean,
    private show: (typing: boolean) => void,
  ) {}

  /** The user strikes a key. */
  start(): void {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => this.stop(), IDLE_MS);
    if (Date.now() - this.#toldAt > TYPING_MS && this.tell("start")) this.#toldAt = Date.now();
  }

  /** The user has stopped. */
  stop(): void {
    clearTimeout(this.#idleTimer);
    if (this.#toldAt && this.tell("stop")) this.#toldAt = 0;
  }

  /** An event came that may be one of typing. */
  receive(event: string): void {
    const typing = event === "typing:start";
    if (!typing && event !== "typing:stop") return;
    clearTimeout(this.#lostTimer);
    this.#lostTimer = setTimeout(() => this.show(false), TYPING_LOST_MS);
    this.show(typing);
  }

  /** The connection is lost: the server ends the user's typing by itself, and nothing is known of the other side. */
  reset(): void {
    this.#toldAt = 0;
    clearTimeout(this.#lostTimer);
  }
}
