// What the badges say, and what styles and tests hold on to.

import { renderToStaticMarkup } from "react-dom/server";
import { expect, test } from "vitest";
import { en, es, type Texts } from "../src/index.js";
import { ConnectionBadge, TypingBadge } from "../src/react.js";

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

test("texts can be the application's own", () => {
  const texts: Texts = { connection: { ...es.connection, connected: "En vivo" }, typing: "..." };
  expect(renderToStaticMarkup(<ConnectionBadge status="connected" texts={texts} />)).toContain(">En vivo<");
  expect(renderToStaticMarkup(<TypingBadge typing texts={texts} />)).toContain(">...<");
});

test("a badge takes what a span takes, and keeps what it says", () => {
  const html = renderToStaticMarkup(<ConnectionBadge status="offline" id="b" className="badge" role="note" title="t" />);
  expect(html).toBe('<span role="note" id="b" class="badge" title="t" data-status="offline">Sin conexión</span>');
  expect(renderToStaticMarkup(<TypingBadge typing aria-live="off" />)).toContain('aria-live="off"');
});
