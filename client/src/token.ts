import type { TokenSource } from "./options.js";

/** When a JWT ends, in milliseconds since 1970; not a number for what is no JWT or has no `exp`. */
export function expiryOf(token: string | null | undefined): number {
  try {
    const body = token!.split(".")[1]!.replace(/-/g, "+").replace(/_/g, "/");
    return (JSON.parse(atob(body)) as { exp: number }).exp * 1000;
  } catch {
    return NaN;
  }
}

/** The present token. Asks its source once for all who want it, and again before it expires. */
export class Token {
  #current: Promise<string | null | undefined> | undefined;
  /** When it is replaced, in milliseconds since 1970; not a number while that is unknown. */
  renewAt = NaN;

  constructor(readonly source: TokenSource | undefined) {}

  get(): Promise<string | null | undefined> {
    if (Date.now() >= this.renewAt) this.forget();
    return (this.#current ??= this.#ask());
  }

  /** The next one to ask gets a fresh token. */
  forget(): void {
    this.#current = undefined;
    this.renewAt = NaN;
  }

  async #ask(): Promise<string | null | undefined> {
    const { source } = this;
    if (typeof source !== "function") return source;
    try {
      const token = await source();
      // After half its life: clocks differ, and a source may be away for a while.
      this.renewAt = (Date.now() + expiryOf(token)) / 2;
      return token;
    } catch (error) {
      this.forget();
      throw error;
    }
  }
}
