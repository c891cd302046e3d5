// Many rooms on one page, and rooms of other kinds than conversations.

import { expect, onTestFinished, test, vi } from "vitest";
import { connected, ids, open, shows, startPeer, told, until } from "./harness.js";

/** Everybody's clock runs ten times as fast. */
function race(): void {
  const [now, wait] = [performance.now.bind(performance), setTimeout];
  vi.spyOn(performance, "now").mockImplementation(() => now() * 10);
  vi.stubGlobal("setTimeout", (go: () => void, ms = 0, ...rest: []) => wait(go, ms / 10, ...rest));
  onTestFinished(() => void (vi.unstubAllGlobals(), vi.restoreAllMocks()));
}

test("two hundred conversations are joined under the server's rate, and again after a cut", async () => {
  const peer = await startPeer();
  peer.rate = 50;
  race();
  // Whoever is refused polls on for a minute.
  const socket = open(peer, { pollDisconnectedMs: 60_000 });
  const all = Array.from({ length: 200 }, (_, n) => socket.join(n));
  const seen = new Set<string>();
  for (const each of all) each.subscribe(() => seen.add(`${each.state.status} ${each.state.error}`));
  const areConnected = () => all.every(({ state }) => state.status === "connected");
  await until("all are connected", areConnected, 100_000);
  expect(peer.asked.filter((what) => what.startsWith("events"))).toEqual([]);
  peer.drop();
  await until("all have noticed", () => !all.some(({ state }) => state.status === "connected"), 100_000);
  peer.insert("0", "a");
  peer.insert("199", "b");
  await until("all are connected again", areConnected, 100_000);
  expect([...seen].sort()).toEqual(["connected null", "connecting null"]);
  expect(ids(all[0]!) + ids(all[199]!)).toBe("ab");
  // Rooms are left as slowly, and others joined as soon as they are.
  all.forEach((each) => each.leave());
  const next = socket.join("next");
  await until("it is connected", () => next.state.status === "connected", 100_000);
  expect(all.filter(({ contactId }) => peer.members(contactId))).toEqual([]);
});

test("a join that comes when there are too many waits for a second, and then polls", async () => {
  const peer = await startPeer();
  peer.rate = 1;
  race();
  const socket = open(peer);
  const [first, second] = [socket.join("1"), socket.join("2")];
  await Promise.all([first, second].map((each) => until("it is connected", () => each.state.status === "connected", 100_000)));
  expect(peer.asked).not.toContain("events 2");
  first.leave();
  second.leave();
  await until("both are left", () => !peer.members("1") && !peer.members("2"), 100_000);
  peer.joinRefusal = "too_many_requests";
  const third = socket.join("3");
  await until("it polls", () => third.state.status === "polling", 100_000);
  expect(third.state.error).toBe("too_many_requests");
  expect(peer.asked.filter((what) => what === "join 3").length).toBeGreaterThan(3);
});

test("a conversation that is left while it waits for its turn asks for nothing", async () => {
  const peer = await startPeer();
  const socket = open(peer);
  const all = Array.from({ length: 30 }, (_, n) => socket.join(n));
  await connected(all[0]!);
  // On a slow machine the next turn may have come.
  const asked = new Set(peer.asked);
  all.slice(20).forEach((each) => each.leave());
  const last = socket.join("last");
  await connected(last);
  expect(peer.asked.filter((what) => /^join 2\d$/.test(what) && !asked.has(what))).toEqual([]);
});

test("a room of any kind is joined by its whole name, and read and left by it", async () => {
  const peer = await startPeer();
  peer.insert("inbox:7", "a");
  const socket = open(peer);
  const heard = told(socket);
  const inbox = socket.joinRoom("inbox:7");
  expect([inbox.room, inbox.contactId]).toEqual(["inbox:7", "7"]);
  await connected(inbox);
  peer.insert("inbox:7", "b");
  await shows(inbox, "a b");
  expect(heard).toEqual(["new b"]);
  // Nobody types there.
  inbox.startTyping();
  inbox.stopTyping();
  const conversation = socket.joinRoom("conversation:42");
  expect(socket.join(42)).toBe(conversation);
  await connected(conversation);
  inbox.leave();
  await until("the room is left", () => peer.asked.includes("leave inbox:7"));
  await until("nobody is there", () => peer.members("inbox:7") === 0);
  expect(peer.typing).toEqual([]);
  expect(peer.asked).toEqual(["messages inbox:7", "join inbox:7", "messages 42", "join 42", "leave inbox:7"]);
});

test("rooms of two kinds with one id keep apart", async () => {
  const peer = await startPeer();
  const socket = open(peer);
  const heard = told(socket);
  const [conversation, inbox] = [socket.join("7"), socket.joinRoom("inbox:7")];
  await Promise.all([connected(conversation), connected(inbox)]);
  // These say whose they are.
  peer.write("inbox:7", "message:new", { message: peer.log.row("7", "a"), room: "inbox:7", contactId: "7" });
  await shows(inbox, "a");
  peer.room("7").emit("typing:start", { contactId: "7" });
  await until("somebody types", () => conversation.state.typing);
  expect(inbox.state.typing).toBe(false);
  // Some of these don't, so both rooms look.
  peer.insert("7", "b");
  peer.insert("inbox:7", "c");
  peer.write("inbox:7", "message:new", { message: peer.log.row("7", "d"), room: "inbox:7", contactId: "7" });
  peer.remove("7", "none");
  await Promise.all([shows(conversation, "b"), shows(inbox, "a c d")]);
  expect(heard).toEqual(["new a", "new b", "new c", "new d", "deleted none"]);
  peer.write("inbox:7", "message:new", { message: peer.log.row("7", "e"), room: "inbox:7", contactId: "7" });
  await shows(inbox, "a c d e");
  expect(peer.handshakes).toHaveLength(1);
  peer.drop();
  await until("the connection is lost", () => !socket.connected);
  peer.insert("inbox:7", "f");
  await Promise.all([connected(conversation), connected(inbox)]);
  await Promise.all([shows(conversation, "b"), shows(inbox, "a c d e f")]);
});

test("the application's own fetcher is not asked for rooms of other kinds", async () => {
  const peer = await startPeer();
  peer.failures.set("messages", { status: 503, code: "unavailable" });
  const fetcher = vi.fn(async (contactId: string) => [peer.log.row(contactId, `of ${contactId}`)]);
  const socket = open(peer, { fetcher });
  const [conversation, inbox] = [socket.join("7"), socket.joinRoom("inbox:7")];
  await shows(conversation, "of 7");
  await until("it says why", () => inbox.state.error === "unavailable");
  expect(inbox.state).toMatchObject({ messages: [], status: "offline" });
});
