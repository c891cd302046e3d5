// A window for the front ends. The network stays Node's.

import { Window } from "happy-dom";

const window = new Window({ url: "http://localhost/" });
const { Element, Event, HTMLElement, MathMLElement, Node, SVGElement, Text, Comment } = window as unknown as Record<string, unknown>;
const names = {
  Comment, Element, Event, HTMLElement, MathMLElement, Node, SVGElement, Text,
  window,
  document: window.document,
  navigator: window.navigator,
  addEventListener: window.addEventListener.bind(window),
};
for (const [name, value] of Object.entries(names)) {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}
