import type { Address } from "./address.js";
import type { Token } from "./token.js";

/** How long an answer may take. */
const TIMEOUT_MS = 10_000;

/** The server's refusal, of a request or of a join. */
export class RowcastError extends Error {
  override name = "RowcastError";

  constructor(
    /** Stable, such as `offset_expired`. */
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

type Query = Record<string, string | number | undefined>;

/** Reads of one conversation. */
export class Http {
  constructor(
    readonly address: Address,
    readonly token: Token,
    readonly withCredentials: boolean | undefined,
  ) {}

  /** @throws RowcastError when the server refuses; what `fetch` throws when it can't be reached */
  async get<T>(contactId: string, what: string, query: Query, signal?: AbortSignal): Promise<T> {
    const given = Object.entries(query).filter(([, value]) => value !== undefined);
    const search = new URLSearchParams(given as [string, string][]);
    const token = await this.token.get();
    const response = await fetch(
      `${this.address.origin}${this.address.path}/api/conversations/${encodeURIComponent(contactId)}/${what}?${search}`,
      {
        cache: "no-store",
        credentials: this.withCredentials ? "include" : "same-origin",
        headers: token ? { authorization: `Bearer ${token}` } : {},
        signal: AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), ...(signal ? [signal] : [])]),
      },
    );
    if (response.ok) return response.json() as Promise<T>;
    if (response.status === 401) this.token.forget();
    const { error } = (await response.json().catch(() => ({}))) as { error?: { code: string; message: string } };
    throw new RowcastError(error?.code ?? `http_${response.status}`, error?.message ?? response.statusText);
  }
}
