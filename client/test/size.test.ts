// What a page pays, and that it pays for nothing else.

import { build } from "esbuild";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";

const LIMIT = 6144;

/** What a bundler makes of a page that imports this. */
async function bundle(contents: string): Promise<Uint8Array> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: fileURLToPath(new URL("../src", import.meta.url)), loader: "ts" },
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    external: ["socket.io-client", "react"],
    write: false,
  });
  return outputFiles[0]!.contents;
}

const sizeOf = async (contents: string) => gzipSync(await bundle(contents), { level: 9 }).length;

test("core and hook are below 6 KB", async () => {
  const hook = 'export { useConversationSocket } from "./react.js";';
  const bytes = await sizeOf(`${hook} export { ConversationSocket } from "./index.js";`);
  const all = await sizeOf('export * from "./index.js"; export * from "./react.js";');
  const core = await sizeOf('export { ConversationSocket } from "./index.js";');
  console.log(`core and hook: ${bytes} bytes of ${LIMIT}; the core alone ${core}; with both badges and all texts ${all}`);
  expect(bytes).toBeLessThan(LIMIT);
});

test("a page that imports only texts gets no connection", async () => {
  const code = new TextDecoder().decode(await bundle('export { en } from "./index.js";'));
  expect(code).toContain("Updating every few seconds");
  expect(code).not.toMatch(/socket\.io-client|Tiempo real|conversations\//i);
});

test("the core alone needs no React", async () => {
  const code = new TextDecoder().decode(await bundle('export * from "./index.js";'));
  expect(code).toContain("socket.io-client");
  expect(code).not.toContain("react");
});
