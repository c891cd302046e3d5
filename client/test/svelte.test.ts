// The stores, in components that Svelte compiles and mounts.

import "./dom.js";
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { derived, get, type Readable } from "svelte/store";
import { compile } from "svelte/compiler";
import { beforeAll, expect, onTestFinished, test, vi } from "vitest";
import type { Message, Options } from "../src/index.js";
import { composerStore, conversationStore, inboxStore, presenceStore, roomStore, type ConversationStore } from "../src/svelte.js";
import { startPeer, until } from "./harness.js";
import type { Peer } from "./peer.js";

const CHAT = `
<script>
  let { chat } = $props();
</script>
<p>{$chat.messages.map(({ id }) => id).join(" ")}|{$chat.status}|{$chat.earlier.length}</p>`;

const LIST = `
<script>
  let { inbox } = $props();
</script>
<p>{$inbox.conversations.map(({ id }) => id).join(" ")}|{$inbox.unread}|{$inbox.status}</p>`;

const COMPOSED = `
<script>
  let { composer } = $props();
</script>
<p>{$composer.map(({ id, draft }) => id + (draft ? ":" + draft.status : "")).join(" ")}</p>`;

const HERE = `
<script>
  let { presence } = $props();
</script>
<p>{$presence.members.map(({ subject }) => subject).join(" ")}|{$presence.typist}</p>`;

let svelte: Record<"Chat" | "Composed" | "Here" | "List", object> & {
  mount(component: object, options: { target: Element; props: object }): object;
  unmount(component: object): void;
};

beforeAll(async () => {
  const folder = mkdtempSync(fileURLToPath(new URL(".svelte-", import.meta.url)));
  const sources: Record<string, string> = { "Chat.svelte": CHAT, "Composed.svelte": COMPOSED, "Here.svelte": HERE, "List.svelte": LIST };
  const outfile = join(folder, "components.mjs");
  await build({
    stdin: {
      contents: `export { mount, unmount } from "svelte"; ${["Chat", "Composed", "Here", "List"].map((name) => `export { default as ${name} } from "${name}.svelte";`).join(" ")}`,
      resolveDir: folder,
    },
    plugins: [
      {
        name: "svelte",
        setup({ onResolve, onLoad }) {
          onResolve({ filter: /\.svelte$/ }, ({ path }) => ({ path, namespace: "components" }));
          onLoad({ filter: /./, namespace: "components" }, ({ path }) => {
            const { js } = compile(sources[path]!, { filename: path, generate: "client", runes: true });
            return { contents: js.code, resolveDir: folder };
          });
        },
      },
    ],
    bundle: true, format: "esm", conditions: ["browser", "production"], platform: "browser", outfile, logLevel: "error",
  });
  svelte = (await import(pathToFileURL(outfile).href)) as typeof svelte;
  rmSync(folder, { recursive: true });
});

const options = (peer: Peer): Options => ({ url: peer.url, storage: null, pollConnectedMs: 60_000, pollDisconnectedMs: 30 });

function show(component: object, props: object) {
  const target = document.createElement("div");
  const page = svelte.mount(component, { target, props });
  let isThere = true;
  const goes = () => {
    if (isThere) svelte.unmount(page);
    isThere = false;
  };
  onTestFinished(goes);
  return { goes, says: (text: string) => until(`"${text}" is there`, () => target.textContent === text) };
}

test("a component shows a conversation and its events, each where it belongs, and leaves it when it goes", async () => {
  const peer = await startPeer();
  peer.log.order = "createdAt";
  peer.insert("42", "a");
  peer.insert("42", "b");
  const chat = conversationStore("42", { ...options(peer), limit: 1 });
  const { goes, says } = show(svelte.Chat, { chat });
  await says("b|connected|0");
  await chat.loadOlder();
  await says("a b|connected|0");
  peer.insert("42", "late", { createdAt: "2025-01-01T00:00:00Z" });
  await says("late a b|connected|1");
  chat.seeEarlier();
  await says("late a b|connected|0");
  chat.startTyping();
  await until("it is heard", () => peer.typing.length);
  goes();
  await until("the room is left", () => peer.members("42") === 0);
  await chat.loadOlder();
  show(svelte.Chat, { chat });
  await until("the room is entered again", () => peer.members("42") === 1);
  expect(peer.handshakes).toHaveLength(1);
});

test("a list of conversations has the newest first, and is live", async () => {
  const peer = await startPeer();
  peer.log.order = "createdAt";
  const row = (minute: number, unread: number) => ({ createdAt: `2026-01-01T00:0${minute}:00Z`, unread });
  ["a", "b"].forEach((id, index) => peer.insert("inbox:all", id, row(index, 1)));
  const inbox = inboxStore(undefined, { ...(options(peer) as Options<never>), limit: 1 });
  const { says } = show(svelte.List, { inbox });
  await says("b|1|connected");
  await inbox.loadOlder();
  await says("b a|2|connected");
  peer.write("inbox:all", "message:new", { message: peer.log.row("inbox:all", "a", row(5, 3)), contactId: "all" });
  await says("a b|4|connected");
});

test("two components of one store enter the room once, and it is left with the last of them", async () => {
  const peer = await startPeer();
  const inbox = roomStore("inbox:7", options(peer));
  const [one, two] = [show(svelte.Chat, { chat: inbox }), show(svelte.Chat, { chat: inbox })];
  await Promise.all([one.says("|connected|0"), two.says("|connected|0")]);
  one.goes();
  peer.insert("inbox:7", "a");
  await two.says("a|connected|0");
  two.goes();
  await until("the room is left", () => peer.members("inbox:7") === 0);
  expect(peer.asked.filter((what) => !what.startsWith("messages"))).toEqual(["join inbox:7", "leave inbox:7"]);
});

test("it is a store as Svelte's own functions want one", async () => {
  const peer = await startPeer();
  peer.insert("42", "a");
  const chat: Readable<{ status: string; connected: boolean }> = conversationStore("42", options(peer));
  expect(get(chat)).toMatchObject({ status: "connecting", connected: false });
  const seen: string[] = [];
  const unsubscribe = derived(chat, ({ status }) => status).subscribe((status) => seen.push(status));
  await until("it is connected", () => seen.at(-1) === "connected");
  unsubscribe();
  await until("the room is left", () => peer.members("42") === 0);
});

test("on a server nothing is connected", async () => {
  const peer = await startPeer();
  vi.stubGlobal("window", undefined);
  onTestFinished(() => void vi.unstubAllGlobals());
  expect(get(conversationStore("42", options(peer)))).toMatchObject({ loading: true, conversation: undefined });
  expect(peer.asked).toEqual([]);
});

test("what the user sends is there at once, and then as its row", async () => {
  const peer = await startPeer();
  peer.insert("42", "a");
  const chat: ConversationStore<Message> = conversationStore("42", options(peer));
  const composer = composerStore(chat);
  expect(() => composer.send({}, () => {})).toThrow("no conversation");
  const { goes, says } = show(svelte.Composed, { composer });
  await says("a");
  let isAway = true;
  composer.send({ externalId: "k1" }, async (draft) => {
    if (isAway) throw new Error("no");
    peer.insert("42", "b", draft);
  });
  await says("a k1:failed");
  isAway = false;
  get(composer).at(-1)!.draft!.retry();
  await says("a b");
  goes();
  await until("the room is left", () => peer.members("42") === 0);
});

test("a component shows who is there while it is there", async () => {
  const peer = await startPeer();
  peer.setPresent("42", "ana", true);
  const chat = conversationStore("42", options(peer));
  const { goes, says } = show(svelte.Here, { presence: presenceStore(chat) });
  await says("ana|");
  peer.setPresent("42", "ben", true);
  await says("ana ben|");
  peer.room("42").emit("typing:start", { contactId: "42", subject: "ben" });
  await says("ana ben|ben");
  goes();
  await until("the room is left", () => peer.members("42") === 0);
});
