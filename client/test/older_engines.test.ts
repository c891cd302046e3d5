// Safari 15 and React Native's Hermes: what they don't have is taken away, and the kit does its work.

import { createContext, runInContext } from "node:vm";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import type * as composer from "../src/composer.js";
import type * as kit from "../src/index.js";
import { connected, ids, shows, startPeer, until } from "./harness.js";
import type { Peer } from "./peer.js";

/** By their owners, what Safari 15.0 or Hermes (React Native 0.72) is without. The network and the page are the host's, and are not given. */
const MISSING = {
  "Array.prototype": ["at", "with", "toSpliced", "toSorted", "toReversed", "findLast", "findLastIndex"],
  "String.prototype": ["at", "isWellFormed", "replaceAll"],
  Object: ["hasOwn", "groupBy"],
  Promise: ["withResolvers", "try", "any"],
  globalThis: ["WeakRef", "FinalizationRegistry", "SharedArrayBuffer", "Atomics", "Intl"],
};

/** As React Native's: without a reason, `any` or `timeout`, and its `addEventListener` has no options. */
class Signal {
  aborted = false;
  readonly listeners = new Set<() => void>();
  addEventListener(name: string, listener: () => void, ...rest: unknown[]) {
    if (name !== "abort" || rest.length) throw new Error("not here");
    this.listeners.add(listener);
  }
  removeEventListener(_: string, listener: () => void) {
    this.listeners.delete(listener);
  }
}
class Controller {
  readonly signal = new Signal();
  abort() {
    if (this.signal.aborted) return;
    this.signal.aborted = true;
    this.signal.listeners.forEach((listener) => listener());
  }
}

/** The kit and socket.io-client, as a bundler makes one file of them, in an engine that has no more than this. */
async function engine(quick: (ms: number) => boolean = (ms) => ms > 500 && ms < 10_000) {
  const contents = 'export * from "./index.js"; export * from "./composer.js";';
  const stdin = { contents, resolveDir: fileURLToPath(new URL("../src", import.meta.url)), loader: "ts" as const };
  const { outputFiles } = await build({ stdin, bundle: true, platform: "browser", format: "iife", globalName: "kit", target: "es2022", write: false });
  let parse: (text: string) => unknown;
  const given = {
    WebSocket, console, queueMicrotask, clearTimeout, performance, TextEncoder, TextDecoder,
    setTimeout: (go: () => void, ms = 0) => setTimeout(go, quick(ms) ? ms / 50 : ms),
    AbortController: Controller,
    async fetch(url: string, { signal, ...options }: RequestInit & { signal: Signal }) {
      const real = new AbortController();
      signal.addEventListener("abort", () => real.abort());
      const { ok, status, text } = await fetch(url, { ...options, signal: real.signal }).then(async (response) => {
        const { ok, status } = response;
        return { ok, status, text: await response.text() };
      });
      return { ok, status, json: async () => parse(text) };
    },
  };
  const context = createContext(given);
  for (const [owner, names] of Object.entries(MISSING)) for (const name of names) runInContext(`delete ${owner}.${name}`, context);
  parse = runInContext("JSON.parse", context);
  runInContext(outputFiles[0]!.text, context);
  return { ...(runInContext("kit", context) as typeof kit & typeof composer), run: (code: string) => runInContext(code, context) as unknown };
}

type Engine = Awaited<ReturnType<typeof engine>>;

function open({ ConversationSocket }: Engine, peer: Peer, options: kit.Options = {}) {
  const socket = new ConversationSocket({ url: peer.url, pollConnectedMs: 60_000, pollDisconnectedMs: 30, ...options });
  socket.io!.io.reconnectionDelay(10).reconnectionDelayMax(30);
  onTestFinished(() => socket.close());
  return socket;
}

test("the kit does its work without what Safari 15 and Hermes don't have", async () => {
  const kit = await engine();
  expect(kit.run('[typeof [].at, typeof [].with, typeof structuredClone, typeof crypto, typeof AbortSignal, typeof document, typeof localStorage].join()')).toBe(
    Array(7).fill("undefined").join(),
  );
  const peer = await startPeer();
  Object.assign(peer.log, { order: "createdAt", key: "id" });
  for (const id of ["a", "b", "c", "d"]) peer.insert("42", id);
  const socket = open(kit, peer, { limit: 2, token: () => "t" });
  const conversation = socket.join("42");
  await connected(conversation);
  await conversation.loadOlder();
  expect(ids(conversation)).toBe("a b c d");
  peer.insert("42", "late", { createdAt: "2025-01-01T00:00:00Z" });
  peer.setStatus("42", "d", "read");
  peer.update("42", "c", { body: "other" });
  peer.remove("42", "b");
  await shows(conversation, "late a c d");
  expect(conversation.state).toMatchObject({ earlier: ["late"], messages: [{}, {}, { body: "other" }, { status: "read" }] });
  conversation.startTyping();
  await until("it is heard", () => peer.typing.length);
  const composer = kit.composerOf(conversation);
  composer.send({ body: "Hola" }, (draft) => peer.insert("42", "e", draft));
  await shows(conversation, "late a c d e");
  expect(composer.messages).toBe(conversation.state.messages);
  peer.drop();
  await until("the connection is lost", () => conversation.state.status !== "connected");
  peer.insert("42", "f");
  await connected(conversation);
  expect(ids(conversation)).toBe("late a c d e f");
  // More than go at once.
  for (let n = 0; n < 60; n++) socket.join(`more ${n}`);
  socket.leave("42");
  await until("many are joined", () => peer.members("more 59") && !peer.members("42"));
});

test("an answer that does not come is given up there as well, and what was aborted is asked for again", async () => {
  const kit = await engine((ms) => ms === 10_000);
  const peer = await startPeer();
  const history = peer.hold("messages");
  const conversation = open(kit, peer).join("42");
  await until("it is given up", () => conversation.state.error === "unreachable");
  history.open();
  await connected(conversation);
});

test.each(["index", "react", "composer"])("what is written of %s is syntax that Safari 15 reads", async (entry) => {
  const entryPoints = [fileURLToPath(new URL(`../src/${entry}.ts`, import.meta.url))];
  const options = { entryPoints, bundle: true, format: "esm" as const, external: ["socket.io-client", "react"], write: false as const };
  const [plain, safari] = [await build({ ...options, target: "es2022" }), await build({ ...options, target: "safari15" })];
  // Nothing had to be written in another way, but for class fields, which Safari 15 reads as well.
  expect(safari.warnings).toEqual([]);
  expect(safari.outputFiles[0]!.text.length / plain.outputFiles[0]!.text.length).toBeLessThan(1.02);
});
