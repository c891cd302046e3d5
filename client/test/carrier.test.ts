// Who brings the next event: the socket or polling, and never both.

import { expect, test, vi } from "vitest";
import { connected, hurry, open, reaches, settled, shows, startPeer, told, until } from "./harness.js";

test("history is shown and events follow it", async () => {
  const peer = await startPeer();
  peer.insert("42", "a");
  const socket = open(peer);
  const heard = told(socket);
  const conversation = socket.join("42");
  expect(conversation.state).toMatchObject({ messages: [], loading: true, status: "connecting", error: null });
  await connected(conversation);
  expect(conversation.state).toMatchObject({ loading: false, more: false, error: null });
  peer.insert("42", "b");
  peer.setStatus("42", "a", "read");
  peer.update("42", "b", { body: "other" });
  peer.insert("42", "c");
  peer.remove("42", "a");
  await shows(conversation, "b c");
  expect(conversation.state.messages).toEqual(peer.log.rows("42"));
  expect(heard).toEqual(["new b", "status a", "updated b", "new c", "deleted a"]);
});

test("what is written between history and join is told once", async () => {
  const peer = await startPeer();
  peer.insert("42", "a");
  const history = peer.hold("messages");
  const join = peer.hold("join");
  const socket = open(peer);
  const heard = told(socket);
  const conversation = socket.join(42);
  await until("the history is asked for", () => history.held.length);
  await until("the socket is connected", () => socket.connected);
  peer.insert("42", "b");
  history.open();
  await until("the room is asked for", () => join.held.length);
  peer.insert("42", "c");
  join.open();
  await connected(conversation);
  peer.insert("42", "d");
  await shows(conversation, "a b c d");
  expect(heard).toEqual(["new b", "new c", "new d"]);
});

test("the socket is cut, polling goes on, the socket comes back: every event once and in order", async () => {
  const peer = await startPeer();
  const socket = open(peer);
  const heard = told(socket);
  const conversation = socket.join("42");
  await connected(conversation);
  peer.insert("42", "a");
  await shows(conversation, "a");
  peer.refusal = "unavailable";
  hurry();
  peer.drop();
  await reaches(conversation, "polling");
  peer.insert("42", "b");
  peer.setStatus("42", "a", "delivered");
  await until("polling tells", () => heard.length === 3);
  peer.refusal = undefined;
  await connected(conversation);
  peer.insert("42", "c");
  await shows(conversation, "a b c");
  expect(heard).toEqual(["new a", "new b", "status a", "new c"]);
  expect(conversation.state.messages).toEqual(peer.log.rows("42"));
});

test("a server that is gone and comes back has told everything once", async () => {
  const peer = await startPeer();
  const socket = open(peer);
  const heard = told(socket);
  const conversation = socket.join("42");
  await connected(conversation);
  await peer.vanish();
  await reaches(conversation, "offline");
  expect(conversation.state.error).toBe("unreachable");
  peer.log.append("42", "message:new", { message: peer.log.row("42", "a"), contactId: "42" });
  await peer.listen();
  await connected(conversation);
  peer.insert("42", "b");
  await shows(conversation, "a b");
  expect(heard).toEqual(["new a", "new b"]);
  expect(conversation.state.error).toBeNull();
});

test("a poll's answer that is late is dropped once the socket is back", async () => {
  const peer = await startPeer();
  const socket = open(peer);
  const heard = told(socket);
  const conversation = socket.join("42");
  await connected(conversation);
  const polls = peer.hold("events");
  const join = peer.hold("join");
  const back = peer.hold("connect");
  peer.drop();
  await until("the connection is lost", () => !socket.connected);
  expect(conversation.state.status).toBe("connecting");
  await until("the poll is there", () => polls.held.length);
  back.open();
  await until("the socket is back", () => join.held.length);
  peer.insert("42", "a");
  join.open();
  await shows(conversation, "a");
  polls.open();
  peer.insert("42", "b");
  await shows(conversation, "a b");
  expect(heard).toEqual(["new a", "new b"]);
});

test("events of a room before its join is answered are those that it missed", async () => {
  const peer = await startPeer();
  const socket = open(peer);
  const heard = told(socket);
  const conversation = socket.join("42");
  await connected(conversation);
  peer.drop();
  await until("the connection is lost", () => !socket.connected);
  const answer = peer.hold("joined");
  peer.log.append("42", "message:new", { message: peer.log.row("42", "a"), contactId: "42" });
  await until("the room is entered", () => answer.held.length);
  peer.insert("42", "b");
  await shows(conversation, "a b");
  expect(conversation.state.status).not.toBe("connected");
  answer.open();
  await connected(conversation);
  expect(heard).toEqual(["new a", "new b"]);
});

test("polling that brings many events takes page after page", async () => {
  const peer = await startPeer();
  peer.refusal = "unavailable";
  peer.log.pageOfEvents = 2;
  const socket = open(peer);
  const heard = told(socket);
  const conversation = socket.join("42");
  await reaches(conversation, "polling");
  for (const id of ["a", "b", "c", "d", "e"]) peer.insert("42", id);
  await shows(conversation, "a b c d e");
  expect(heard).toEqual(["new a", "new b", "new c", "new d", "new e"]);
});

test("polls come every 30 seconds while connected and every 5 while not", async () => {
  const peer = await startPeer();
  const waits = vi.spyOn(globalThis, "setTimeout");
  const socket = open(peer, { pollConnectedMs: undefined, pollDisconnectedMs: undefined });
  const conversation = socket.join("42");
  await connected(conversation);
  await settled();
  expect(waits.mock.calls.map(([, ms]) => ms)).toContain(30_000);
  waits.mockClear();
  peer.drop();
  await until("the connection is lost", () => !socket.connected);
  expect(waits.mock.calls.map(([, ms]) => ms)).toContain(5_000);
  waits.mockRestore();
});
