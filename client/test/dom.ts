// A window for React. The network stays Node's.

import { Window } from "happy-dom";

const window = new Window({ url: "http://localhost/" });
const names = {
  window,
  document: window.document,
  navigator: window.navigator,
  addEventListener: window.addEventListener.bind(window),
};
for (const [name, value] of Object.entries(names)) {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}
