// Packs what was built, as `x.js.gz` beside `x.js`: the server sends that to whoever unpacks it.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const folder = new URL("dist/assets/", import.meta.url);
for (const name of readdirSync(folder).filter((name) => /\.(css|js|json|map|svg|txt)$/.test(name))) {
  const file = new URL(name, folder);
  writeFileSync(new URL(`${name}.gz`, folder), gzipSync(readFileSync(file), { level: 9 }));
}
