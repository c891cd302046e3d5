// Drives a real Chromium for the integration tests.
//
// Speaks JSON lines: commands on stdin, one answer each on stdout. Nothing is interpreted here: the tests judge. A page is
// named by the number that `open` gave it, and has a context of its own: no cookie or storage is shared.
//
//   {ask, op:"open", page, options}            options: of Playwright's newContext (viewport, locale, colorScheme ...)
//   {ask, op:"goto", page, url}   {ask, op:"reload", page}   {ask, op:"close", page}
//   {ask, op:"wait", page, script, arg, ms}    until the function answers something true, which is the answer
//   {ask, op:"evaluate", page, script, arg}    script: a function's source
//   {ask, op:"click"|"focus"|"fill", page, role, name, text, ms}      name: the accessible name's first words, without regard to case
//   {ask, op:"type", page, text}   {ask, op:"press", page, key}       into what has the focus
//   {ask, op:"offline", page, offline}   {ask, op:"screenshot", page, path}   {ask, op:"resize", page, width, height}
//   {ask, op:"clock", page}                    from the next address on, time is of Playwright's clock
//   {ask, op:"skip", page, ms}                 that clock jumps: what is due in between is called once
//   {ask, op:"axe", page}                      what axe finds wrong, each as one line
//   {ask, op:"record", page}                   all that the page did so far; see `watch`
//
//   {saw:"browser", pid}   {ask, value}   {ask, error}
//
// When stdin ends, so do Chromium and this process.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { chromium } from "playwright-core";
import { recorder } from "./recorder.mjs";

const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const input = createInterface({ input: process.stdin });
const server = await chromium.launchServer({
  executablePath: process.env.CHROMIUM,
  // Tests may run as root, whom Chromium's sandbox refuses.
  args: ["--no-sandbox"],
});
const browser = await chromium.connect(server.wsEndpoint());
const pages = new Map();

// What a page does, from its first request on. Times are Unix milliseconds.
function watch(page) {
  const record = { requests: [], frames: [], console: [], errors: [], saw: [] };
  page.on("request", (request) => {
    const entry = { at: Date.now(), url: request.url(), kind: request.resourceType(), status: null };
    record.requests.push(entry);
    request.response().then((response) => { entry.status = response?.status() ?? 0; }, () => { entry.status = 0; });
  });
  page.on("websocket", (socket) => {
    record.requests.push({ at: Date.now(), url: socket.url(), kind: "websocket", status: null });
    socket.on("framesent", ({ payload }) => record.frames.push(String(payload)));
  });
  page.on("console", (message) => record.console.push({ level: message.type(), text: message.text() }));
  page.on("pageerror", (error) => record.errors.push(error.stack ?? String(error)));
  return record;
}

async function evaluate(page, script, arg) {
  const source = `(${script})(${JSON.stringify(arg ?? null)})`;
  return (await page.evaluate(source)) ?? null;
}

// What a person would see, for messages.
async function shown(page) {
  const text = page.evaluate(`(() => {
    const { body, activeElement } = document;
    const fields = [...document.querySelectorAll("input, textarea")].map(({ id, value }) => "\\nfield " + id + ": " + value).join("");
    return body ? body.innerText + fields + "\\nfocus: " + activeElement?.outerHTML.slice(0, 200) : "";
  })()`).catch((error) => `(${error.message})`);
  const seen = await Promise.race([text, pause(2_000, "(it does not answer)")]);
  return `${page.url()} shows instead:\n${String(seen).slice(0, 3_000)}`;
}

async function wait({ page, record }, { script, arg, ms }) {
  const deadline = Date.now() + ms;
  for (;;) {
    // A page that navigates has no answer; it may have one later.
    const value = await Promise.race([evaluate(page, script, arg).catch((error) => {
      if (/destroyed|navigat|Cannot find context/i.test(error.message)) return null;
      throw error;
    }), pause(2_000, null)]);
    if (value) return value;
    if (Date.now() >= deadline) {
      const last = record.console.slice(-5).map(({ level, text }) => `\n  ${level}: ${text}`).join("");
      throw new Error(`${await shown(page)}${last}${record.errors.slice(-3).map((error) => `\n  ${error}`).join("")}`);
    }
    await pause(25);
  }
}

// Chromium may still be on its way to the page that says what failed before.
async function load(page, url) {
  for (let left = 5; ; left -= 1) {
    try {
      await page.goto(url);
      return;
    } catch (error) {
      if (left === 0 || !error.message.includes("interrupted by another navigation")) throw error;
    }
  }
}

// The one element of a role whose accessible name begins with these words.
const find = (page, { role, name }) =>
  page.getByRole(role, { name: new RegExp(`^${name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}(?!\\w)`, "i") });

async function act(page, command, action) {
  try {
    return await action(find(page, command), { timeout: command.ms });
  } catch (error) {
    throw new Error(`${error.message.split("\n")[0]}; ${await shown(page)}`);
  }
}

// What axe finds wrong with the page as it stands. Evaluated, not loaded: the page's policy would refuse a script.
async function axe(page) {
  const source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  await page.evaluate(`{ ${source} }; null`);
  const { violations } = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })");
  return violations.flatMap(({ id, help, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${help}: ${html}: ${failureSummary}`));
}

const commands = {
  async open({ page: number, options }) {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const record = watch(page);
    await page.exposeFunction("rowcastSaw", (entries) => void record.saw.push(...entries));
    await page.addInitScript(recorder);
    pages.set(number, { page, record });
  },
  goto: ({ page }, { url }) => load(page, url),
  reload: ({ page }) => page.reload().then(() => null),
  close: ({ page }) => page.context().close(),
  wait,
  evaluate: ({ page }, { script, arg }) => evaluate(page, script, arg),
  click: ({ page }, command) => act(page, command, (found, options) => found.click(options)),
  focus: ({ page }, command) => act(page, command, (found, options) => found.focus(options)),
  fill: ({ page }, command) => act(page, command, (found, options) => found.fill(command.text, options)),
  type: ({ page }, { text }) => page.keyboard.type(text),
  press: ({ page }, { key }) => page.keyboard.press(key),
  offline: ({ page }, { offline }) => page.context().setOffline(offline),
  resize: ({ page }, { width, height }) => page.setViewportSize({ width, height }),
  clock: ({ page }) => page.clock.install(),
  skip: ({ page }, { ms }) => page.clock.fastForward(ms),
  screenshot: ({ page }, { path }) => page.screenshot({ path }).then(({ length }) => length),
  axe: ({ page }) => axe(page),
  record: ({ record }) => record,
};

tell({ saw: "browser", pid: server.process().pid });
input
  .on("line", async (line) => {
    const command = JSON.parse(line);
    const { ask, op } = command;
    try {
      const value = await (op === "open" ? commands.open(command) : commands[op](pages.get(command.page), command));
      tell({ ask, value: value ?? null });
    } catch (error) {
      tell({ ask, error: error.message });
    }
  })
  .on("close", () => server.kill().finally(() => process.exit(0)));
