// What the tests share: a peer and connections that end with the test, waits for facts, a clock in a hurry.

import { onTestFinished, vi } from "vitest";
import { ConversationSocket, type Conversation, type Message, type Options } from "../src/index.js";
import { Peer } from "./peer.js";

const realTimeout = setTimeout;

/** Waits for a fact, and says which one did not come. */
export async function until(what: string, fact: () => unknown, ms = 10_000): Promise<void> {
  const end = performance.now() + ms;
  while (!fact()) {
    if (performance.now() > end) throw new Error(`after ${ms} ms: ${what}`);
    await new Promise((done) => realTimeout(done, 2));
  }
}

/** Everything that is due at this moment is done, and what that makes due. Waits for nothing else. */
export const settled = () => new Promise<void>((done) => setImmediate(() => setImmediate(done)));

export async function startPeer(): Promise<Peer> {
  const peer = await Peer.start();
  onTestFinished(() => peer.close());
  return peer;
}

/** A connection that polls and comes back quickly, and keeps nothing. */
export function open<M extends Message = Message>(peer: Peer | undefined, options: Options<M> = {}): ConversationSocket<M> {
  const socket = new ConversationSocket<M>({
    url: peer?.url, pollConnectedMs: 60_000, pollDisconnectedMs: 30, storage: null, ...options,
  });
  socket.io?.io.reconnectionDelay(10).reconnectionDelayMax(30);
  onTestFinished(() => socket.close());
  return socket;
}

/**
 * Long waits of the code under test take a fiftieth: those for a refused connection, a silent socket and a reload; those for an
 * answer, of 10 s, with `answers`.
 */
export function hurry(answers = false): void {
  // The random ones are of a refused connection. The others above 10 s are Socket.IO's own, which find out who is dead.
  const isLong = (ms: number) => ms > 500 && (ms <= 9_000 || (ms <= 45_000 && ms % 1 > 0) || (answers && ms === 10_000));
  const quick = (go: () => void, ms = 0, ...rest: []) => realTimeout(go, isLong(ms) ? ms / 50 : ms, ...rest);
  vi.stubGlobal("setTimeout", quick);
  onTestFinished(relax);
}

export const relax = () => void vi.unstubAllGlobals();

export const connected = (conversation: Conversation<never> | Conversation) =>
  until(`${conversation.contactId} is connected`, () => conversation.state.status === "connected");

export const reaches = (conversation: Conversation, status: string) =>
  until(`${conversation.contactId} is ${status}`, () => conversation.state.status === status);

export const ids = (conversation: Conversation) => conversation.state.messages.map(({ id }) => id).join(" ");

export const shows = (conversation: Conversation, wanted: string) =>
  until(`"${wanted}" is shown`, () => ids(conversation) === wanted).catch((error: Error) => {
    throw new Error(`${error.message}, but "${ids(conversation)}"`);
  });

const STORED = ["message:new", "message:updated", "message:status", "message:deleted"] as const;

/** What listeners are told of stored events, as `new a`, in the order told; of one conversation, or of all. */
export function told(socket: ConversationSocket, contactId?: string): string[] {
  const heard: string[] = [];
  for (const event of STORED) {
    socket.on(event as string, (payload) => {
      const { message, messageId, contactId: its } = payload as { message?: Message; messageId?: string; contactId: string };
      if (contactId === undefined || contactId === its) heard.push(`${event.slice(8)} ${message?.id ?? messageId}`);
    });
  }
  return heard;
}

/** A storage in memory. */
export function shelf(): Storage {
  const items = new Map<string, string>();
  return {
    get length() {
      return items.size;
    },
    key: (index) => [...items.keys()][index] ?? null,
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
    clear: () => items.clear(),
  };
}

/** A token that nobody signed. */
export function jwt(name: string, lifeMs: number, now = Date.now()): string {
  const body = { sub: name, exp: (now + lifeMs) / 1000 };
  return `e30.${Buffer.from(JSON.stringify(body)).toString("base64url")}.s`;
}
