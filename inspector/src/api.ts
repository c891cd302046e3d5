// The endpoints of the admin listener, on the page's own origin.
//
// The token is kept for as long as the tab is open, and sent as a bearer token: no cookie, so no other site can use it.

import { texts } from "./texts";

const TOKEN = "rowcast.admin-token";
const TIMEOUT_MS = 15_000;
/** The doctor looks for as long as a minute or two where something hangs. */
const DOCTOR_TIMEOUT_MS = 150_000;

export interface Session {
  version: string;
  write: boolean;
  /** How the server names the token that it asks for; null where it asks for none. */
  token: string | null;
}

export interface Check {
  check: string;
  state: "ok" | "degraded" | "failing";
  causes: string[];
}

export interface Overview {
  uptimeMs: number;
  checks: Check[];
  sockets: {
    total: number;
    looked: number;
    websocket: number;
    polling: number;
    behind: number;
    waitingBytes: number;
    rooms: number;
  };
  deliveries: number;
  eventsRead: number;
  replayed: number;
  slowConsumers: number;
  captureErrors: number;
  lagEvents: number;
  lagMs: number | null;
  commitToBroadcast: { boundsMs: number[]; counts: number[]; count: number };
  outbox: { rows: number; bytes: number };
  notifyQueue: number;
  servers: { address: string; seconds: number }[] | null;
  serversUnknown: string | null;
}

export interface Mend {
  said: string;
  means: string;
  paste: string;
}

export interface Source {
  source: string;
  relation: string;
  rooms: string[];
  events: string[];
  orderColumn: string;
  eventsPerSecond: number | null;
  problems: Mend[];
}

export interface Sources {
  sources: Source[];
  unknown?: string;
}

export interface RoomList {
  total: number;
  isSample: boolean;
  found: number;
  from: number;
  rooms: { room: string; members: number }[];
}

export interface Socket {
  socket: number;
  identity: { issuer: string | null; subject: string } | null;
  transport: "websocket" | "polling";
  waitingBytes: number;
  state: "live" | "behind";
  rooms: number;
  roomNames: string[];
  ageMs: number;
  address: string | null;
}

export interface SocketList {
  total: number;
  looked: number;
  found: number;
  from: number;
  sockets: Socket[];
}

export interface StoredEvent {
  id: string;
  room: string;
  event: string;
  source?: string;
  bytes: number;
  atMs: number;
}

export interface RoomView {
  room: string;
  found: number;
  from: number;
  members: Socket[];
  events: StoredEvent[];
  eventsUnknown: string | null;
}

export interface LiveEvent extends StoredEvent {
  number: number;
}

export interface LiveEvents {
  number: number;
  hasGap: boolean;
  events: LiveEvent[];
}

export interface Finding {
  check: string;
  level: "ok" | "warning" | "failure";
  said: string;
  means?: string;
  paste?: string;
}

export interface Report {
  status: Finding["level"];
  findings: Finding[];
}

/** The server's refusal. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    /** What a server that starts waits for. */
    readonly starting: { check: string; cause: string } | undefined,
  ) {
    super(message);
  }
}

/** What to say about a request that failed. */
export function reasonOf(error: unknown): string {
  return error instanceof ApiError ? texts.refused(error.message) : texts.unreachable;
}

export function hasToken(): boolean {
  return sessionStorage.getItem(TOKEN) !== null;
}

export function setToken(token: string | null): void {
  if (token === null) sessionStorage.removeItem(TOKEN);
  else sessionStorage.setItem(TOKEN, token);
}

/** Asks for `/api/<path>`. */
export async function get<T>(path: string, signal: AbortSignal): Promise<T> {
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  return answerOf(await fetch(`/api/${path}`, { cache: "no-store", headers: authorization(), signal: bounded }));
}

/** Has something done by `/api/<path>`. A text is JSON already. */
export async function post<T>(path: string, body: object | string): Promise<T> {
  return answerOf(
    await fetch(`/api/${path}`, {
      method: "POST",
      headers: { ...authorization(), "content-type": "application/json", "x-rowcast-inspector": "1" },
      body: typeof body === "string" ? body : JSON.stringify(body),
      signal: AbortSignal.timeout(path === "doctor" ? DOCTOR_TIMEOUT_MS : TIMEOUT_MS),
    }),
  );
}

/** The parameters that say something, as a query. */
export function query(parameters: Record<string, string | number | undefined>): string {
  const said = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== "" && value !== 0);
  return said.length ? `?${new URLSearchParams(said.map(([name, value]) => [name, String(value)]))}` : "";
}

function authorization(): Record<string, string> {
  const token = sessionStorage.getItem(TOKEN);
  return token === null ? {} : { authorization: `Bearer ${token}` };
}

async function answerOf<T>(response: Response): Promise<T> {
  if (response.ok) return response.json() as Promise<T>;
  const body = (await response.json().catch(() => ({}))) as {
    error?: { message: string };
    starting?: { check: string; cause: string };
  };
  throw new ApiError(response.status, body.error?.message ?? `HTTP ${response.status}`, body.starting);
}
