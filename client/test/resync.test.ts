// Continuity that is lost or refused, and conversations that come back from storage.

import { expect, test, vi } from "vitest";
import type { Options } from "../src/index.js";
import { connected, hurry, ids, open, reaches, shelf, shows, startPeer, told, until } from "./harness.js";
import type { Peer } from "./peer.js";

/** Events that nobody who was away will hear of. */
function skip(peer: Peer, contactId: string, id: string): void {
  peer.log.append(contactId, "message:new", { message: peer.log.row(contactId, id), contactId });
  peer.oldest = peer.log.position;
}

test("a resync loads the history again and goes on from there", async () => {
  hurry();
  const peer = await startPeer();
  peer.insert("42", "a");
  const socket = open(peer);
  const heard = told(socket);
  const resyncs = vi.fn();
  socket.on("rowcast:resync", resyncs);
  const conversation = socket.join("42");
  await connected(conversation);
  skip(peer, "42", "b");
  peer.room("42").emit("rowcast:resync", { contactId: "42", reason: "test" });
  await shows(conversation, "a b");
  await connected(conversation);
  peer.insert("42", "c");
  await shows(conversation, "a b c");
  expect(heard).toEqual(["new c"]);
  expect(resyncs.mock.calls).toEqual([[{ contactId: "42", reason: "test" }]]);
  expect(peer.asked.filter((what) => what === "messages 42")).toHaveLength(2);
});

test("a resync of one conversation leaves the others as they are", async () => {
  hurry();
  const peer = await startPeer();
  const socket = open(peer);
  const [one, other] = [socket.join("1"), socket.join("2")];
  await Promise.all([connected(one), connected(other)]);
  peer.room("1").emit("rowcast:resync", { contactId: "1", reason: "test" });
  await until("it is loaded again", () => peer.asked.filter((what) => what === "messages 1").length === 2);
  await connected(one);
  expect(other.state.status).toBe("connected");
  expect(peer.asked.filter((what) => what.endsWith(" 2"))).toEqual(["messages 2", "join 2"]);
});

test("a join that is answered with resync loads the history again", async () => {
  hurry();
  const peer = await startPeer();
  const socket = open(peer, { pollDisconnectedMs: 60_000 });
  const heard = told(socket);
  const conversation = socket.join("42");
  await connected(conversation);
  peer.drop();
  await until("the connection is lost", () => !socket.connected);
  skip(peer, "42", "a");
  await shows(conversation, "a");
  await connected(conversation);
  peer.insert("42", "b");
  await shows(conversation, "a b");
  expect(heard).toEqual(["new b"]);
});

test.each([410, 400])("a poll that is answered with %i loads the history again", async (status) => {
  hurry();
  const peer = await startPeer();
  peer.refusal = "unavailable";
  const socket = open(peer);
  const conversation = socket.join("42");
  await reaches(conversation, "polling");
  peer.insert("42", "a");
  await shows(conversation, "a");
  peer.failures.set("events", { status, code: status === 410 ? "offset_expired" : "bad_request" });
  await until("it is loaded again", () => peer.asked.filter((what) => what === "messages 42").length > 1);
  peer.failures.clear();
  peer.insert("42", "b");
  await shows(conversation, "a b");
});

test("a poll beside the socket that is answered with 410 loads the history again", async () => {
  hurry();
  const peer = await startPeer();
  const socket = open(peer, { pollConnectedMs: 20 });
  const heard = told(socket);
  const conversation = socket.join("42");
  await connected(conversation);
  skip(peer, "42", "a");
  await shows(conversation, "a");
  await connected(conversation);
  peer.insert("42", "b");
  await shows(conversation, "a b");
  expect(heard).toEqual(["new b"]);
});

test("what is forbidden is not shown any longer, here and after a reload", async () => {
  const peer = await startPeer();
  const storage = shelf();
  peer.insert("42", "a");
  const socket = open(peer, { storage, pollConnectedMs: 20 });
  const conversation = socket.join("42");
  await connected(conversation);
  conversation.leave();
  await until("it is left", () => peer.members("42") === 0);
  const again = socket.join("42");
  expect(ids(again)).toBe("a");
  await connected(again);
  peer.failures.set("messages", { status: 403, code: "forbidden" }).set("events", { status: 403, code: "forbidden" });
  await until("it is not shown", () => ids(again) === "");
  await until("the room is left", () => peer.members("42") === 0);
  peer.joinRefusal = "forbidden";
  expect(again.state).toMatchObject({ more: false, status: "offline", error: "forbidden" });
  expect(ids(open(peer, { storage }).join("42"))).toBe("");
  peer.failures.clear();
  peer.joinRefusal = undefined;
  await shows(again, "a");
});

/** A page that was shown, with "a" and "b" in it, and then reloaded. */
async function reload(storage: Storage | null | undefined, options: Options = {}) {
  const peer = await startPeer();
  peer.insert("42", "a");
  peer.insert("42", "b");
  const before = open(peer, { storage, ...options });
  const left = before.join("42");
  await connected(left);
  before.close();
  peer.insert("42", "c");
  return { peer, storage, asked: peer.asked.splice(0) };
}

test("a page that is reloaded shows what it had at once and is told what it missed", async () => {
  const { peer, storage } = await reload(shelf());
  const socket = open(peer, { storage });
  const heard = told(socket);
  const conversation = socket.join("42");
  expect(ids(conversation)).toBe("a b");
  expect(conversation.state).toMatchObject({ loading: false, status: "connecting" });
  await shows(conversation, "a b c");
  await connected(conversation);
  expect(heard).toEqual(["new c"]);
  expect(peer.asked).not.toContain("messages 42");
});

test("what was kept ten minutes ago is loaded again", async () => {
  const { peer, storage } = await reload(shelf());
  const clock = vi.spyOn(Date, "now").mockReturnValue(Date.now() + 600_000);
  const conversation = open(peer, { storage }).join("42");
  clock.mockRestore();
  expect(ids(conversation)).toBe("");
  await shows(conversation, "a b c");
  expect(peer.asked).toContain("messages 42");
});

test.each(["", "garbage", "null", "[]", "42", '"text"', '{"at":1e15}', '{"at":1e15,"offset":"x"}', '{"at":1e15,"messages":[]}'])(
  "what can't be read is loaded again: %s",
  async (garbage) => {
    const { peer, storage } = await reload(shelf());
    storage!.setItem(storage!.key(0)!, garbage);
    const conversation = open(peer, { storage }).join("42");
    await shows(conversation, "a b c");
    await connected(conversation);
  },
);

test("an offset that is kept and no longer good is loaded again", async () => {
  hurry();
  const { peer, storage } = await reload(shelf());
  peer.oldest = peer.log.position;
  const conversation = open(peer, { storage }).join("42");
  await shows(conversation, "a b c");
  await connected(conversation);
});

const refuses = () => {
  throw new DOMException("full", "QuotaExceededError");
};

test.each([
  ["full", { ...shelf(), setItem: refuses }],
  ["closed", { ...shelf(), setItem: refuses, getItem: refuses }],
  ["absent", undefined],
  ["null", null],
])("a storage that is %s costs a page of history and no more", async (_, storage) => {
  const { peer } = await reload(storage);
  const conversation = open(peer, { storage }).join("42");
  await shows(conversation, "a b c");
  await connected(conversation);
});

test("conversations of two servers are kept apart", async () => {
  const { storage } = await reload(shelf());
  const other = await startPeer();
  other.insert("42", "z");
  const conversation = open(other, { storage }).join("42");
  expect(ids(conversation)).toBe("");
  await shows(conversation, "z");
});
