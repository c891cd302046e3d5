// The application's own way to the messages: without a server, and while one is away.

import { expect, test, vi } from "vitest";
import type { Fetcher } from "../src/index.js";
import { connected, hurry, ids, open, reaches, settled, shelf, shows, startPeer, told, until } from "./harness.js";
import { Log } from "./log.js";

/** An application's API over some rows. */
function api(...names: string[]) {
  const log = new Log();
  const rows = names.map((id) => log.row("42", id));
  const fetcher = vi.fn<Fetcher>(async () => structuredClone(rows));
  return { rows, fetcher, add: (id: string) => rows.push(log.row("42", id)) };
}

test("without a server the fetcher is asked every few seconds", async () => {
  const { add, fetcher, rows } = api("a");
  const socket = open(undefined, { fetcher });
  const conversation = socket.join(42);
  await shows(conversation, "a");
  await reaches(conversation, "polling");
  expect(conversation.state).toMatchObject({ loading: false, error: null, more: false });
  const { state } = conversation;
  const before = fetcher.mock.calls.length;
  await until("it is asked again", () => fetcher.mock.calls.length > before + 2);
  expect(conversation.state).toBe(state);
  add("b");
  await shows(conversation, "a b");
  rows[0] = { ...rows[0]!, status: "read" };
  await until("a change is shown", () => conversation.state.messages[0]?.status === "read");
  expect(fetcher.mock.calls[0]![0]).toBe("42");
  await conversation.loadOlder();
  conversation.startTyping();
  conversation.stopTyping();
  expect(socket.connected).toBe(false);
});

test("without a server nothing of the fetcher's is kept", async () => {
  const storage = shelf();
  const { fetcher } = api("a");
  const socket = open(undefined, { fetcher, storage });
  await shows(socket.join("42"), "a");
  socket.close();
  expect(storage.getItem(storage.key(0)!)).toBe("{}");
});

test.each([
  [new Error("away"), "unreachable"],
  [undefined, "unreachable"],
  [null, "unreachable"],
  [new DOMException("late", "TimeoutError"), "unreachable"],
  [{ code: "teapot" }, "teapot"],
])("a fetcher that fails with %s is asked again", async (failure, code) => {
  const { fetcher } = api("a");
  fetcher.mockRejectedValueOnce(failure);
  const conversation = open(undefined, { fetcher }).join("42");
  await reaches(conversation, "offline");
  expect(conversation.state.error).toBe(code);
  await shows(conversation, "a");
  await reaches(conversation, "polling");
  expect(conversation.state.error).toBeNull();
});

test("a fetcher is told when its answer is not wanted any more, and that answer is dropped", async () => {
  const { fetcher, rows } = api("a");
  const answers: (() => void)[] = [];
  fetcher.mockImplementation(() => new Promise((answer) => answers.push(() => answer(rows))));
  const socket = open(undefined, { fetcher });
  const conversation = socket.join("42");
  await until("it is asked", () => answers.length);
  const { signal } = fetcher.mock.calls[0]![1];
  expect(signal.aborted).toBe(false);
  conversation.leave();
  await until("it is told", () => signal.aborted);
  answers[0]!();
  await reaches(socket.join("43"), "connecting");
  expect(ids(conversation)).toBe("");
});

test("who has left asks no more, whatever the fetcher answers then", async () => {
  const peer = await startPeer();
  await peer.vanish();
  const answers: (() => void)[] = [];
  const fetcher: Fetcher = () => new Promise((answer) => answers.push(() => answer([])));
  const socket = open(peer, { fetcher });
  const conversation = socket.join("42");
  await until("it is asked", () => answers.length);
  conversation.leave();
  await settled();
  const { state } = conversation;
  answers[0]!();
  const others = vi.fn<Fetcher>(async () => []);
  open(undefined, { fetcher: others }).join("43");
  await until("others ask", () => others.mock.calls.length > 3);
  expect(answers).toHaveLength(1);
  expect(conversation.state).toBe(state);
});

test("the newest messages join the older ones that are known", async () => {
  const { fetcher, rows, add } = api("a", "b", "c");
  const conversation = open(undefined, { fetcher }).join("42");
  await shows(conversation, "a b c");
  rows.splice(0, 2);
  add("d");
  await shows(conversation, "a b c d");
});

test("while the server is away the fetcher is asked, and then everything is told once", async () => {
  const peer = await startPeer();
  const fetcher: Fetcher = async () => peer.log.rows("42").slice(-2);
  peer.insert("42", "a");
  const socket = open(peer, { fetcher });
  const heard = told(socket);
  const conversation = socket.join("42");
  await connected(conversation);
  await peer.vanish();
  peer.log.append("42", "message:new", { message: peer.log.row("42", "b"), contactId: "42" });
  peer.log.append("42", "message:status", { messageId: "a", status: "read", contactId: "42" });
  await shows(conversation, "a b");
  await reaches(conversation, "polling");
  expect(conversation.state.error).toBe("unreachable");
  await peer.listen();
  await connected(conversation);
  peer.insert("42", "c");
  await shows(conversation, "a b c");
  expect(conversation.state.messages).toEqual(peer.log.rows("42"));
  expect(heard).toEqual(["new b", "status a", "new c"]);
});

test("where the fetcher's messages leave a gap the server's history closes it", async () => {
  const peer = await startPeer();
  const fetcher: Fetcher = async () => peer.log.rows("42").slice(-2);
  peer.insert("42", "a");
  const conversation = open(peer, { fetcher }).join("42");
  await connected(conversation);
  await peer.vanish();
  for (const id of ["b", "c", "d"]) peer.log.append("42", "message:new", { message: peer.log.row("42", id), contactId: "42" });
  await shows(conversation, "c d");
  await peer.listen();
  await shows(conversation, "a b c d");
  await connected(conversation);
});

test("a server that is away from the first is no reason to show nothing", async () => {
  const peer = await startPeer();
  const { fetcher } = api("a");
  await peer.vanish();
  const socket = open(peer, { fetcher });
  const conversation = socket.join("42");
  await shows(conversation, "a");
  await reaches(conversation, "polling");
  peer.log.append("42", "message:new", { message: peer.log.row("42", "a"), contactId: "42" });
  peer.log.append("42", "message:new", { message: peer.log.row("42", "b"), contactId: "42" });
  await peer.listen();
  await shows(conversation, "a b");
  await connected(conversation);
});

test.each([404, 503])("a server whose history answers %i has the events all the same", async (status) => {
  const peer = await startPeer();
  peer.failures.set("messages", { status, code: status === 404 ? "not_found" : "unavailable" });
  peer.insert("42", "a");
  const fetcher: Fetcher = async () => peer.log.rows("42");
  const socket = open(peer, { fetcher });
  const heard = told(socket);
  const conversation = socket.join("42");
  await connected(conversation);
  peer.insert("42", "b");
  await shows(conversation, "a b");
  peer.drop();
  peer.insert("42", "c");
  await shows(conversation, "a b c");
  await connected(conversation);
  expect(heard).toEqual(["new b", "new c"]);
});

test("what is written while the fetcher of a server without history is asked is not missed", async () => {
  const peer = await startPeer();
  peer.failures.set("messages", { status: 404, code: "not_found" });
  peer.insert("42", "a");
  const answers: (() => void)[] = [];
  const fetcher: Fetcher = () => {
    const rows = [...peer.log.rows("42")];
    return new Promise((answer) => answers.push(() => answer(rows)));
  };
  const conversation = open(peer, { fetcher }).join("42");
  await until("it is asked", () => answers.length);
  peer.insert("42", "b");
  answers[0]!();
  await shows(conversation, "a b");
});

test("a connection that comes while the fetcher is asked is not waited for", async () => {
  const peer = await startPeer();
  peer.failures.set("messages", { status: 503 }).set("events", { status: 503 });
  const handshake = peer.hold("connect");
  const fetcher = vi.fn<Fetcher>(() => new Promise(() => {}));
  const conversation = open(peer, { fetcher, pollDisconnectedMs: 60_000 }).join("42");
  await until("the fetcher is asked", () => fetcher.mock.calls.length);
  peer.failures.clear();
  handshake.open();
  await connected(conversation);
});

test("a history that is refused as a bad request says so", async () => {
  const peer = await startPeer();
  peer.failures.set("messages", { status: 400, code: "bad_request" });
  const conversation = open(peer, { limit: 1_000 }).join("42");
  await reaches(conversation, "offline");
  expect(conversation.state.error).toBe("bad_request");
});

test("without a server and a fetcher it is offline and says so", async () => {
  const socket = open(undefined);
  const conversation = socket.join("42");
  await reaches(conversation, "offline");
  expect(conversation.state).toMatchObject({ error: "not_configured", loading: true, messages: [] });
  socket.connect();
  expect(socket.connected).toBe(false);
});

test.each([
  ["{}", 502], ["null", 502], ["<html>", 502], ['{"error":"text"}', 500], ["<html>", 200], ["null", 200],
])("an answer that is not the server's is none: %s", async (body, status) => {
  hurry();
  const peer = await startPeer();
  peer.insert("42", "a");
  peer.failures.set("messages", { status, body });
  const conversation = open(peer).join("42");
  await reaches(conversation, "offline");
  expect(conversation.state.error).toBe("unreachable");
  peer.failures.clear();
  await shows(conversation, "a");
});
