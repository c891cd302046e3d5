// The demo's endpoints, on the page's own origin.

import { texts } from "./texts";

/** How long an answer may take. */
const TIMEOUT_MS = 15_000;

export interface About {
  version: string;
  embedded: boolean;
  /** A line for the shell that inserts a message; null where the database is the user's own. */
  psql: string | null;
}

/** The server's refusal. */
export class ApiError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** What to say about a request that failed. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof ApiError)) return texts.unreachable;
  return error.code === "too_many_requests" ? texts.tooManyRequests : texts.refused(error.message);
}

/** Whether the same request may be answered a little later: the server is away, or has too much to do. */
export function isPassing(error: unknown): boolean {
  return !(error instanceof ApiError) || /^(unavailable|too_many_requests|http_5\d\d)$/.test(error.code);
}

/** Writes an outbound message, once for each key; answers its id. */
export async function sendMessage(contactId: string, body: string, externalId: string): Promise<{ id: string }> {
  return answerOf(await post(contactId, "messages", { body, externalId }));
}

/** Marks what came in as read. */
export async function markRead(contactId: string): Promise<void> {
  await answerOf(await post(contactId, "read", {}));
}

/** Lets the bot type, reply and be read; answers when that is over. */
export async function playBot(contactId: string): Promise<void> {
  await answerOf(await post(contactId, "bot", {}));
}

export async function getAbout(signal: AbortSignal): Promise<About> {
  return answerOf(await fetch("/demo/about", { cache: "no-store", signal }));
}

function post(contactId: string, what: string, body: object): Promise<Response> {
  return fetch(`/demo/conversations/${encodeURIComponent(contactId)}/${what}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
}

async function answerOf<T>(response: Response): Promise<T> {
  if (response.status === 204) return undefined as T;
  if (response.ok) return response.json() as Promise<T>;
  const { error } = (await response.json().catch(() => ({}))) as { error?: { code: string; message: string } };
  throw new ApiError(error?.code ?? `http_${response.status}`, error?.message ?? `HTTP ${response.status}`);
}
