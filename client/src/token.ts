import type { TokenSource } from "./options.js";

/** Its source failed, or gave nothing in time. */
export const NO_TOKEN = "no_token";

/** How long a source may take. */
const SOURCE_MS = 10_000;
/** When a second token is refused within this time, its successor is asked for after this time. */
const REFUSED_AGAIN_MS = 30_000;

export type Given = Promise<string | null | undefined>;

/**
 * When a token is to be replaced, in milliseconds since 1970: after half its life, because a source may be away for a while.
 * Not a number for what is no JWT or has no `exp`.
 */
export function renewalOf(token: string | null | undefined, now: number): number {
  try {
    const body = token!.split(".")[1]!.replace(/-/g, "+").replace(/_/g, "/");
    const { exp, iat } = JSON.parse(atob(body)) as { exp: number; iat?: number };
    const byClock = (now + exp * 1000) / 2;
    // Where this clock is wrong, the time between the two is right all the same.
    const byLife = iat ? now + (exp - iat) * 500 : byClock;
    // Over already, or so it seems: not asked for in a storm.
    return byClock > now ? Math.min(byClock, byLife) : Math.max(byLife, now + REFUSED_AGAIN_MS);
  } catch {
    return NaN;
  }
}

/** The present token. Asks its source once for all who want it, and again before it expires. A failure has a `code`. */
export class Token {
  #current: Given | undefined;
  /** When it is replaced, in milliseconds since 1970; not a number while that is unknown. */
  renewAt = NaN;
  #refusedAt = NaN;

  constructor(private source: TokenSource | undefined) {}

  get(): Given {
    if (Date.now() >= this.renewAt) this.forget();
    if (this.#current) return this.#current;
    const given = (this.#current = ask(this.source));
    given.then(
      (token) => {
        if (this.isPresent(given) && typeof this.source === "function") this.renewAt = renewalOf(token, Date.now());
      },
      () => this.isPresent(given) && this.forget(),
    );
    return given;
  }

  isPresent(given: Given | undefined): boolean {
    return given === this.#current;
  }

  /** The next one to ask gets a fresh token. */
  forget(): void {
    this.#current = undefined;
    this.renewAt = NaN;
  }

  /** Another source. Returns whether the present token is forgotten for it: not where a function follows a function. */
  replace(source: TokenSource | undefined): boolean {
    const areFunctions = typeof source === "function" && typeof this.source === "function";
    const isOther = !areFunctions && source !== this.source;
    this.source = source;
    if (isOther) this.forget();
    return isOther;
  }

  /** The server refused this one. The next is asked for at once, and the one after that in a while. */
  refused(given: Given | undefined): void {
    // Another request has learnt it before.
    if (!this.isPresent(given)) return;
    this.forget();
    const now = Date.now();
    if (now - this.#refusedAt < REFUSED_AGAIN_MS) {
      this.renewAt = now + REFUSED_AGAIN_MS;
      this.#current = Promise.reject({ code: "unauthorized" });
      this.#current.catch(() => {});
    }
    this.#refusedAt = now;
  }
}

async function ask(source: TokenSource | undefined): Given {
  if (typeof source !== "function") return source;
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<never>((_, fail) => (timer = setTimeout(fail, SOURCE_MS, "nothing in 10 s")));
  try {
    return await Promise.race([source(), late]);
  } catch (error) {
    // Nobody else says it: the code that the page shows is the same for every cause.
    console.warn("rowcast: no token from its source:", error);
    throw { code: NO_TOKEN };
  } finally {
    clearTimeout(timer!);
  }
}
