// Tokens that are renewed before they expire.

import { expect, test, vi } from "vitest";
import { connected, hurry, jwt, open, shows, startPeer, told, until } from "./harness.js";

test("at half its life the token is renewed over the same connection", async () => {
  const peer = await startPeer();
  const tokens = [jwt("one", 2_400), jwt("two", 4_000), jwt("three", 600_000)];
  const source = vi.fn(async () => tokens.shift());
  const [one, two, three] = [...tokens];
  const conversation = open(peer, { token: source }).join("42");
  await connected(conversation);
  await until("it is renewed, and again", () => peer.tokens.refresh.length > 1);
  expect(peer.tokens.handshake).toEqual([one]);
  expect(peer.tokens.refresh).toEqual([two, three]);
  expect(conversation.state.status).toBe("connected");
});

test("a token that comes while the connection is lost goes with the next one", async () => {
  hurry();
  const peer = await startPeer();
  const answers: ((token: string) => void)[] = [];
  const [one, two] = [jwt("one", 4_000), jwt("two", 600_000)];
  let asked = 0;
  const source = () => (asked++ ? new Promise<string>((answer) => answers.push(answer)) : one);
  const socket = open(peer, { token: source });
  const conversation = socket.join("42");
  await connected(conversation);
  await until("it is to be renewed", () => answers.length);
  peer.drop();
  await until("the connection is lost", () => !socket.connected);
  answers.forEach((answer) => answer(two));
  await connected(conversation);
  peer.insert("42", "a");
  await shows(conversation, "a");
  expect(peer.tokens).toMatchObject({ handshake: [one, two], refresh: [] });
});

test("a token that is over when it comes is not renewed in a storm", async () => {
  const peer = await startPeer();
  const waits = vi.spyOn(globalThis, "setTimeout");
  await connected(open(peer, { token: () => jwt("old", -60_000) }).join("42"));
  const all = waits.mock.calls.map(([, ms]) => ms ?? 0);
  waits.mockRestore();
  expect(all.some((ms) => ms > 29_000 && ms <= 30_000)).toBe(true);
  expect(all.every((ms) => ms >= 0)).toBe(true);
});

test.each(["unauthorized", undefined] as const)(
  "a server whose answer to a renewal is %s gets the fresh token with the next connection",
  async (refresh) => {
    hurry(true);
    const peer = await startPeer();
    peer.refresh = refresh;
    const tokens = [jwt("one", 4_000), jwt("two", 600_000)];
    const [one, two] = [...tokens];
    const socket = open(peer, { token: async () => tokens.shift() });
    const heard = told(socket);
    const conversation = socket.join("42");
    await connected(conversation);
    await until("it connects again", () => peer.tokens.handshake.length > 1);
    await connected(conversation);
    peer.insert("42", "a");
    await shows(conversation, "a");
    expect(peer.tokens.handshake).toEqual([one, two]);
    expect(heard).toEqual(["new a"]);
  },
);

test("a source that is away when a token is to be renewed is asked again, and the connection stays", async () => {
  hurry();
  const peer = await startPeer();
  const [one, two] = [jwt("one", 4_000), jwt("two", 600_000)];
  let asked = 0;
  const source = () => (++asked === 1 ? one : asked < 4 ? Promise.reject(undefined) : two);
  const conversation = open(peer, { token: source }).join("42");
  await connected(conversation);
  const seen = new Set<string>();
  conversation.subscribe(() => seen.add(conversation.state.status));
  await until("it is renewed", () => peer.tokens.refresh.length);
  expect(peer.tokens.refresh).toEqual([two]);
  expect(peer.handshakes).toHaveLength(1);
  expect([...seen]).toEqual([]);
});

test("a server that can't check a token at the moment is given it again, over the same connection", async () => {
  hurry();
  const peer = await startPeer();
  peer.refresh = "unavailable";
  const [one, two] = [jwt("one", 4_000), jwt("two", 600_000)];
  let asked = 0;
  const conversation = open(peer, { token: () => (asked++ ? two : one) }).join("42");
  await connected(conversation);
  await until("it is refused, and again", () => peer.tokens.refresh.length > 1);
  peer.refresh = "ok";
  const before = peer.tokens.refresh.length;
  await until("it is renewed", () => peer.tokens.refresh.length > before);
  expect(peer.handshakes).toHaveLength(1);
  expect(conversation.state.status).toBe("connected");
});

test("another value goes to the server at once, over the same connection, and the same one does not", async () => {
  const peer = await startPeer();
  const socket = open(peer, { token: "one", pollConnectedMs: 10 });
  await connected(socket.join("42"));
  socket.setToken("one");
  socket.setToken("two");
  await until("it is there", () => peer.tokens.refresh.length);
  await until("requests have it", () => peer.tokens.http.at(-1) === "two");
  expect(peer.tokens).toMatchObject({ handshake: ["one"], refresh: ["two"] });
});

test("a value that comes while the handshake is under way goes to the server right after it", async () => {
  const peer = await startPeer();
  const handshake = peer.hold("connect");
  const socket = open(peer, { token: "one" });
  const conversation = socket.join("42");
  await until("the handshake is there", () => handshake.held.length);
  socket.setToken("two");
  handshake.open();
  await connected(conversation);
  await until("it is there", () => peer.tokens.refresh.length);
  expect(peer.tokens).toMatchObject({ handshake: ["one"], refresh: ["two"] });
});

test("another value brings a refused connection back at once, and another function when the next token is due", async () => {
  const peer = await startPeer();
  for (const token of ["two", "three", "four"]) peer.good.add(token);
  const socket = open(peer, { token: "one" });
  const conversation = socket.join("42");
  await until("it is refused", () => conversation.state.error === "unauthorized" && socket.refusal);
  socket.setToken("two");
  await connected(conversation);
  expect(peer.tokens.handshake).toEqual(["one", "two"]);
  socket.setToken(() => "three");
  await until("the first function is asked", () => peer.tokens.refresh.length);
  socket.setToken(() => "four");
  peer.drop();
  await until("it is back", () => peer.handshakes.length === 3);
  hurry();
  peer.refusal = "unauthorized";
  peer.drop();
  await until("it is refused", () => socket.refusal);
  peer.refusal = undefined;
  await connected(conversation);
  expect(peer.tokens.refresh).toEqual(["three"]);
  expect(peer.tokens.handshake).toEqual(["one", "two", "three", "three", "four"]);
});
