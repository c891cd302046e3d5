// Looks at a page with Chromium and prints, a line each, what its badges and messages say: node look.mjs <url>
import { execFileSync } from "node:child_process";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [url] = process.argv.slice(2);
const program = process.env.CHROMIUM ?? "chromium";
const executablePath = execFileSync("sh", ["-c", `command -v ${program}`], { encoding: "utf8" }).trim();
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const page = await browser.newPage();
page.on("pageerror", (error) => console.log("red:", error.message));
page.on("console", (message) => message.type() === "error" && console.log("red:", message.text()));
page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => console.log("frame:", payload)));
await page.exposeFunction("tell", (text) => console.log(text));
await page.addInitScript(() => {
  let told = "";
  const look = () => {
    const found = [...document.querySelectorAll("[data-status]")].map((e) => `${e.textContent}|${e.dataset.status}`);
    const typing = document.querySelector("[data-typing]")?.textContent ?? "";
    const badge = document.querySelector("[role=status][data-status]");
    const colour = badge && getComputedStyle(badge).backgroundColor;
    const error = document.querySelector("small")?.textContent ?? "";
    const text = [...found, typing, colour, error].join(" / ");
    if (text !== told) window.tell((told = text));
  };
  document.addEventListener("DOMContentLoaded", () => {
    new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
    look();
  });
});
await page.goto(url);
// Each line on stdin is typed into the page's text field.
createInterface({ input: process.stdin })
  .on("line", (line) => page.getByRole("textbox").pressSequentially(line))
  .on("close", () => browser.close());
