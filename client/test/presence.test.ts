// Who is there, and who types.

import { expect, onTestFinished, test } from "vitest";
import { presenceOf, type Presence } from "../src/presence.js";
import { connected, open, settled, shelf, startPeer, until } from "./harness.js";

const names = (presence: Presence<never> | ReturnType<typeof presenceOf>) => presence.state.members.map(({ subject }) => subject).join(" ");
const shows = (presence: ReturnType<typeof presenceOf>, wanted: string) =>
  until(`"${wanted}" are there`, () => names(presence) === wanted).catch((error: Error) => {
    throw new Error(`${error.message}, but "${names(presence)}"`);
  });

async function room() {
  const peer = await startPeer();
  peer.setPresent("42", "ana", true);
  const socket = open(peer);
  return { peer, socket, conversation: socket.join("42") };
}

test("the join asks who is there, and events say who comes and goes", async () => {
  const { peer, conversation } = await room();
  const presence = presenceOf(conversation);
  expect(presenceOf(conversation)).toBe(presence);
  let told = 0;
  onTestFinished(presence.subscribe(() => told++));
  await connected(conversation);
  await shows(presence, "ana");
  expect(presence.state.members).toEqual([{ subject: "ana", since: "2026-01-01T00:00:00Z" }]);
  peer.setPresent("42", "ben", true);
  await shows(presence, "ana ben");
  peer.setPresent("42", "ana", false);
  await shows(presence, "ben");
  // Somebody who is there already, and somebody else's room.
  peer.setPresent("42", "ben", true);
  peer.room("42").emit("presence:join", { room: "conversation:43", subject: "eve", since: "" });
  peer.insert("42", "fence");
  await until("all is handled", () => conversation.state.messages.length);
  expect([names(presence), presence.state.count, told]).toEqual(["ben", 1, 4]);
  expect(peer.asked).toEqual(["messages 42", "join 42"]);
  expect(peer.presenceAsks).toBe(1);
});

test("of a crowd there is the number, and the first of them", async () => {
  const { peer, conversation } = await room();
  peer.unlisted = 700;
  const presence = presenceOf(conversation);
  onTestFinished(presence.subscribe(() => {}));
  await until("they are counted", () => presence.state.count === 701);
  expect(names(presence)).toBe("ana");
  peer.setPresent("42", "ana", false);
  await until("one is gone", () => presence.state.count === 700);
});

test("who subscribes later asks then, once; a page that shows nobody asks for nothing", async () => {
  const { peer, conversation } = await room();
  await connected(conversation);
  expect(peer.presenceAsks).toBe(0);
  const presence = presenceOf(conversation);
  const offs = [presence.subscribe(() => {}), presence.subscribe(() => {})];
  await shows(presence, "ana");
  expect([peer.presenceAsks, peer.asked.filter((what) => what === "join 42").length]).toEqual([1, 2]);
  offs[0]!();
  peer.setPresent("42", "ben", true);
  await shows(presence, "ana ben");
  // As React's strict mode does.
  offs[1]!();
  offs[1] = presence.subscribe(() => {});
  await settled();
  expect([names(presence), peer.presenceAsks]).toEqual(["ana ben", 1]);
  offs[1]!();
  await settled();
  expect(names(presence)).toBe("");
  peer.drop();
  await until("it has joined again", () => peer.asked.filter((what) => what === "join 42").length === 3);
  await connected(conversation);
  expect(peer.presenceAsks).toBe(1);
});

test("after the connection was lost the list is the server's, and stands still meanwhile", async () => {
  const { peer, conversation } = await room();
  const presence = presenceOf(conversation);
  const seen = new Set<string>();
  onTestFinished(presence.subscribe(() => seen.add(names(presence))));
  await shows(presence, "ana");
  await peer.vanish();
  await until("it is lost", () => conversation.state.status !== "connected");
  peer.present.set("42", [{ subject: "ben", since: "" }, { subject: "eve", since: "" }]);
  await peer.listen();
  await shows(presence, "ben eve");
  expect([...seen]).toEqual(["ana", "ben eve"]);
});

test("a join that was on its way without the question is followed by another", async () => {
  const { peer, conversation } = await room();
  const join = peer.hold("joined");
  await until("it joins", () => join.held.length);
  const presence = presenceOf(conversation);
  onTestFinished(presence.subscribe(() => {}));
  await settled();
  expect(peer.presenceAsks).toBe(0);
  join.open();
  await shows(presence, "ana");
});

test("a conversation that is opened again, with what was kept of it, asks with its join", async () => {
  const peer = await startPeer();
  peer.setPresent("42", "ana", true);
  const storage = shelf();
  const socket = open(peer, { storage });
  await connected(socket.join("42"));
  socket.leave("42");
  await until("it is kept", () => storage.length);
  const again = presenceOf(socket.join("42"));
  onTestFinished(again.subscribe(() => {}));
  await shows(again, "ana");
  // Longer than it waits for a list that is late.
  await new Promise((done) => setTimeout(done, 1_100));
  expect([peer.presenceAsks, peer.asked.filter((what) => what === "join 42").length]).toEqual([1, 2]);
});

test("a room of another kind has its own", async () => {
  const { peer, socket } = await room();
  peer.setPresent("inbox:7", "ben", true);
  const presence = presenceOf(socket.joinRoom("inbox:7"));
  onTestFinished(presence.subscribe(() => {}));
  await shows(presence, "ben");
});

test("who types is said where the server knows a name, until it is over", async () => {
  const { peer, conversation } = await room();
  const presence = presenceOf(conversation);
  onTestFinished(presence.subscribe(() => {}));
  await connected(conversation);
  const types = async (subject: string | undefined) => {
    peer.room("42").emit("typing:start", { contactId: "42", subject });
    await until(`${subject} types`, () => conversation.state.typing && presence.state.typist === (subject ?? null));
  };
  await types("ana");
  await types("ben");
  peer.room("42").emit("typing:stop", { contactId: "42" });
  await until("it is over", () => !conversation.state.typing);
  expect(presence.state.typist).toBe(null);
  await types("ana");
  await types(undefined);
  await types("ana");
  peer.drop();
  await until("nothing is known", () => presence.state.typist === null);
  await connected(conversation);
  peer.room("42").emit("typing:start", { contactId: "43", subject: "eve" });
  await shows(presence, "ana");
  expect(presence.state.typist).toBe(null);
});
