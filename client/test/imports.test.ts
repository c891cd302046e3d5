// No file of the kit imports another that, directly or not, imports it back.

import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const source = new URL("../src/", import.meta.url);

/** For each module the modules that it imports or re-exports, those of types alone included. */
function readImports(): Map<string, string[]> {
  const names = readdirSync(source, { recursive: true, encoding: "utf8" }).filter((name) => /\.tsx?$/.test(name));
  return new Map(
    names.map((name) => {
      const file = new URL(name, source);
      const imports = [...readFileSync(file, "utf8").matchAll(/\b(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)];
      const paths = imports.map(([, path]) => new URL(path!, file).href.slice(source.href.length));
      return [name.replace(/\.tsx?$/, ".js"), paths];
    }),
  );
}

/** A chain of imports that ends where it began, if there is one. */
function findCircle(imports: Map<string, string[]>): string[] | undefined {
  const cleared = new Set<string>();
  function walk(name: string, chain: string[]): string[] | undefined {
    if (chain.includes(name)) return [...chain.slice(chain.indexOf(name)), name];
    if (cleared.has(name)) return;
    for (const next of imports.get(name) ?? []) {
      const circle = walk(next, [...chain, name]);
      if (circle) return circle;
    }
    cleared.add(name);
  }
  for (const name of imports.keys()) {
    const circle = walk(name, []);
    if (circle) return circle;
  }
}

test("there is no import circle", () => {
  const imports = readImports();
  expect(imports.get("socket.js")).toContain("conversation.js");
  for (const path of [...imports.values()].flat()) expect([...imports.keys()]).toContain(path);
  expect(findCircle(imports)).toBeUndefined();
});

test("an import circle is found", () => {
  const imports = new Map([["a.js", ["b.js", "c.js"]], ["b.js", []], ["c.js", ["d.js"]], ["d.js", ["b.js", "c.js"]]]);
  expect(findCircle(imports)).toEqual(["c.js", "d.js", "c.js"]);
});
