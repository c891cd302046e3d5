// What users get: the packed files, their types, and a README whose snippets are programs.

import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, expect, onTestFinished, test } from "vitest";

const run = promisify(execFile);
const client = fileURLToPath(new URL("..", import.meta.url));
const at = (path: string) => join(client, path);
const readme = readFileSync(at("README.md"), "utf8");
const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin/tsc");

beforeAll(async () => {
  const built = existsSync(at("dist/index.js")) ? statSync(at("dist/index.js")).mtimeMs : 0;
  const changed = readdirSync(at("src")).some((name) => statSync(at(`src/${name}`)).mtimeMs > built);
  if (changed) await run("npm", ["run", "--silent", "build"], { cwd: client });
});

test("the package holds the built files, its README, its licences and a file of settings to copy, and nothing else", async () => {
  const { stdout } = await run("npm", ["pack", "--dry-run", "--json", "--silent"], { cwd: client });
  const [packed] = Object.values(JSON.parse(stdout) as Record<string, { files: { path: string }[] }>);
  const built = readdirSync(at("src")).flatMap((name) => {
    const module = name.replace(/\.ts$/, "");
    return [`dist/${module}.d.ts`, `dist/${module}.js`];
  });
  const others = [".env.example", "LICENSE-APACHE", "LICENSE-MIT", "README.md", "package.json"];
  expect(packed!.files.map(({ path }) => path).sort()).toEqual([...others, ...built].sort());
  expect(existsSync(at("LICENSE-MIT"))).toBe(false);
});

test("what is declared says nothing of what is inside", () => {
  for (const name of readdirSync(at("dist")).filter((name) => name.endsWith(".d.ts"))) {
    expect(readFileSync(at(`dist/${name}`), "utf8")).not.toContain("@internal");
  }
});

test("the hook's module says that it is a client's", () => {
  expect(readFileSync(at("dist/react.js"), "utf8")).toMatch(/^"use client";/);
});

interface Snippet {
  language: string;
  code: string;
}

const snippets: Snippet[] = [...readme.matchAll(/^```(tsx?)\n(.*?)^```$/gms)].map(([, language, code]) => {
  return { language: language!, code: code! };
});

/** The scripts of components, as far as they are TypeScript: without the compilers' own words, and what templates use. */
const scripts: Snippet[] = [...readme.matchAll(/^```(?:vue|svelte)\n<script[^>]*>\n(.*?)^<\/script>/gms)].map(([, code]) => {
  return { language: "ts", code: code!.replace(/defineProps<(.*?)>\(\)/, "{} as $1") };
});

/** What the compiler says to a user of the package who wrote this; nothing when all is well. */
async function compile(files: Snippet[]): Promise<string> {
  const folder = mkdtempSync(at("test/.snippets-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const config = { extends: "../../tsconfig.json", compilerOptions: { noEmit: true, skipLibCheck: false }, include: ["*"] };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config));
  for (const [n, { language, code }] of files.entries()) writeFileSync(join(folder, `snippet${n}.${language}`), code);
  const said = await run(process.execPath, [tsc, "--project", folder]).then(() => "", ({ stdout }: { stdout: string }) => stdout);
  // The declarations of other packages are theirs.
  return said.split("\n").filter((line) => /^\S/.test(line) && !line.startsWith("../node_modules/")).join("\n");
}

test("every snippet of the README type-checks, and so do the declarations", async () => {
  expect(snippets.length).toBeGreaterThan(4);
  expect(scripts).toHaveLength(3);
  expect(await compile([...snippets, ...scripts])).toBe("");
});

test("a snippet that does not type-check is found", async () => {
  const code = 'import { ConversationSocket } from "@rowcast/client";\nnew ConversationSocket({ uri: "ws://h" });\n';
  expect(await compile([{ language: "ts", code }])).toContain("'uri' does not exist");
});

test("a user of the hook writes ten lines", () => {
  const lines = snippets[0]!.code.split("\n").filter((line) => /\w/.test(line) && !/^(import|\s*return \(|\s*<\/)/.test(line));
  expect(lines.length).toBeLessThanOrEqual(10);
});

test("the README's table has every option with its default", () => {
  const source = readFileSync(at("src/options.ts"), "utf8");
  const names = [...source.matchAll(/^  (\w+)\?:/gm)].map(([, name]) => name);
  expect(names).toHaveLength(9);
  for (const name of names) expect(readme).toMatch(new RegExp(`^\\| \`${name}\` \\|`, "m"));
  for (const [, name, value] of source.matchAll(/: ([\d,]+)\. \*\/\n  (\w+)\?/g)) {
    expect(readme).toMatch(new RegExp(`^\\| \`${value}\` \\| \`${name!.replace(",", "")}\` \\|`, "m"));
  }
});
