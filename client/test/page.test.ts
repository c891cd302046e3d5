// What the page does: looks, goes away, closes; and listeners that throw.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { io } from "socket.io-client";
import { expect, onTestFinished, test, vi } from "vitest";
import { ConversationSocket } from "../src/index.js";
import { connected, ids, jwt, open, settled, shelf, shows, startPeer, told, until } from "./harness.js";

/** A window and its document, as far as the kit looks at them. */
function stubPage() {
  const page = new EventTarget();
  const document = { hidden: false };
  vi.stubGlobal("document", document);
  const listening = vi.fn(page.addEventListener.bind(page));
  vi.stubGlobal("addEventListener", listening);
  onTestFinished(() => void vi.unstubAllGlobals());
  return { document, listening, fire: (name: string) => page.dispatchEvent(new Event(name)) };
}

test.each(["visibilitychange", "online"])("%s asks at once", async (event) => {
  const { fire } = stubPage();
  const peer = await startPeer();
  peer.joinRefusal = "unavailable";
  const conversation = open(peer, { pollDisconnectedMs: 60_000 }).join("42");
  await until("it is refused and polls", () => conversation.state.error);
  peer.insert("42", "a");
  fire(event);
  await shows(conversation, "a");
});

test("a page that is hidden asks for nothing more", async () => {
  const { document, fire } = stubPage();
  const peer = await startPeer();
  const conversation = open(peer).join("42");
  await connected(conversation);
  peer.asked.length = 0;
  document.hidden = true;
  fire("visibilitychange");
  // Whatever it had asked is there when these are.
  for (const id of ["1", "2", "3"]) await fetch(`${peer.url.replace("ws", "http")}/api/conversations/${id}/events`);
  expect(peer.asked).toEqual(["events 1", "events 2", "events 3"]);
  document.hidden = false;
  fire("visibilitychange");
  await until("it asks", () => peer.asked.includes("events 42"));
});

test("a page that goes away keeps its conversations", async () => {
  const { fire } = stubPage();
  const peer = await startPeer();
  const storage = shelf();
  const conversation = open(peer, { storage }).join("42");
  await connected(conversation);
  peer.insert("42", "a");
  await shows(conversation, "a");
  expect(storage.length).toBe(0);
  fire("pagehide");
  expect(ids(open(peer, { storage }).join("42"))).toBe("a");
});

test("a connection that is closed hears no more of the page", async () => {
  const { listening } = stubPage();
  const peer = await startPeer();
  const socket = open(peer);
  await connected(socket.join("42"));
  socket.close();
  const left = listening.mock.calls.filter(([, , options]) => !(options as AddEventListenerOptions).signal?.aborted);
  expect([listening.mock.calls.length, left]).toEqual([3, []]);
});

test("close leaves and disconnects for good", async () => {
  const peer = await startPeer();
  const socket = open(peer, { pollDisconnectedMs: 5 });
  const heard = told(socket);
  const [one, two] = [socket.join("1"), socket.join("2")];
  await Promise.all([connected(one), connected(two)]);
  one.startTyping();
  socket.close();
  await until("the connection is gone", () => peer.transports === 0);
  expect(socket.connected).toBe(false);
  peer.asked.length = 0;
  peer.insert("1", "a");
  // Whoever else is there polls many times meanwhile.
  const other = open(peer, { pollConnectedMs: 5 }).join("2");
  await connected(other);
  await until("others poll", () => peer.asked.filter((what) => what === "events 2").length > 5);
  expect(peer.asked.filter((what) => what.endsWith(" 1"))).toEqual([]);
  expect(heard).toEqual([]);
  one.leave();
  socket.close();
});

test("who closes because the connection is lost is asked for nothing more", async () => {
  const peer = await startPeer();
  const socket = open(peer, { pollDisconnectedMs: 5 });
  const conversation = socket.join("1");
  await connected(conversation);
  conversation.subscribe(() => socket.close());
  peer.asked.length = 0;
  peer.drop();
  await until("it is lost", () => peer.transports === 0);
  const other = open(peer, { pollConnectedMs: 5 }).join("2");
  await connected(other);
  await until("others poll", () => peer.asked.filter((what) => what === "events 2").length > 5);
  expect(peer.asked.filter((what) => what.endsWith(" 1"))).toEqual([]);
});

test("somebody who looks at the page in the middle of a join does not overtake it", async () => {
  const { fire } = stubPage();
  const peer = await startPeer();
  const socket = open(peer, { pollDisconnectedMs: 5 });
  const heard = told(socket);
  const conversation = socket.join("42");
  await connected(conversation);
  const [back, polls, join] = [peer.hold("connect"), peer.hold("events"), peer.hold("join")];
  peer.drop();
  await until("a poll is there", () => polls.held.length);
  back.open();
  await until("the room is asked for", () => join.held.length);
  fire("online");
  polls.open();
  await settled();
  for (const id of ["1", "2"]) await fetch(`${peer.url.replace("ws", "http")}/api/conversations/${id}/events`);
  expect(conversation.state.status).toBe("connecting");
  join.open();
  await connected(conversation);
  peer.insert("42", "a");
  await shows(conversation, "a");
  expect(heard).toEqual(["new a"]);
});

test("a process that has closed its connection ends by itself", async () => {
  const peer = await startPeer();
  const resolveDir = fileURLToPath(new URL(".", import.meta.url));
  const program = `
    import { ConversationSocket } from "../src/index.js";
    const socket = new ConversationSocket({ url: "${peer.url}", storage: null, token: () => "${jwt("t", 3_600_000)}" });
    const conversation = socket.join("42");
    conversation.subscribe(() => {
      if (conversation.state.typing && conversation.state.status === "connected") {
        conversation.startTyping();
        socket.close();
      }
    });`;
  const { outputFiles } = await build({
    stdin: { contents: program, resolveDir }, bundle: true, format: "cjs", platform: "node", write: false,
  });
  const run = promisify(execFile)(process.execPath, ["-"], { timeout: 15_000 });
  run.child.stdin!.end(outputFiles[0]!.text);
  await until("it has joined", () => peer.members("42"));
  peer.room("42").emit("typing:start", { contactId: "42" });
  const { stderr } = await run;
  expect(stderr).toBe("");
  expect(peer.asked).toContain("join 42");
});

test("a proxy's path stands before everything", () => {
  const socket = open(undefined, { url: "wss://h:1/realtime/" });
  expect(socket.io!.io).toMatchObject({ uri: "https://h:1", opts: { path: "/realtime/socket.io", transports: ["websocket"] } });
  expect(socket.api).toBe("https://h:1/realtime/api/");
});

test("the application's own use of Socket.IO has a connection of its own", () => {
  const theirs = io("https://h:1/theirs", { autoConnect: false });
  expect(open(undefined, { url: "wss://h:1" }).io!.io).not.toBe(theirs.io);
});

test.each(["", "  ", "x", "ftp://x", "ws:/x", "//x", "ws://", "ws:// x"])("a url that is none is refused: %s", (url) => {
  if (url === "") return void expect(() => new ConversationSocket({ url })).not.toThrow();
  expect(() => new ConversationSocket({ url })).toThrow(TypeError);
  expect(() => new ConversationSocket({ url })).toThrow(`url: "${url}"`);
});
