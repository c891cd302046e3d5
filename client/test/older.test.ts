// Older messages, while newer events are on their way.

import { expect, test } from "vitest";
import { connected, hurry, ids, open, shows, startPeer, until } from "./harness.js";
import type { Peer } from "./peer.js";

async function shown(limit = 2, options = {}) {
  const peer = await startPeer();
  for (const id of ["a", "b", "c", "d", "e"]) peer.insert("42", id);
  const socket = open(peer, { limit, ...options });
  const conversation = socket.join("42");
  await connected(conversation);
  return { peer, socket, conversation };
}

const pages = (peer: Peer) => peer.asked.filter((what) => what === "messages 42").length;

test("older messages are loaded a page at a time until there are none", async () => {
  const { peer, conversation } = await shown();
  expect(ids(conversation)).toBe("d e");
  expect(conversation.state.more).toBe(true);
  await conversation.loadOlder();
  expect(ids(conversation)).toBe("b c d e");
  await conversation.loadOlder();
  expect(ids(conversation)).toBe("a b c d e");
  expect(conversation.state.more).toBe(false);
  await conversation.loadOlder();
  expect(pages(peer)).toBe(3);
});

test("fifty messages are loaded where nothing else is said", async () => {
  const peer = await startPeer();
  for (let n = 0; n < 60; n++) peer.insert("42", `m${n}`);
  const conversation = open(peer).join("42");
  await connected(conversation);
  expect(conversation.state.messages).toHaveLength(50);
});

test("older messages that are asked for twice at a time are loaded once", async () => {
  const { peer, conversation } = await shown();
  await Promise.all([conversation.loadOlder(), conversation.loadOlder()]);
  expect(ids(conversation)).toBe("b c d e");
  expect(pages(peer)).toBe(2);
});

test("what changes while older messages are on their way is in them", async () => {
  const { peer, conversation } = await shown(3);
  const page = peer.hold("messages");
  const loading = conversation.loadOlder();
  await until("the page is asked for", () => page.held.length);
  peer.setStatus("42", "a", "read");
  peer.update("42", "b", { body: "other" });
  peer.insert("42", "f");
  peer.remove("42", "a");
  peer.insert("42", "g");
  await shows(conversation, "c d e f g");
  page.open();
  await loading;
  expect(conversation.state.messages).toEqual(peer.log.rows("42"));
});

test("the first message's removal while older ones are on their way loses none", async () => {
  const { peer, conversation } = await shown();
  const page = peer.hold("messages");
  const loading = conversation.loadOlder();
  await until("the page is asked for", () => page.held.length);
  peer.remove("42", "d");
  await shows(conversation, "e");
  page.open();
  await loading;
  expect(ids(conversation)).toBe("b c e");
});

test("a message that came by an event and is in the older page is shown once", async () => {
  const { peer, conversation } = await shown();
  // Committed late: it belongs before "d".
  peer.write("42", "message:new", { message: peer.log.row("42", "b", { body: "late" }), contactId: "42" });
  await shows(conversation, "d e b");
  await conversation.loadOlder();
  expect(ids(conversation)).toBe("c d e b");
});

test.each([false, true])("older messages that arrive after a resync are dropped (or fail: %s)", async (fails) => {
  hurry();
  const { peer, conversation } = await shown();
  const page = peer.hold("messages");
  if (fails) peer.failures.set("messages", { status: 503, code: "unavailable" });
  const loading = conversation.loadOlder();
  await until("the page is asked for", () => page.held.length);
  // "b" goes away, and nobody is told.
  peer.log.append("42", "message:deleted", { messageId: "b", contactId: "42" });
  peer.oldest = peer.log.position;
  const [release] = page.held.splice(0);
  peer.failures.clear();
  peer.room("42").emit("rowcast:resync", { contactId: "42", reason: "test" });
  await until("the history is asked for", () => page.held.length);
  page.open();
  await connected(conversation);
  const next = peer.hold("messages");
  const again = conversation.loadOlder();
  await until("a page is asked for", () => next.held.length);
  release!();
  await loading;
  expect(ids(conversation)).toBe("d e");
  next.open();
  await again;
  expect(ids(conversation)).toBe("a c d e");
});

test("older messages that can't be loaded say why and can be asked for again", async () => {
  const { peer, conversation } = await shown();
  peer.failures.set("messages", { status: 503, code: "unavailable" });
  await conversation.loadOlder();
  expect(conversation.state).toMatchObject({ error: "unavailable", more: true, status: "connected" });
  peer.failures.clear();
  await conversation.loadOlder();
  expect(ids(conversation)).toBe("b c d e");
});

test("older messages that arrive after close are nobody's", async () => {
  const { peer, socket, conversation } = await shown();
  const page = peer.hold("messages");
  const loading = conversation.loadOlder();
  await until("the page is asked for", () => page.held.length);
  socket.close();
  let isOver = false;
  void loading.then(() => (isOver = true));
  await until("it is given up", () => isOver, 5_000);
  expect(ids(conversation)).toBe("d e");
});

test("rows that were too large come as their ids and the word truncated", async () => {
  const { peer, conversation } = await shown();
  peer.write("42", "message:new", { message: { id: "f", contactId: "42" }, contactId: "42", truncated: true });
  await shows(conversation, "d e f");
  expect(conversation.state.messages.at(-1)).toEqual({ id: "f", contactId: "42", truncated: true });
  peer.write("42", "message:updated", { message: { id: "e", contactId: "42" }, contactId: "42", truncated: true });
  await until("the change is shown", () => conversation.state.messages[1]?.truncated);
  peer.update("42", "f", { body: "short" });
  await until("the row is whole", () => conversation.state.messages.at(-1)?.body === "short");
});
