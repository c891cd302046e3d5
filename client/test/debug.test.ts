// What a developer sees of a conversation's way.

import { expect, onTestFinished, test, vi } from "vitest";
import type { Conversation } from "../src/index.js";
import { connected, hurry, jwt, open, shows, startPeer, until } from "./harness.js";
import { positionOf } from "./log.js";

/** Keeps what is printed, with places for the offsets, while `localStorage.rowcast` is `mode`. */
function printed(mode: string | undefined): string[] {
  const lines: string[] = [];
  vi.stubGlobal("localStorage", { rowcast: mode });
  const print = vi.spyOn(console, "debug").mockImplementation((...what: unknown[]) => {
    const text = what.map((part) => (typeof part === "string" ? part : JSON.stringify(part))).join(" ");
    lines.push(text.replace(/[\w-]{8,}/g, (word) => (positionOf(word) >= 0 ? `<${positionOf(word)}>` : word)));
  });
  onTestFinished(() => {
    print.mockRestore();
    vi.unstubAllGlobals();
  });
  return lines;
}

test("joins, reads, events with their offsets and gaps are printed where it is asked for, and no token", async () => {
  const lines = printed("debug");
  const peer = await startPeer();
  const token = jwt("somebody", 60_000);
  peer.insert("42", "a");
  const conversation = open(peer, { token: () => token }).join("42");
  await connected(conversation);
  peer.insert("42", "b");
  await shows(conversation, "a b");
  peer.joinRefusal = "too_many_rooms";
  peer.room("42").emit("rowcast:resync", { contactId: "42", room: "conversation:42", reason: "not an offset" });
  await until("it polls", () => lines.some((line) => line.includes("events?after")));
  expect(lines.slice(0, 7)).toEqual([
    "rowcast conversation:42 messages?limit=50 200",
    'rowcast conversation:42 join <1> {"ok":true,"room":"conversation:42","offset":"<1>","replayed":0}',
    "rowcast conversation:42 message:new <2>",
    "rowcast conversation:42 rowcast:resync ",
    "rowcast conversation:42 gap not an offset",
    "rowcast conversation:42 messages?limit=50 200",
    'rowcast conversation:42 join <2> {"ok":false,"error":{"code":"too_many_rooms","message":""}}',
  ]);
  expect(lines[7]).toBe("rowcast conversation:42 events?after=<2> 200");
  expect(lines.join()).not.toContain(token);
});

test.each(["off", undefined])("nothing is printed where it is %s", async (mode) => {
  const lines = printed(mode);
  const peer = await startPeer();
  await connected(open(peer).join("42"));
  expect(lines).toEqual([]);
});

test("a storage that is closed to the page stops nothing", async () => {
  vi.stubGlobal("localStorage", undefined);
  onTestFinished(() => void vi.unstubAllGlobals());
  await connected(open(await startPeer()).join("42"));
});

test("the state says when the last event came, by the socket or by a poll", async () => {
  const peer = await startPeer();
  const conversation = open(peer).join("42");
  await connected(conversation);
  expect(conversation.state.lastEventAt).toBeNull();
  const before = Date.now();
  peer.insert("42", "a");
  await shows(conversation, "a");
  const first = conversation.state.lastEventAt!;
  expect(first).toBeGreaterThanOrEqual(before);
  await until("time goes by", () => Date.now() > first);
  peer.joinRefusal = "unavailable";
  peer.drop();
  peer.insert("42", "b");
  await shows(conversation, "a b");
  expect(conversation.state.lastEventAt).toBeGreaterThan(first);
});

const loadedAgain = (conversation: Conversation, reason: string) =>
  until(`it says ${reason}`, () => conversation.state.reason === reason).then(() => connected(conversation));

test("the state says why a conversation had to be loaded again", async () => {
  hurry();
  const peer = await startPeer();
  const conversation = open(peer).join("42");
  await connected(conversation);
  expect(conversation.state.reason).toBeNull();
  peer.drop();
  await until("the connection is lost", () => conversation.state.status !== "connected");
  await connected(conversation);
  expect(conversation.state.reason).toBeNull();
  peer.room("42").emit("rowcast:resync", { contactId: "42", room: "conversation:42", reason: "rows came or went" });
  await loadedAgain(conversation, "rows came or went");
  peer.insert("42", "a");
  peer.oldest = 1_000;
  peer.drop();
  await until("it says why", () => conversation.state.reason === "offset_expired");
  peer.oldest = 0;
  await connected(conversation);
  expect(conversation.state.messages).toHaveLength(1);
});
