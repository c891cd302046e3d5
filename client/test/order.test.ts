// Messages stand where the server's `order` puts them, live as after a reload.

import { expect, test } from "vitest";
import type { Message } from "../src/index.js";
import { connected, hurry, ids, open, shows, startPeer, until } from "./harness.js";
import type { Peer } from "./peer.js";

const at = (minute: number) => `2026-01-01T00:${String(minute).padStart(2, "0")}:00Z`;

async function shown(options = {}) {
  const peer = await startPeer();
  peer.log.order = "createdAt";
  for (const [minute, id] of ["a", "b", "c"].entries()) peer.insert("42", id, { createdAt: at(minute * 10) });
  const socket = open(peer, options);
  const conversation = socket.join("42");
  await connected(conversation);
  return { peer, socket, conversation };
}

const insertAt = (peer: Peer, id: string, minute: number, more: Record<string, unknown> = {}) =>
  peer.write("42", "message:new", { message: peer.log.row("42", id, { createdAt: at(minute) }), contactId: "42", ...more });

test("a late message goes where it belongs, and the state says that it came above until it was seen", async () => {
  const { peer, conversation } = await shown();
  insertAt(peer, "late", 5);
  await shows(conversation, "a late b c");
  expect(conversation.state.earlier).toEqual(["late"]);
  insertAt(peer, "d", 30);
  insertAt(peer, "later", 15);
  await shows(conversation, "a late b later c d");
  expect(conversation.state.earlier).toEqual(["late", "later"]);
  peer.remove("42", "late");
  await shows(conversation, "a b later c d");
  expect(conversation.state.earlier).toEqual(["later"]);
  conversation.seeEarlier();
  expect(conversation.state.earlier).toEqual([]);
  peer.insert("42", "e", { createdAt: at(40) });
  await shows(conversation, "a b later c d e");
  expect(conversation.state.earlier).toEqual([]);
});

test("rows that moved here are not new: they go where they belong, and nobody is told of earlier ones", async () => {
  const { peer, socket, conversation } = await shown();
  const rung: string[] = [];
  socket.on("message:new", ({ message, moved }) => !moved && rung.push(message.id));
  insertAt(peer, "moved", 5, { moved: true });
  insertAt(peer, "late", 6);
  await shows(conversation, "a moved late b c");
  expect([conversation.state.earlier, rung]).toEqual([["late"], ["late"]]);
});

test("a late message among messages that polling brings is told of as well, and one of the older pages is not", async () => {
  const { peer, conversation } = await shown({ limit: 2 });
  expect(ids(conversation)).toBe("b c");
  peer.joinRefusal = "unavailable";
  peer.drop();
  await until("the connection is lost", () => conversation.state.status !== "connected");
  insertAt(peer, "older", 5);
  insertAt(peer, "late", 15);
  await shows(conversation, "b late c");
  expect(conversation.state.earlier).toEqual(["late"]);
  await conversation.loadOlder();
  expect(ids(conversation)).toBe("a older b late c");
});

test("messages that are changed to another time move, and are no earlier ones", async () => {
  const { peer, conversation } = await shown();
  peer.update("42", "c", { createdAt: at(5) });
  await shows(conversation, "a c b");
  expect(conversation.state.earlier).toEqual([]);
});

test("nothing of a conversation that is forbidden stays, how many came above neither", async () => {
  const { peer, conversation } = await shown();
  insertAt(peer, "late", 5);
  await until("it is there", () => conversation.state.earlier.length);
  peer.putOut("42", "forbidden");
  await until("it is gone", () => conversation.state.error === "forbidden");
  expect(conversation.state).toMatchObject({ messages: [], earlier: [] });
});

test("rows are known by the server's key, whatever it is called", async () => {
  const peer = await startPeer();
  Object.assign(peer.log, { order: "createdAt", key: "externalId" });
  const keyed = (id: string, key: string, minute: number) => peer.insert("42", id, { externalId: key, createdAt: at(minute) });
  for (const [n, key] of ["k1", "k2", "k3"].entries()) keyed("same", key, 10 * (n + 1));
  const conversation = open(peer, { limit: 2 }).join("42");
  await connected(conversation);
  const keys = () => conversation.state.messages.map(({ externalId }) => externalId).join(" ");
  expect(keys()).toBe("k2 k3");
  await conversation.loadOlder();
  expect(keys()).toBe("k1 k2 k3");
  keyed("same", "late", 15);
  peer.write("42", "message:status", { messageId: "k2", status: "read", contactId: "42" });
  peer.write("42", "message:deleted", { messageId: "k1", contactId: "42" });
  await until("all is applied", () => keys() === "late k2 k3");
  expect(conversation.state).toMatchObject({ earlier: ["late"], messages: [{}, { status: "read" }, { status: "sent" }] });
});

test("whatever comes in whatever order, live is what a reload shows", async () => {
  hurry();
  const { peer, conversation } = await shown({ pollDisconnectedMs: 15 });
  let seed = 7;
  const below = (n: number) => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) && (seed >>> 8) % n;
  for (let n = 0; n < 250; n++) {
    const known = peer.log.rows("42")[below(peer.log.rows("42").length)]!;
    const what = below(8);
    if (what < 4) insertAt(peer, `m${n}`, below(60), below(4) ? {} : { moved: true });
    else if (what === 4) peer.update("42", known.id, { body: `${n}`, createdAt: at(below(60)) } as Partial<Message>);
    else if (what === 5) peer.setStatus("42", known.id, "read");
    else if (what === 6 && peer.log.rows("42").length > 5) peer.remove("42", known.id);
    else if (!below(10)) peer.drop();
    if (!below(3)) await new Promise(setImmediate);
  }
  insertAt(peer, "last", 59);
  await until("the last one is there", () => conversation.state.messages.some(({ id }) => id === "last"));
  await connected(conversation);
  const live = conversation.state.messages;
  const reloaded = open(peer, { limit: 200 }).join("42");
  await connected(reloaded);
  // Messages of one minute have no order that a client could know: they are compared by their minute.
  const sorted = (messages: readonly Message[]) => messages.map(({ id, createdAt, body, status }) => `${createdAt} ${id} ${body} ${status}`).sort();
  expect(sorted(live)).toEqual(sorted(reloaded.state.messages));
  expect(live.map(({ createdAt }) => createdAt)).toEqual(reloaded.state.messages.map(({ createdAt }) => createdAt));
});
