// Tokens, over the socket and over HTTP, and connections that are refused.

import { expect, onTestFinished, test, vi } from "vitest";
import type { ConversationSocket } from "../src/index.js";
import { connected, hurry, ids, open, reaches, shelf, shows, startPeer, told, until } from "./harness.js";

test("a token that is a value goes with the handshake and every request", async () => {
  const peer = await startPeer();
  peer.good.add("secret");
  const conversation = open(peer, { token: "secret", pollConnectedMs: 10 }).join("42");
  await connected(conversation);
  await until("it polls", () => peer.tokens.http.length > 2);
  expect(peer.tokens.handshake).toEqual(["secret"]);
  expect(new Set(peer.tokens.http)).toEqual(new Set(["secret"]));
});

test("without a token none is sent", async () => {
  const peer = await startPeer();
  await connected(open(peer, { token: async () => null }).join("42"));
  expect(peer.tokens.http).toEqual([undefined]);
  expect(peer.handshakes).toEqual([{ token: null }]);
});

test("requests pass by the browser's cache, and have cookies for another origin only where that is said", async () => {
  const peer = await startPeer();
  const requests = vi.spyOn(globalThis, "fetch");
  await connected(open(peer).join("42"));
  await connected(open(peer, { withCredentials: true }).join("42"));
  const [one, two] = [requests.mock.calls[0]![1], requests.mock.calls.at(-1)![1]];
  requests.mockRestore();
  expect([one!.cache, one!.credentials]).toEqual(["no-store", "same-origin"]);
  expect([two!.cache, two!.credentials]).toEqual(["no-store", "include"]);
});

test("Socket.IO's own resume is not asked for", async () => {
  const peer = await startPeer();
  const socket = open(peer, { token: () => "secret" });
  await connected(socket.join("42"));
  (socket.io as unknown as { _pid: string })._pid = "a secret of an earlier connection";
  peer.drop();
  await until("it is back", () => peer.handshakes.length === 2);
  expect(peer.handshakes).toEqual([{ token: "secret" }, { token: "secret" }]);
});

test("a source is asked once for all who want its token at a time", async () => {
  const peer = await startPeer();
  const source = vi.fn(async () => "secret");
  const socket = open(peer, { token: source });
  await Promise.all(["1", "2", "3"].map((id) => connected(socket.join(id))));
  expect(source).toHaveBeenCalledTimes(1);
});

test.each([
  ["throws", () => { throw undefined; }],
  ["throws what has a code of its own", () => Promise.reject({ code: "ECONNREFUSED" })],
  ["gives nothing in time", () => new Promise<string>(() => {})],
])("while a source %s no handshake is sent, and the conversation says so until it is asked again", async (_, fail) => {
  hurry(true);
  const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
  onTestFinished(() => warned.mockRestore());
  const peer = await startPeer();
  peer.good.add("secret");
  let works = false;
  const conversation = open(peer, { token: () => (works ? "secret" : fail()) }).join("42");
  await reaches(conversation, "offline");
  const seen = new Set([conversation.state.error]);
  conversation.subscribe(() => works || seen.add(conversation.state.error));
  const before = peer.engines;
  await until("it connects and gives up again", () => peer.engines > before + 2 && !peer.transports);
  expect([...seen]).toEqual(["no_token"]);
  expect(peer.handshakes).toEqual([]);
  expect(warned).toHaveBeenCalled();
  works = true;
  await connected(conversation);
  expect(conversation.state.error).toBeNull();
  expect(peer.handshakes).toEqual([{ token: "secret" }]);
});

test("a connection that is closed while its source fails stays closed", async () => {
  hurry();
  const peer = await startPeer();
  const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
  onTestFinished(() => warned.mockRestore());
  const failures: (() => void)[] = [];
  const source = () => new Promise<string>((_, fail) => failures.push(() => fail(new Error("away"))));
  const socket = open(peer, { token: source });
  socket.connect();
  await until("its token is waited for", () => failures.length);
  socket.close();
  failures.forEach((fail) => fail());
  // Its own next try would come no later than two of this one's, which has no token either.
  open(peer, { token: () => Promise.reject(new Error("away")) }).connect();
  await until("the other one tries again and again", () => peer.engines > 5);
  expect(failures).toHaveLength(1);
});

test("a source that is slower than the network answers the last connection alone", async () => {
  const peer = await startPeer();
  const answers: ((token: string) => void)[] = [];
  const socket = open(peer, { token: () => new Promise<string>((answer) => answers.push(answer)) });
  const conversation = socket.join("42");
  await until("its token is waited for", () => peer.transports === 1 && answers.length);
  await until("another connection", () => {
    if (peer.engines < 2) peer.dropTransports();
    return peer.engines >= 2 && socket.io!.io._readyState === "open";
  });
  answers.forEach((answer) => answer("secret"));
  await connected(conversation);
  expect(peer.handshakes).toEqual([{ token: "secret" }]);
  expect(answers).toHaveLength(1);
});

test("401 asks the source for a fresh token", async () => {
  const peer = await startPeer();
  peer.refusal = "unavailable";
  const tokens = ["old", "fresh"];
  peer.good.add("fresh");
  peer.insert("42", "a");
  const conversation = open(peer, { token: () => tokens.shift() }).join("42");
  await shows(conversation, "a");
  expect(peer.tokens.http.slice(0, 2)).toEqual(["old", "fresh"]);
});

test("a connection that is refused is tried again with a fresh token", async () => {
  hurry();
  const peer = await startPeer();
  peer.good.add("fresh");
  let token = "old";
  const conversation = open(peer, { token: () => token }).join("42");
  await until("it says why", () => conversation.state.error === "unauthorized");
  token = "fresh";
  await connected(conversation);
  expect(conversation.state.error).toBeNull();
  expect(peer.tokens.handshake.at(-1)).toBe("fresh");
});

test.each(["origin_not_allowed", "too_many_connections", "token_expired"])(
  "why a connection is refused is said as long as it is: %s",
  async (code) => {
    hurry();
    const peer = await startPeer();
    peer.refusal = code;
    const socket = open(peer);
    const conversation = socket.join("42");
    await until("it says why", () => conversation.state.error === code);
    const seen = new Set<unknown>();
    conversation.subscribe(() => seen.add(conversation.state.error));
    peer.insert("42", "a");
    await shows(conversation, "a");
    await until("it tries again", () => peer.handshakes.length > 2);
    expect(conversation.state.status).toBe("polling");
    peer.insert("42", "b");
    await shows(conversation, "a b");
    expect([...seen]).toEqual([code]);
    peer.refusal = undefined;
    await connected(conversation);
    expect(conversation.state.error).toBeNull();
  },
);

test("a connection that is closed while it is refused is not tried again", async () => {
  hurry();
  const peer = await startPeer();
  peer.refusal = "unavailable";
  const [one, two] = ["one", "two"].map((token) => open(peer, { token })) as [ConversationSocket, ConversationSocket];
  const tries = (name: string) => peer.tokens.handshake.filter((token) => token === name).length;
  one.join("1");
  two.join("2");
  await until("both are refused", () => one.refusal && two.refusal);
  one.connect();
  await until("it is refused again", () => tries("one") > 1 && !one.io!.active);
  one.close();
  const before = [tries("one"), tries("two")] as const;
  await until("the other tries again and again", () => tries("two") > before[1] + 4);
  expect(tries("one")).toBe(before[0]);
});

test("why a connection is refused is said at once", async () => {
  const peer = await startPeer();
  const handshake = peer.hold("connect");
  peer.refusal = "origin_not_allowed";
  const conversation = open(peer, { pollDisconnectedMs: 60_000 }).join("42");
  await reaches(conversation, "polling");
  expect(conversation.state.error).toBeNull();
  await until("the handshake is there", () => handshake.held.length);
  handshake.open();
  await until("it says why", () => conversation.state.error === "origin_not_allowed", 2_000);
});

test("why a connection is refused is said although polling fails as well", async () => {
  const peer = await startPeer();
  peer.refusal = "origin_not_allowed";
  for (const kind of ["messages", "events"] as const) peer.failures.set(kind, { status: 502, body: "<html>" });
  const conversation = open(peer).join("42");
  await until("it says why", () => conversation.state.error === "origin_not_allowed");
  const before = peer.asked.length;
  await until("it goes on polling", () => peer.asked.length > before + 3);
  expect(conversation.state).toMatchObject({ status: "offline", error: "origin_not_allowed" });
});

test("a connection that something in between blocks is no refusal", async () => {
  const peer = await startPeer();
  peer.blocked = true;
  const socket = open(peer);
  const failures: boolean[] = [];
  socket.io!.on("connect_error", () => failures.push(true));
  const conversation = socket.join("42");
  await until("it fails a few times", () => failures.length > 3);
  peer.insert("42", "a");
  await shows(conversation, "a");
  expect(conversation.state).toMatchObject({ status: "polling", error: null });
  peer.blocked = false;
  await connected(conversation);
  // The one that got through was the first that the server has seen.
  expect(peer.handshakes).toHaveLength(1);
});

test("a source whose tokens are refused is asked seldom, however many conversations poll", async () => {
  const peer = await startPeer();
  peer.good.add("another");
  const source = vi.fn(async () => "refused");
  const socket = open(peer, { token: source, pollDisconnectedMs: 5 });
  const conversations = ["1", "2", "3"].map((id) => socket.join(id));
  for (const conversation of conversations) await reaches(conversation, "offline");
  const before = peer.asked.length;
  let rounds = 0;
  conversations[0]!.subscribe(() => {});
  // Each round has a timer of its own.
  const timers = vi.spyOn(globalThis, "setTimeout");
  await until("they go on", () => (rounds = timers.mock.calls.filter(([, ms]) => ms === 5).length) > 60);
  timers.mockRestore();
  expect(rounds).toBeGreaterThan(60);
  expect(peer.asked.length - before).toBeLessThan(9);
  // For the handshake, for the requests after the first 401, and for none of the others.
  expect(source.mock.calls.length).toBeLessThan(4);
  for (const { state } of conversations) expect(state.error).toBe("unauthorized");
});

test("a connection that stays refused is tried less and less often, and at once when the page is shown again", async () => {
  const stop = new AbortController();
  vi.stubGlobal("document", { hidden: true });
  const page = new EventTarget();
  vi.stubGlobal("addEventListener", (name: string, what: () => void) => page.addEventListener(name, what, { signal: stop.signal }));
  onTestFinished(() => {
    stop.abort();
    vi.unstubAllGlobals();
  });
  const waits: number[] = [];
  const realTimeout = setTimeout;
  vi.stubGlobal("setTimeout", (go: () => void, ms = 0) => {
    const isRetry = [4_500, 9_000, 18_000, 27_000].includes(ms);
    if (isRetry) waits.push(ms);
    // A few tries, and then none by itself.
    return realTimeout(go, isRetry && waits.length < 6 ? 1 : ms);
  });
  vi.spyOn(Math, "random").mockReturnValue(0.4);
  onTestFinished(() => void vi.restoreAllMocks());
  const peer = await startPeer();
  peer.refusal = "unauthorized";
  const socket = open(peer, { token: "revoked" });
  socket.connect();
  await until("it gave up for long", () => waits.length === 6);
  expect(waits).toEqual([4_500, 9_000, 18_000, 27_000, 27_000, 27_000]);
  const before = peer.handshakes.length;
  vi.stubGlobal("document", { hidden: false });
  page.dispatchEvent(new Event("visibilitychange"));
  await until("it tries", () => peer.handshakes.length > before);
});

test.each(["forbidden", "revoked", "moved to another team"])("a conversation that it is put out of as %s shows nothing more", async (reason) => {
  const peer = await startPeer();
  peer.insert("42", "a");
  const storage = shelf();
  const socket = open(peer, { storage, pollConnectedMs: 200 });
  const left: unknown[] = [];
  socket.on("rowcast:left", (payload) => left.push(payload));
  const conversation = socket.join("42");
  const other = socket.join("43");
  await shows(conversation, "a");
  await connected(conversation);
  await connected(other);
  const seen: string[] = [];
  conversation.subscribe(() => seen.push(`${conversation.state.status} ${conversation.state.error} ${ids(conversation)}`));
  peer.failures.set("messages", { status: 403, code: "forbidden" });
  peer.putOut("42", reason);
  await reaches(conversation, "offline");
  const before = peer.asked.length;
  await until("it has looked twice whether that holds", () => peer.asked.slice(before).filter((what) => what === "messages 42").length > 1);
  expect([...new Set(seen)]).toEqual(["offline forbidden "]);
  expect(conversation.state).toMatchObject({ messages: [], more: false, loading: false, typing: false });
  expect(left).toEqual([{ room: "conversation:42", reason }]);
  expect(storage.getItem(storage.key(0)!)).toBe("{}");
  expect(other.state.status).toBe("connected");
  peer.failures.clear();
  await shows(conversation, "a");
  await connected(conversation);
});

test("a conversation that it is put out of because nobody could be asked goes on where it was", async () => {
  hurry();
  const peer = await startPeer();
  peer.insert("42", "a");
  const socket = open(peer);
  const heard = told(socket);
  const conversation = socket.join("42");
  await connected(conversation);
  peer.putOut("42", "unavailable");
  peer.insert("42", "b");
  await shows(conversation, "a b");
  await connected(conversation);
  peer.insert("42", "c");
  await shows(conversation, "a b c");
  expect(heard).toEqual(["new b", "new c"]);
  expect(peer.asked.filter((what) => what === "messages 42")).toHaveLength(1);
});

test("what was forbidden is tried again with the next token", async () => {
  const peer = await startPeer();
  const socket = open(peer, { token: "one" });
  const [conversation, other] = [socket.join("42"), socket.join("43")];
  peer.joinRefusal = "forbidden";
  await reaches(conversation, "offline");
  await reaches(other, "offline");
  peer.joinRefusal = undefined;
  socket.setToken("two");
  await connected(conversation);
  await connected(other);
  expect(peer.handshakes).toHaveLength(1);
});

test("an older page that is forbidden takes the rest along", async () => {
  const peer = await startPeer();
  for (const id of ["a", "b", "c"]) peer.insert("42", id);
  const conversation = open(peer, { limit: 2 }).join("42");
  await connected(conversation);
  peer.failures.set("messages", { status: 403, code: "forbidden" });
  await conversation.loadOlder();
  expect(conversation.state).toMatchObject({ messages: [], status: "offline", error: "forbidden" });
});

test("a conversation that is forbidden has nothing to show and says so", async () => {
  const peer = await startPeer();
  peer.failures.set("messages", { status: 403, code: "forbidden" });
  const conversation = open(peer).join("42");
  await reaches(conversation, "offline");
  expect(conversation.state.error).toBe("forbidden");
  expect(ids(conversation)).toBe("");
});
