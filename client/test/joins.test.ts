// Rooms: refused, unanswered, left and entered again.

import { expect, test } from "vitest";
import type { Conversation } from "../src/index.js";
import { connected, hurry, ids, open, reaches, relax, shelf, shows, startPeer, told, until } from "./harness.js";

test.each(["too_many_rooms", "unavailable"])("a join that is refused with %s polls on and tries again", async (code) => {
  const peer = await startPeer();
  peer.joinRefusal = code;
  const socket = open(peer);
  const heard = told(socket);
  const conversation = socket.join("42");
  await reaches(conversation, "polling");
  expect(conversation.state.error).toBe(code);
  peer.insert("42", "a");
  await shows(conversation, "a");
  peer.joinRefusal = undefined;
  await connected(conversation);
  expect(conversation.state.error).toBeNull();
  peer.insert("42", "b");
  await shows(conversation, "a b");
  expect(heard).toEqual(["new a", "new b"]);
});

test("a connection that is lost changes nothing for who only polls", async () => {
  const peer = await startPeer();
  peer.joinRefusal = "too_many_rooms";
  const socket = open(peer, { pollDisconnectedMs: 60_000 });
  const conversation = socket.join("42");
  await reaches(conversation, "polling");
  await until("it is refused", () => conversation.state.error);
  const seen = new Set<string>();
  const off = conversation.subscribe(() => seen.add(conversation.state.status));
  peer.insert("42", "a");
  peer.drop();
  await shows(conversation, "a");
  expect([...seen]).toEqual(["polling"]);
  off();
  conversation.leave();
  peer.joinRefusal = undefined;
  await connected(socket.join("43"));
  expect([...seen]).toEqual(["polling"]);
  expect(peer.asked).not.toContain("leave 42");
});

test("a connection that is lost in the middle of a join is joined again at once when it is back", async () => {
  const peer = await startPeer();
  const join = peer.hold("joined");
  const socket = open(peer, { pollDisconnectedMs: 60_000 });
  const conversation = socket.join("42");
  await until("the room is asked for", () => join.held.length);
  peer.drop();
  await until("the connection is lost", () => !socket.connected);
  join.open();
  await connected(conversation);
});

test("a join that is never answered cuts the connection and nothing is missed", async () => {
  const peer = await startPeer();
  const join = peer.hold("joined");
  hurry(true);
  const socket = open(peer);
  const heard = told(socket);
  const conversation = socket.join("42");
  await until("the room is asked for", () => join.held.length);
  peer.insert("42", "a");
  await until("the connection is given up", () => peer.handshakes.length > 1);
  relax();
  join.open();
  await connected(conversation);
  peer.insert("42", "b");
  await shows(conversation, "a b");
  expect(heard).toEqual(["new a", "new b"]);
});

test("a conversation that is left and joined at once starts anew and doubles nothing", async () => {
  const peer = await startPeer();
  peer.insert("42", "a");
  const socket = open(peer);
  const heard = told(socket);
  const first = socket.join("42");
  await connected(first);
  const leaves = peer.hold("leave");
  const history = peer.hold("messages");
  const marks: unknown[] = [];
  socket.on("rowcast:error", (mark) => marks.push(mark));
  first.leave();
  await until("the room is left", () => leaves.held.length);
  const second = socket.join("42");
  expect(second).not.toBe(first);
  await until("the history is asked for", () => history.held.length);
  // The server has not handled the leave: these still come, for nobody.
  for (const id of ["b", "c"]) {
    marks.length = 0;
    peer.insert("42", id);
    peer.room("42").emit("rowcast:error", { code: "mark", message: "" });
    await until("it has come", () => marks.length);
    history.open();
    await shows(second, "a");
  }
  leaves.open();
  await connected(second);
  peer.insert("42", "d");
  await shows(second, "a b c d");
  expect(heard).toEqual(["new b", "new c", "new d"]);
  expect(ids(first)).toBe("a");
});

test("whoever leaves and joins in one breath has not left", async () => {
  const peer = await startPeer();
  const socket = open(peer);
  const conversation = socket.join("42");
  conversation.leave();
  expect(socket.join("42")).toBe(conversation);
  await connected(conversation);
  conversation.leave();
  socket.join(42);
  await socket.io!.timeout(5_000).emitWithAck("leave:conversation", "43");
  expect(peer.asked.filter((what) => /join|leave/.test(what))).toEqual(["join 42", "leave 43"]);
});

test("a conversation is left when as many have left as had joined", async () => {
  const peer = await startPeer();
  const socket = open(peer);
  const heard = told(socket);
  const conversation = socket.join("42");
  expect(socket.join(42)).toBe(conversation);
  await connected(conversation);
  conversation.leave();
  await socket.io!.timeout(5_000).emitWithAck("leave:conversation", "43");
  peer.insert("42", "a");
  await shows(conversation, "a");
  conversation.leave();
  await until("the room is left", () => peer.members("42") === 0);
  peer.insert("42", "b");
  expect(socket.join("42")).not.toBe(conversation);
  expect(heard).toEqual(["new a"]);
});

test("one leave too many leaves the room all the same", async () => {
  const peer = await startPeer();
  const socket = open(peer);
  const conversation = socket.join("42");
  await connected(conversation);
  conversation.leave();
  conversation.leave();
  await until("the room is left", () => peer.members("42") === 0);
  socket.leave("unknown");
});

test("a second conversation that is joined while the server considers the handshake opens no second session", async () => {
  const peer = await startPeer();
  const handshake = peer.hold("connect");
  const socket = open(peer);
  const first = socket.join("1");
  await until("the handshake is there", () => handshake.held.length);
  const second = socket.join("2");
  socket.connect();
  await shows(second, "");
  handshake.open();
  await connected(first);
  await connected(second);
  expect(peer.handshakes).toHaveLength(1);
});

test("switching quickly among twenty conversations leaves one room joined, and all of them exact", async () => {
  const peer = await startPeer();
  const socket = open(peer, { storage: shelf() });
  const heard = told(socket);
  const names = Array.from({ length: 20 }, (_, index) => `c${index}`);
  let last: Conversation | undefined;
  for (let round = 0; round < 3; round++) {
    for (const name of names) {
      const next = socket.join(name);
      last?.leave();
      last = next;
      peer.insert(name, `${name}-${round}`);
      // Some are left before anything came, some in the middle of it, some when they are there.
      if (round) await until("something is asked", () => peer.asked.some((what) => what.endsWith(` ${name}`)));
      if (round === 2) await connected(next);
    }
  }
  await connected(last!);
  await until("one room is joined", () => names.filter((name) => peer.members(name)).join() === "c19");
  for (const name of names) {
    const conversation = socket.join(name);
    await shows(conversation, `${name}-0 ${name}-1 ${name}-2`);
    if (name !== "c19") conversation.leave();
  }
  expect(new Set(heard).size).toBe(heard.length);
});

test("two pages in one conversation see the same, and each other type", async () => {
  const peer = await startPeer();
  const [one, two] = [open(peer).join("42"), open(peer).join("42")];
  await Promise.all([connected(one), connected(two)]);
  peer.insert("42", "a");
  await Promise.all([shows(one, "a"), shows(two, "a")]);
  one.startTyping();
  await until("the other sees it", () => two.state.typing);
  expect(one.state.typing).toBe(false);
  one.stopTyping();
  await until("the other sees its end", () => !two.state.typing);
});

test("a connection that the server ends is opened again", async () => {
  hurry();
  const peer = await startPeer();
  const socket = open(peer);
  const heard = told(socket);
  const conversation = socket.join("42");
  await connected(conversation);
  peer.sockets[0]!.disconnect(true);
  await until("it is back", () => peer.handshakes.length > 1);
  await connected(conversation);
  peer.insert("42", "a");
  await shows(conversation, "a");
  expect(heard).toEqual(["new a"]);
});

test("a contact id may be anything that a URL can carry", async () => {
  const peer = await startPeer();
  const socket = open(peer);
  for (const id of ["a/b", "ñ ü", "50%", "?x=1&y", "+34 600"]) {
    peer.insert(id, "a");
    const conversation = socket.join(id);
    await connected(conversation);
    peer.insert(id, "b");
    await shows(conversation, "a b");
  }
});
