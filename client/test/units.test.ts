// The parts that need no server.

import { expect, test, vi } from "vitest";
import { parseAddress } from "../src/address.js";
import { readConversation, storeConversation } from "../src/cache.js";
import { codeOf } from "../src/error.js";
import { en, es, type Message } from "../src/index.js";
import { applyEvent, mergeNewest } from "../src/messages.js";
import { renewalOf, Token } from "../src/token.js";
import { jwt, shelf } from "./harness.js";

test.each([
  ["ws://h:1", "http://h:1", ""],
  ["wss://h", "https://h", ""],
  ["http://h/", "http://h", ""],
  ["HTTPS://H/realtime", "httpS://H", "/realtime"],
  ["wss://h/a/b//", "https://h", "/a/b"],
  ["ws://[::1]:3001", "http://[::1]:3001", ""],
])("%s is where %s%s is", (url, origin, path) => {
  expect(parseAddress(url)).toEqual({ origin, path });
});

test.each(["", "h", "h:3001", "/path", "ws://", "ws:///path", "ws://h/?q=1", "ws://h#x", "xws://h", "ws://h h", "file:///h"])(
  "%s is no address",
  (url) => {
    expect(() => parseAddress(url)).toThrow(new TypeError(`url: "${url}" is no ws://, wss://, http:// or https:// address`));
  },
);

test.each([[null], [undefined], ["text"], [{ code: 23 }], [{}], [new Error("no")]])("%j has no code of the server's", (error) => {
  expect(codeOf(error)).toBe("unreachable");
});

test("when a token is to be renewed is known whatever is in it, and whatever this clock shows", () => {
  const token = (body: object) => `h.${Buffer.from(JSON.stringify(body)).toString("base64url")}.s`;
  const [iat, exp, minute] = [1_800_000_000, 1_800_000_600, 60_000];
  const now = iat * 1000;
  expect(renewalOf(token({ exp }), now)).toBe(now + 5 * minute);
  // Bytes whose base64 has the two characters that URLs write differently.
  expect(renewalOf(token({ exp, name: "~~~???ÿÿÿ>>>" }), now)).toBe(now + 5 * minute);
  expect(renewalOf(token({ exp, iat }), now)).toBe(now + 5 * minute);
  expect(renewalOf(token({ exp, iat }), now + 6 * minute)).toBe(now + 8 * minute);
  // This clock is an hour behind, or ahead.
  expect(renewalOf(token({ exp, iat }), now - 60 * minute)).toBe(now - 55 * minute);
  expect(renewalOf(token({ exp, iat }), now + 60 * minute)).toBe(now + 65 * minute);
  // Or the token is over indeed.
  expect(renewalOf(token({ exp }), now + 60 * minute)).toBe(now + 60.5 * minute);
  expect(renewalOf(token({ exp: iat, iat: exp }), now + minute)).toBe(now + 1.5 * minute);
  const none = [null, undefined, "", "opaque", "a.b.c", "..", token({}), token({ iat }), token({ exp: "soon" }), "a.bnVsbA.c"];
  for (const text of none) expect(renewalOf(text, now)).toBeNaN();
});

test("a source is asked again at half the token's life, when it is forgotten and when it failed", async () => {
  vi.useFakeTimers({ now: 1_000_000 });
  const source = vi.fn(async () => jwt("t", 60_000));
  const token = new Token(source);
  expect(await Promise.all([token.get(), token.get()])).toHaveLength(2);
  expect(source).toHaveBeenCalledTimes(1);
  expect(token.renewAt).toBe(1_030_000);
  vi.setSystemTime(1_029_999);
  await token.get();
  expect(source).toHaveBeenCalledTimes(1);
  vi.setSystemTime(1_030_000);
  await Promise.all([token.get(), token.get()]);
  expect(source).toHaveBeenCalledTimes(2);
  token.forget();
  source.mockRejectedValueOnce(new Error("away"));
  const warned = vi.spyOn(console, "warn").mockImplementation(() => {});
  await expect(token.get()).rejects.toEqual({ code: "no_token" });
  expect(String(warned.mock.lastCall?.[1])).toContain("away");
  warned.mockRestore();
  await token.get();
  expect(source).toHaveBeenCalledTimes(4);
  vi.useRealTimers();
});

test("a token that is a value is never renewed", async () => {
  const token = new Token(jwt("t", -5_000));
  await token.get();
  expect(token.renewAt).toBeNaN();
  expect(await new Token(undefined).get()).toBeUndefined();
});

const row = (id: string, more: Partial<Message> & Record<string, unknown> = {}) => ({ id, body: id, status: "sent", ...more }) as Message;
const rows = [row("a"), row("b")];

test("an event changes the message that it names, and nothing else", () => {
  expect(applyEvent(rows, "message:new", { message: row("c") })).toEqual([...rows, row("c")]);
  expect(applyEvent(rows, "message:new", { message: row("a", { body: "x" }) })).toEqual([row("a", { body: "x" }), rows[1]]);
  expect(applyEvent(rows, "message:updated", { message: row("b", { body: "x" }) })).toEqual([rows[0], row("b", { body: "x" })]);
  expect(applyEvent(rows, "message:status", { messageId: "a", status: "read" })).toEqual([row("a", { status: "read" }), rows[1]]);
  expect(applyEvent(rows, "message:deleted", { messageId: "a" })).toEqual([rows[1]]);
  expect(rows).toEqual([row("a"), row("b")]);
});

test("ids that one table has as numbers are the same as texts", () => {
  const numbered = [{ id: 7, status: "sent" }] as unknown as Message[];
  expect(applyEvent(numbered, "message:status", { messageId: "7", status: "read" })).toMatchObject([{ id: 7, status: "read" }]);
});

test.each([
  ["message:updated", { message: row("z") }],
  ["message:status", { messageId: "z", status: "read" }],
  ["message:deleted", { messageId: "z" }],
  ["message:deleted", {}],
  ["order:paid", { messageId: "a" }],
  ["order:paid", { message: row("c") }],
  ["message:newer", { message: row("a", { body: "x" }) }],
  ["message:new", null],
  ["message:new", undefined],
])("an event that changes nothing gives the same list: %s %j", (event, payload) => {
  expect(applyEvent(rows, event, payload)).toBe(rows);
});

test("the newest messages go below the older ones that are known", () => {
  expect(mergeNewest(rows, [row("b", { body: "x" }), row("c")])).toEqual([rows[0], row("b", { body: "x" }), row("c")]);
  expect(mergeNewest(rows, [row("c"), row("d")])).toEqual([row("c"), row("d")]);
  expect(mergeNewest(rows, [])).toEqual([]);
  expect(mergeNewest(rows, [row("b")])).toBe(rows);
  expect(mergeNewest([], rows)).toEqual(rows);
});

test("a conversation is kept whole or not at all", () => {
  const storage = shelf();
  const messages = Array.from({ length: 501 }, (_, n) => row(`m${n}`));
  storeConversation({ storage }, "key", { messages: messages.slice(1), more: false, offset: "o" });
  expect(readConversation<Message>({ storage }, "key")).toMatchObject({ more: false, offset: "o", messages: messages.slice(1) });
  storeConversation({ storage }, "key", { messages, more: false, offset: "o" });
  expect(readConversation<Message>({ storage }, "key")).toEqual({});
  storeConversation({ storage }, "key", { messages: rows, more: false, offset: "o" });
  expect(readConversation<Message>({ storage }, "key")).toMatchObject({ more: false, messages: rows });
  storeConversation({ storage }, "key", { messages: rows, more: true, offset: undefined });
  expect(readConversation<Message>({ storage }, "key")).toEqual({});
  expect(storage.getItem("key")).toBe("{}");
});

test("where no storage is given it is the tab's", () => {
  const storage = shelf();
  vi.stubGlobal("sessionStorage", storage);
  storeConversation({}, "key", { messages: rows, more: false, offset: "o" });
  expect(readConversation<Message>({}, "key").messages).toEqual(rows);
  storeConversation({ storage: null }, "key", { messages: [], more: false, offset: "p" });
  expect(readConversation<Message>({}, "key").offset).toBe("o");
  vi.unstubAllGlobals();
});

test("both languages have every text", () => {
  expect(es).toMatchObject({
    connection: {
      connected: "Tiempo real", connecting: "Conectando...", polling: "Actualizando cada pocos segundos", offline: "Sin conexión",
    },
    typing: "Escribiendo...",
  });
  expect(en).toMatchObject({
    connection: { connected: "Live", connecting: "Connecting...", polling: "Updating every few seconds", offline: "Offline" },
    typing: "Typing...",
  });
});

test.each([
  // Times, whole seconds and parts of one; with a tie.
  [["at", "seq"], [{ at: "2026-01-01T00:00:00Z", seq: 1 }, { at: "2026-01-01T00:00:00.5Z", seq: 2 }, { at: "2026-01-01T00:00:00.5Z", seq: 10 }, { at: null, seq: 3 }]],
  // Numbers as strings, some beyond 2^53; null is the newest.
  [["n"], [{ n: "-3" }, { n: "9" }, { n: "10.5" }, { n: "9007199254740992" }, { n: "9007199254740993" }, { n: null }]],
  [["at"], [{ at: "-infinity" }, { at: "1999-12-31" }, { at: "2026-01-02" }, { at: "infinity" }]],
])("a message goes where the server sorts it, by %j", (order, sorted) => {
  const rows = sorted.map((members, at) => row(String(at), members));
  for (const late of rows) {
    const others = rows.filter((each) => each !== late);
    expect(applyEvent(others, "message:new", { message: late }, { order })).toEqual(rows);
    // One that is known and changes moves there as well.
    const moved = [...others.slice(0, -1), row(late.id, rows.at(-1) === late ? sorted[0] : sorted.at(-1)), ...others.slice(-1)];
    expect(applyEvent(moved, "message:updated", { message: late }, { order }).map(({ id }) => id)).toEqual(rows.map(({ id }) => id));
  }
});

test("messages that are sorted alike stay in the order in which they came", () => {
  const rows = ["a", "b"].map((id) => row(id, { at: "2026-01-01T00:00:00Z" }));
  const next = row("0", { at: "2026-01-01T00:00:00Z" });
  expect(applyEvent(rows, "message:new", { message: next }, { order: ["at"] })).toEqual([...rows, next]);
});

test("a message from before the loaded ones comes with its page", () => {
  const rows = [row("b", { at: "2026-01-02" })];
  const event = { message: row("a", { at: "2026-01-01" }) };
  expect(applyEvent(rows, "message:new", event, { order: ["at"] }, true)).toBe(rows);
  expect(applyEvent(rows, "message:new", event, { order: ["at"] }, false).map(({ id }) => id)).toEqual(["a", "b"]);
});

test("a key of several members is one key", () => {
  const shape = { key: ["tenant", "id"] };
  const rows = [row("1", { tenant: "1" }), row("1", { tenant: "2" })];
  expect(applyEvent(rows, "message:deleted", { messageId: "2:1" }, shape)).toEqual([rows[0]]);
  expect(applyEvent(rows, "message:new", { message: row("1", { tenant: "2", body: "x" }) }, shape)).toEqual([rows[0], row("1", { tenant: "2", body: "x" })]);
  expect(mergeNewest(rows, [rows[1]!], shape)).toBe(rows);
  // Of another table, which has no tenants.
  expect(applyEvent([...rows, row("7")], "message:status", { messageId: "7", status: "read" }, shape).at(-1)).toEqual(row("7", { status: "read" }));
});
