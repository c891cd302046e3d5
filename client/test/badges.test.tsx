// What the badges say, and what styles and tests hold on to.

import { readFileSync } from "node:fs";
import { renderToStaticMarkup } from "react-dom/server";
import { expect, test } from "vitest";
import { en, es, type Texts } from "../src/index.js";
import { ConnectionBadge, ErrorBadge, TypingBadge } from "../src/react.js";

test.each([
  ["connected", "Tiempo real", "Live"],
  ["connecting", "Conectando...", "Connecting..."],
  ["polling", "Actualizando cada pocos segundos", "Updating every few seconds"],
  ["offline", "Sin conexión", "Offline"],
] as const)("the connection badge of %s says %s and %s", (status, spanish, english) => {
  const badge = (text: string) => `<span role="status" data-status="${status}">${text}</span>`;
  expect(renderToStaticMarkup(<ConnectionBadge status={status} />)).toBe(badge(spanish));
  expect(renderToStaticMarkup(<ConnectionBadge status={status} texts={es} />)).toBe(badge(spanish));
  expect(renderToStaticMarkup(<ConnectionBadge status={status} texts={en} />)).toBe(badge(english));
});

test("the typing badge says so while the other side types and is empty otherwise", () => {
  expect(renderToStaticMarkup(<TypingBadge typing />)).toBe('<span role="status" data-typing="true">Escribiendo...</span>');
  expect(renderToStaticMarkup(<TypingBadge typing texts={en} />)).toBe('<span role="status" data-typing="true">Typing...</span>');
  expect(renderToStaticMarkup(<TypingBadge typing={false} />)).toBe('<span role="status" data-typing="false"></span>');
});

test("the error badge says why in words, a code that it does not know as it is, and nothing where there is none", () => {
  const says = (error: string | null, texts = es) => renderToStaticMarkup(<ErrorBadge error={error} texts={texts} />);
  const expired = '<span role="status" data-error="token_expired">';
  expect(says("token_expired")).toBe(`${expired}Tu sesión ha caducado: inicia sesión de nuevo</span>`);
  expect(says("token_expired", en)).toBe(`${expired}Your session has expired: sign in again</span>`);
  expect(says("of_tomorrow")).toBe('<span role="status" data-error="of_tomorrow">of_tomorrow</span>');
  expect(says(null)).toBe('<span role="status"></span>');
});

test("each code of the kit's page has words in both languages, and no word is missing there", () => {
  const page = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const table = page.split("| `error` | |")[1]!.split("\n\n")[0]!;
  const codes = [...table.matchAll(/^\|([^|]*)\|/gm)].flatMap(([, cell]) => [...cell!.matchAll(/`(\w+)`/g)].map(([, code]) => code));
  expect(codes.sort()).toEqual(Object.keys(es.errors).sort());
  expect(codes).toEqual(Object.keys(en.errors).sort());
  for (const words of [...Object.values(es.errors), ...Object.values(en.errors)]) expect(words).toMatch(/^[A-ZÁÉÍÓÚ].*\w$/);
});

test("each code has its place on the page of errors", () => {
  const page = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
  const headings = [...page.matchAll(/^### (\w+)$/gm)].map(([, code]) => code);
  const rows = [...page.matchAll(/^\| \[`(\w+)`\]\(#(\w+)\)/gm)].map(([, code, anchor]) => (code === anchor ? code : ""));
  expect(rows.sort()).toEqual(Object.keys(en.errors).sort());
  expect(headings).toEqual(expect.arrayContaining(rows));
});

test("the badge of typing says who does, where a name is known", () => {
  expect(renderToStaticMarkup(<TypingBadge typing typist="Ana" />)).toBe('<span role="status" data-typing="true">Ana está escribiendo...</span>');
  expect(renderToStaticMarkup(<TypingBadge typing typist={null} />)).toContain(">Escribiendo...<");
  expect(renderToStaticMarkup(<TypingBadge typing={false} typist="Ana" texts={en} />)).toContain("></span>");
  expect(renderToStaticMarkup(<TypingBadge typing typist="Ana" texts={en} />)).toContain(">Ana is typing...<");
});

test("texts can be the application's own", () => {
  const texts: Texts = { connection: { ...es.connection, connected: "En vivo" }, typing: "...", typist: (name) => `${name}...`, errors: { ...es.errors, forbidden: "No" } };
  expect(renderToStaticMarkup(<ConnectionBadge status="connected" texts={texts} />)).toContain(">En vivo<");
  expect(renderToStaticMarkup(<TypingBadge typing texts={texts} />)).toContain(">...<");
  expect(renderToStaticMarkup(<TypingBadge typing typist="Ana" texts={texts} />)).toContain(">Ana...<");
  expect(renderToStaticMarkup(<ErrorBadge error="forbidden" texts={texts} />)).toContain(">No<");
});

test("a badge takes what a span takes, and keeps what it says", () => {
  const html = renderToStaticMarkup(<ConnectionBadge status="offline" id="b" className="badge" role="note" title="t" />);
  expect(html).toBe('<span role="note" id="b" class="badge" title="t" data-status="offline">Sin conexión</span>');
  expect(renderToStaticMarkup(<TypingBadge typing aria-live="off" />)).toContain('aria-live="off"');
});
