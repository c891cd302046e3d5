// Polling beside the socket: it looks whether everything is brought, and changes nothing.

import { expect, test, vi } from "vitest";
import { connected, hurry, ids, open, reaches, shows, startPeer, told, until } from "./harness.js";

test("a socket that is silent while polling sees events is cut, and nothing is missed", async () => {
  hurry();
  const peer = await startPeer();
  const socket = open(peer, { pollConnectedMs: 20 });
  const heard = told(socket);
  const conversation = socket.join("42");
  await connected(conversation);
  peer.silent = true;
  peer.insert("42", "a");
  peer.insert("42", "b");
  await until("it is cut", () => peer.handshakes.length > 1);
  peer.silent = false;
  await connected(conversation);
  peer.insert("42", "c");
  await shows(conversation, "a b c");
  expect(heard).toEqual(["new a", "new b", "new c"]);
});

test("what a silent socket has not brought is polled at once", async () => {
  hurry();
  const peer = await startPeer();
  const conversation = open(peer, { pollConnectedMs: 20, pollDisconnectedMs: 600_000 }).join("42");
  await connected(conversation);
  peer.silent = peer.blocked = true;
  peer.insert("42", "a");
  await shows(conversation, "a");
  expect(conversation.state.status).toBe("polling");
});

test("a socket that owes an event is looked at again after two seconds", async () => {
  const peer = await startPeer();
  const conversation = open(peer, { pollConnectedMs: 20 }).join("42");
  await connected(conversation);
  const waits = vi.spyOn(globalThis, "setTimeout");
  peer.silent = true;
  peer.insert("42", "a");
  await until("it waits", () => waits.mock.calls.some(([, ms]) => ms === 2_000));
  waits.mockRestore();
});

test("a socket that brings an event a little later than polling is not cut", async () => {
  const peer = await startPeer();
  const socket = open(peer, { pollConnectedMs: 20 });
  const heard = told(socket);
  const conversation = socket.join("42");
  await connected(conversation);
  const late = peer.hold("live");
  peer.insert("42", "a");
  const before = peer.asked.length;
  await until("polling has seen it", () => peer.asked.length > before);
  late.open();
  await shows(conversation, "a");
  const after = peer.asked.length;
  await until("polling has seen that", () => peer.asked.length > after + 1);
  // No longer every two seconds.
  await until("polling goes on", () => peer.asked.length > after + 6, 3_000);
  expect(peer.handshakes).toHaveLength(1);
  expect(heard).toEqual(["new a"]);
});

test.each([undefined, "too_many_rooms"])("a conversation where nothing happens stays within the retention (refused: %s)", async (refusal) => {
  const peer = await startPeer();
  peer.joinRefusal = refusal;
  const conversation = open(peer, { pollConnectedMs: 10, pollDisconnectedMs: 10 }).join("42");
  await reaches(conversation, refusal ? "polling" : "connected");
  for (let n = 0; n < 3; n++) {
    peer.insert("43", `m${n}`);
    const before = peer.asked.length;
    // The first may have been on its way.
    await until("polling has gone on", () => peer.asked.slice(before).filter((what) => what === "events 42").length > 2);
    peer.oldest = peer.log.position;
  }
  expect(peer.asked.filter((what) => what === "messages 42")).toHaveLength(1);
});

test("an answer over HTTP is waited for ten seconds", async () => {
  const peer = await startPeer();
  const timers = vi.spyOn(globalThis, "setTimeout");
  const history = peer.hold("messages");
  const conversation = open(peer).join("42");
  await until("the history is asked for", () => history.held.length);
  const [[giveUp], ...others] = timers.mock.calls.filter(([, ms]) => ms === 10_000) as [[() => void], ...unknown[]];
  timers.mockRestore();
  expect(others).toEqual([]);
  giveUp();
  await reaches(conversation, "offline");
  expect(conversation.state.error).toBe("unreachable");
  history.open();
  await connected(conversation);
});

test("a poll that fails beside the socket fails for nobody", async () => {
  const peer = await startPeer();
  const socket = open(peer, { pollConnectedMs: 10 });
  const conversation = socket.join("42");
  await connected(conversation);
  const seen = new Set<string>();
  conversation.subscribe(() => seen.add(`${conversation.state.status} ${conversation.state.error}`));
  peer.failures.set("events", { status: 503, code: "unavailable" });
  const before = peer.asked.length;
  await until("polls fail", () => peer.asked.length > before + 3);
  peer.insert("42", "a");
  await shows(conversation, "a");
  expect([...seen]).toEqual(["connected null"]);
});

test("a poll's answer that is older than what the socket has brought moves nothing", async () => {
  const peer = await startPeer();
  const socket = open(peer, { pollConnectedMs: 10 });
  const heard = told(socket);
  const conversation = socket.join("42");
  await connected(conversation);
  const poll = peer.hold("events");
  await until("a poll is there", () => poll.held.length);
  peer.insert("42", "a");
  await shows(conversation, "a");
  const before = peer.asked.length;
  poll.open();
  await until("its answer has come", () => peer.asked.length > before);
  peer.drop();
  await until("the connection is lost", () => !socket.connected);
  await connected(conversation);
  peer.insert("42", "b");
  await shows(conversation, "a b");
  expect(heard).toEqual(["new a", "new b"]);
});

test("a conversation that is unchanged stays the same object", async () => {
  const peer = await startPeer();
  peer.insert("42", "a");
  const socket = open(peer, { pollConnectedMs: 10 });
  const conversation = socket.join("42");
  await connected(conversation);
  const { state } = conversation;
  const before = peer.asked.length;
  await until("polls come", () => peer.asked.length > before + 3);
  peer.setStatus("42", "unknown", "read");
  peer.insert("43", "b");
  const after = peer.asked.length;
  await until("polls come", () => peer.asked.length > after + 3);
  expect(conversation.state).toEqual({ ...state, lastEventAt: expect.any(Number) });
  expect(conversation.state.messages).toBe(state.messages);
});
