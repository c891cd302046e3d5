// What a page pays, and that it pays for nothing else.

import { build } from "esbuild";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";

const LIMIT = 6144;
/** For each entry that is not the core. */
const ENTRY_LIMIT = 1024;

/** What a bundler makes of a page that imports this. */
async function bundle(contents: string): Promise<Uint8Array> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: fileURLToPath(new URL("../src", import.meta.url)), loader: "ts" },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    external: ["socket.io-client", "react", "vue"],
    write: false,
  });
  return outputFiles[0]!.contents;
}

const sizeOf = async (contents: string) => gzipSync(await bundle(contents), { level: 9 }).length;

const CORE = 'export { ConversationSocket } from "./index.js";';

test("core and hook are below 6 KB", async () => {
  const hook = 'export { useConversationSocket } from "./react.js";';
  const bytes = await sizeOf(`${hook} ${CORE}`);
  const all = await sizeOf('export * from "./index.js"; export * from "./react.js";');
  const core = await sizeOf(CORE);
  console.log(`core and hook: ${bytes} bytes of ${LIMIT}; the core alone ${core}; with all texts, badges, Suspense and composer ${all}`);
  expect(bytes).toBeLessThan(LIMIT);
});

const COMPOSER = 'export * from "./composer.js";';
const INBOX = 'export * from "./inbox.js";';
const PRESENCE = 'export * from "./presence.js";';

test.each([
  ["composer", CORE],
  ["inbox", CORE],
  ["presence", CORE],
  ["vue", CORE + COMPOSER + INBOX + PRESENCE],
  ["svelte", CORE + COMPOSER + INBOX + PRESENCE],
  ["tanstack", CORE],
  // What the first test does not have: the badges, the hook that suspends, those of the composer and of presence.
  ["react", `${CORE} ${COMPOSER} ${INBOX} ${PRESENCE} export { useConversationSocket } from "./react.js";`],
])("the entry %s is below 1 KB, beyond what it is made of", async (entry, below) => {
  const bytes = (await sizeOf(`${below} export * from "./${entry}.js";`)) - (await sizeOf(below));
  console.log(`${entry}: ${bytes} bytes of ${ENTRY_LIMIT}`);
  expect(bytes).toBeLessThan(ENTRY_LIMIT);
});

test.each([
  ["react", "useConversationSocket"],
  ["vue", "useConversationSocket"],
  ["svelte", "conversationStore"],
  ["tanstack", "conversationCollection"],
])("a page that shows messages alone by %s gets no composer and no presence", async (entry, name) => {
  const code = new TextDecoder().decode(await bundle(`export { ${name} } from "./${entry}.js";`));
  expect(code).not.toContain("the draft has no key");
  expect(code).not.toContain("presence:state");
});

test("a page that imports only texts gets no connection", async () => {
  const code = new TextDecoder().decode(await bundle('export { en } from "./index.js";'));
  expect(code).toContain("Updating every few seconds");
  expect(code).not.toMatch(/socket\.io-client|Tiempo real|conversations\//i);
});

test.each(["index", "composer", "inbox", "presence", "svelte", "tanstack", "vue"])("what is in %s needs no React", async (entry) => {
  const code = new TextDecoder().decode(await bundle(`export * from "./${entry}.js"; ${CORE}`));
  expect(code).toContain("socket.io-client");
  expect(code).not.toContain("react");
});
