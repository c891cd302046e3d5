import type { TokenSource } from "./options.js";

/** Its source failed, or gave nothing in time. */
export const NO_TOKEN = "no_token";

/** How long a source may take. */
const SOURCE_MS = 10_000;

/** When a JWT ends, in milliseconds since 1970; not a number for what is no JWT or has no `exp`. */
export function expiryOf(token: string | null | undefined): number {
  try {
    const body = token!.split(".")[1]!.replace(/-/g, "+").replace(/_/g, "/");
    return (JSON.parse(atob(body)) as { exp: number }).exp * 1000;
  } catch {
    return NaN;
  }
}

/** The present token. Asks its source once for all who want it, and again before it expires. A failure has the code `no_token`. */
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
    let timer: ReturnType<typeof setTimeout>;
    const late = new Promise<never>((_, fail) => (timer = setTimeout(() => fail(`nothing in ${SOURCE_MS} ms`), SOURCE_MS)));
    try {
      const token = await Promise.race([source(), late]);
      // After half its life: clocks differ, and a source may be away for a while.
      this.renewAt = (Date.now() + expiryOf(token)) / 2;
      return token;
    } catch (error) {
      this.forget();
      // Nobody else says it: the code that the page shows is the same for every cause.
      console.warn("rowcast: no token from its source:", error);
      throw { code: NO_TOKEN };
    } finally {
      clearTimeout(timer!);
    }
  }
}
