// Events of the application's own, with and without a word on whose they are.

import { expect, test } from "vitest";
import { connected, hurry, open, settled, startPeer, until } from "./harness.js";

test("an event that says whose it is reaches that conversation, however many there are", async () => {
  const peer = await startPeer();
  const socket = open(peer);
  const told: unknown[] = [];
  socket.on("order:paid", (payload) => told.push(payload));
  await Promise.all([connected(socket.join("1")), connected(socket.join("2"))]);
  peer.write("2", "order:paid", { contactId: "2", sum: 3 });
  await until("it is told", () => told.length);
  expect(told).toEqual([{ contactId: "2", sum: 3 }]);
});

test("a contact id may be a number in a payload", async () => {
  const peer = await startPeer();
  const socket = open(peer, { pollConnectedMs: 10 });
  const told: unknown[] = [];
  socket.on("order:paid", (payload) => told.push(payload));
  await Promise.all([connected(socket.join("1")), connected(socket.join(2))]);
  peer.write("2", "order:paid", { contactId: 2 });
  await until("it is told", () => told.length);
  const before = peer.asked.length;
  await until("polls come", () => peer.asked.length > before + 6);
  expect(told).toHaveLength(1);
  expect(peer.handshakes).toHaveLength(1);
});

test("an event that doesn't say whose it is belongs to the only conversation", async () => {
  hurry();
  const peer = await startPeer();
  const socket = open(peer, { pollConnectedMs: 10 });
  const told: unknown[] = [];
  socket.on("order:paid", (payload) => told.push(payload));
  const conversation = socket.join("1");
  await connected(conversation);
  peer.write("1", "order:paid", { sum: 3 });
  await until("it is told", () => told.length);
  peer.drop();
  await until("the connection is lost", () => !socket.connected);
  peer.write("1", "order:paid", { sum: 4 });
  await until("it is told", () => told.length > 1);
  await connected(conversation);
  peer.silent = true;
  peer.write("1", "order:paid", { sum: 5 });
  await until("the silent socket is cut", () => peer.handshakes.length > 2);
  peer.silent = false;
  await until("it is told", () => told.length > 2);
  expect(told).toEqual([{ sum: 3 }, { sum: 4 }, { sum: 5 }]);
});

test("an event that doesn't say whose it is cuts no connection that several conversations share", async () => {
  hurry();
  const peer = await startPeer();
  const socket = open(peer, { pollConnectedMs: 10 });
  const told: unknown[] = [];
  socket.on("order:paid", (payload) => told.push(payload));
  const all = [socket.join("1"), socket.join("2")];
  await Promise.all(all.map(connected));
  peer.write("1", "order:paid", { sum: 3 });
  await until("it is told", () => told.length);
  const before = peer.asked.length;
  // Longer than a silent socket is given.
  const end = Date.now() + 200;
  await until("polls come", () => peer.asked.length > before + 12 && Date.now() > end);
  expect(peer.handshakes).toHaveLength(1);
  peer.drop();
  await until("the connection is lost", () => !socket.connected);
  await Promise.all(all.map(connected));
  await settled();
  expect(told).toEqual([{ sum: 3 }]);
});

test("an event that doesn't say whose it is is told while another conversation is not there yet", async () => {
  const peer = await startPeer();
  const history = peer.hold("messages", "1");
  const socket = open(peer);
  const told: unknown[] = [];
  socket.on("order:paid", (payload) => told.push(payload));
  socket.join("1");
  await connected(socket.join("2"));
  peer.write("2", "order:paid", { sum: 3 });
  await until("it is told", () => told.length);
  history.open();
});

test.each([null, "text", 7, ["list"]])("a payload may be anything: %j", async (payload) => {
  const peer = await startPeer();
  const socket = open(peer);
  const told: unknown[] = [];
  socket.on("anything", (payload) => told.push(payload));
  const conversation = socket.join("1");
  await connected(conversation);
  peer.write("1", "anything", payload as never);
  peer.insert("1", "a");
  await until("what follows is shown", () => conversation.state.messages.length);
  expect(told).toEqual([payload]);
});

test("what the server says of itself is told, and moves nothing", async () => {
  const peer = await startPeer();
  const socket = open(peer);
  const told: unknown[] = [];
  socket.on("rowcast:ready", ({ server }) => told.push(server));
  socket.on("rowcast:error", ({ code }) => told.push(code));
  const conversation = socket.join("1");
  await connected(conversation);
  peer.room("1").emit("rowcast:error", { code: "too_many_requests", message: "" });
  await until("both are told", () => told.length === 2);
  expect(told).toEqual(["0.0.0", "too_many_requests"]);
  expect(conversation.state).toMatchObject({ status: "connected", error: null });
});
