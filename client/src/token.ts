import type { TokenSource } from "./options.js";

/** How long before its end a token is replaced. */
const MARGIN_MS = 30_000;

/** When a JWT ends, in milliseconds since 1970; `undefined` for what is no JWT or has no `exp`. */
export function expiryOf(token: string): number | undefined {
  try {
    const body = token.split(".")[1]!.replace(/-/g, "+").replace(/_/g, "/");
    const { exp } = JSON.parse(atob(body)) as { exp?: unknown };
    return typeof exp === "number" ? exp * 1000 : undefined;
  } catch {
    return undefined;
  }
}

/** The present token. Asks its source once for all who want it, and again before it expires. */
export class Token {
  #current: Promise<string | null | undefined> | undefined;
  #renewAt = Infinity;

  constructor(readonly source: TokenSource | undefined) {}

  get(): Promise<string | null | undefined> {
    if (!this.#current || Date.now() >= this.#renewAt) {
      const { source } = this;
      const asked = (async () => (typeof source === "function" ? source() : source))();
      this.#current = asked;
      this.#renewAt = Infinity;
      asked.then(
        (token) => {
          const expiry = token ? expiryOf(token) : undefined;
          // A token that lives for less than the margin is replaced after half its life.
          if (this.#current === asked && expiry) {
            this.#renewAt = Math.max(expiry - MARGIN_MS, (Date.now() + expiry) / 2);
          }
        },
        () => this.forget(asked),
      );
    }
    return this.#current;
  }

  /** The next one to ask gets a fresh token. */
  forget(which = this.#current): void {
    if (this.#current === which) this.#current = undefined;
  }

  /** How long the present one is good for, when that is known. */
  get remainingMs(): number | undefined {
    return this.#renewAt === Infinity || typeof this.source !== "function" ? undefined : this.#renewAt - Date.now();
  }
}
