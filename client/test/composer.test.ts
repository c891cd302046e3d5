// Messages that are shown before their rows are there.

import { expect, onTestFinished, test } from "vitest";
import { composerOf, type Composer } from "../src/composer.js";
import type { Conversation, Message } from "../src/index.js";
import { connected, open, shows, startPeer, until } from "./harness.js";
import type { Peer } from "./peer.js";

async function shown(options = {}) {
  const peer = await startPeer();
  peer.insert("42", "a");
  const socket = open(peer, options);
  const conversation = socket.join("42");
  await connected(conversation);
  return { peer, socket, conversation, composer: listening(composerOf(conversation)) };
}

/** One that is looked at, as a page does. */
function listening(composer: Composer): Composer {
  onTestFinished(composer.subscribe(() => composer.messages));
  return composer;
}

const lines = (composer: Composer) =>
  composer.messages.map(({ id, body, status, draft }) => `${draft ? "draft " : ""}${id} ${body} ${status}`).join(", ");
const line = (composer: Composer) => lines(composer).split(", ").at(-1);

/** Writes a row as a back end does, with its key. */
const write = (peer: Peer, id: string, { externalId, body }: Partial<Message>, more: Partial<Message> = {}) =>
  peer.insert("42", id, { externalId: externalId!, body: body!, direction: "outbound", ...more });

test("a draft is shown at once, and replaced by its row", async () => {
  const { peer, composer } = await shown();
  let told = 0;
  composer.subscribe(() => told++);
  let finish = (): void => {};
  composer.send({ externalId: "k1", body: "Hola" }, () => new Promise<void>((done) => (finish = done)));
  expect([lines(composer), told]).toEqual(["a a sent, draft k1 Hola queued", 1]);
  peer.insert("42", "b");
  await until("another is above it", () => lines(composer) === "a a sent, b b sent, draft k1 Hola queued");
  write(peer, "c", { externalId: "k1", body: "Hola" });
  await until("the row is there", () => lines(composer) === "a a sent, b b sent, c Hola sent");
  finish();
  await until("its end is told", () => lines(composer) === "a a sent, b b sent, c Hola sent");
});

test("a draft stays until its row is there, however it was answered", async () => {
  const { peer, composer } = await shown();
  composer.send({ externalId: "k1", body: "one" }, async () => ({ status: "sent" }));
  composer.send({ externalId: "k2", body: "two" }, () => {});
  await new Promise(setImmediate);
  expect(lines(composer)).toBe("a a sent, draft k1 one queued, draft k2 two queued");
  write(peer, "d", { externalId: "k2", body: "two" });
  await until("the second is replaced", () => lines(composer) === "a a sent, d two sent, draft k1 one queued");
});

test("what could not be written says so, is sent again with the same key, and can be discarded", async () => {
  const { peer, composer } = await shown();
  const keys: unknown[] = [];
  let isAway = true;
  composer.send({ body: "Hola" }, async (draft) => {
    keys.push(draft.externalId);
    if (isAway) throw new Error("503");
    write(peer, "b", draft);
  });
  composer.send({ externalId: "k2", body: "no" }, () => Promise.reject("refused"));
  const failed = () => composer.messages.flatMap(({ draft }) => (draft?.status === "failed" ? [draft] : []));
  await until("both failed", () => failed().length === 2);
  expect(failed().map(({ error }) => String(error))).toEqual(["Error: 503", "refused"]);
  expect(composer.messages.map(({ status }) => status)).toEqual(["sent", "failed", "failed"]);
  isAway = false;
  const [first, second] = failed();
  first!.retry();
  first!.retry();
  expect(failed()).toHaveLength(1);
  second!.discard();
  await until("it is written", () => lines(composer) === "a a sent, b Hola sent");
  second!.retry();
  expect(keys).toHaveLength(2);
  expect(keys[0]).toBe(keys[1]);
  expect(lines(composer)).toBe("a a sent, b Hola sent");
});

test("a row is shown once where its writing was said to have failed", async () => {
  const { peer, composer } = await shown();
  composer.send({ externalId: "k1", body: "Hola" }, async (draft) => {
    write(peer, "b", draft);
    throw new Error("the answer got lost");
  });
  await until("it is the row", () => lines(composer) === "a a sent, b Hola sent");
});

test("a row whose key is another one is known by the id that the writing returned", async () => {
  const { peer, composer } = await shown();
  composer.send({ externalId: "k1", body: "Hola" }, async () => ({ id: "b" }));
  await new Promise(setImmediate);
  write(peer, "b", { externalId: "wamid.1", body: "Hola" });
  await until("it is the row", () => lines(composer) === "a a sent, b Hola sent");
});

test("the key is a member or a function of the application's", async () => {
  const { peer, conversation } = await shown();
  const composer = listening(composerOf(conversation, { key: ({ metadata }) => metadata?.clientId }));
  composer.send({ metadata: { clientId: "m1" }, body: "Hola" }, () => {});
  expect(line(composer)).toBe("draft m1 Hola queued");
  peer.insert("42", "b", { metadata: { clientId: "m1" } });
  await until("it is the row", () => line(composer) === "b b sent");
  expect(() => composer.send({ body: "x" }, () => {})).toThrow("no key");
  const byAuthor = composerOf(conversation, { key: "author" });
  byAuthor.send({ body: "y" }, (draft) => expect(draft.author).toBeTruthy());
  expect(byAuthor.messages.at(-1)).toMatchObject({ body: "y", author: expect.any(String) });
});

test("a status that overtakes the row is kept: on the draft, and on the row that comes with an earlier one", async () => {
  const { peer, composer } = await shown();
  composer.send({ externalId: "k1", body: "Hola" }, async () => ({ id: "b" }));
  await new Promise(setImmediate);
  peer.room("42").emit("message:status", { messageId: "b", status: "delivered", contactId: "42", at: "" });
  peer.room("42").emit("message:status", { messageId: "b", status: "sent", contactId: "42", at: "" });
  await until("it is on the draft", () => line(composer) === "draft k1 Hola delivered");
  write(peer, "b", { externalId: "k1", body: "Hola" });
  await until("it is on the row", () => line(composer) === "b Hola delivered");
  peer.insert("42", "c");
  await until("the next is there", () => lines(composer) === "a a sent, b Hola delivered, c c sent");
  peer.setStatus("42", "b", "read");
  await until("the later one holds", () => lines(composer).includes("b Hola read"));
});

test("the row's status holds, whatever the late answer says, and failed is disproved by a delivery", async () => {
  const { peer, composer } = await shown();
  let finish = (_: unknown): void => {};
  composer.send({ externalId: "k1", body: "Hola" }, () => new Promise((done) => (finish = done)));
  write(peer, "b", { externalId: "k1", body: "Hola" });
  peer.setStatus("42", "b", "delivered");
  await until("it is delivered", () => line(composer) === "b Hola delivered");
  finish({ id: "b", status: "queued" });
  await new Promise(setImmediate);
  expect(line(composer)).toBe("b Hola delivered");
  // A status that goes backwards in a table of one's own is the table's business.
  composer.send({ externalId: "k2", body: "two" }, () => {});
  peer.setStatus("42", "b", "read");
  await until("it is read", () => lines(composer).includes("b Hola read"));
  peer.setStatus("42", "b", "sent");
  await until("it is shown as it is", () => lines(composer).includes("b Hola sent"));
});

test("with the server away what is sent is there when it comes back", async () => {
  const { peer, conversation, composer } = await shown({ pollDisconnectedMs: 60_000 });
  await peer.vanish();
  await until("the connection is lost", () => conversation.state.status !== "connected");
  let tries = 0;
  composer.send({ externalId: "k1", body: "Hola" }, (draft) => {
    if (!tries++) throw new Error("no network");
    write(peer, "b", draft);
  });
  await until("it failed", () => line(composer) === "draft k1 Hola failed");
  await peer.listen();
  composer.messages.at(-1)!.draft!.retry();
  await until("it is the row", () => line(composer) === "b Hola sent");
});

test("what is written is read at once where no socket brings it", async () => {
  const { peer, conversation, composer } = await shown({ pollDisconnectedMs: 60_000 });
  peer.joinRefusal = "too_many_rooms";
  peer.drop();
  await until("it polls", () => conversation.state.status === "polling" && conversation.state.error);
  composer.send({ externalId: "k1", body: "Hola" }, async (draft) => write(peer, "b", draft));
  await until("it is the row", () => line(composer) === "b Hola sent");
});

test("what failed is there when the page comes back to the conversation", async () => {
  const { peer, socket, conversation, composer } = await shown();
  composer.send({ externalId: "k1", body: "Hola" }, () => Promise.reject(new Error("no")));
  await until("it failed", () => line(composer) === "draft k1 Hola failed");
  conversation.leave();
  await until("the room is left", () => peer.members("42") === 0);
  const again: Conversation = socket.join("42");
  await connected(again);
  expect(again).not.toBe(conversation);
  const back = listening(composerOf(again));
  expect(lines(back)).toBe("a a sent, draft k1 Hola failed");
  write(peer, "b", { externalId: "k1", body: "Hola" });
  await shows(again, "a b");
  expect(lines(back)).toBe("a a sent, b Hola sent");
  expect(composerOf(open(peer).join("42")).messages).toEqual([]);
});

test("sending ends the typing", async () => {
  const { peer, conversation, composer } = await shown();
  conversation.startTyping();
  composer.send({ body: "Hola" }, () => {});
  await until("both are heard", () => peer.typing.length === 2);
  expect(peer.typing).toEqual(["start 42", "stop 42"]);
});

test("without drafts the messages are the conversation's own, and nobody listens", async () => {
  const { peer, socket, conversation, composer } = await shown();
  expect(composer.messages).toBe(conversation.state.messages);
  composer.send({ externalId: "k1", body: "Hola" }, () => {});
  composer.messages.at(-1)!.draft!.discard();
  expect(composer.messages).toBe(conversation.state.messages);
  const heard: unknown[] = [];
  socket.on("message:status", (payload) => heard.push(payload));
  peer.room("42").emit("message:status", { messageId: "z", status: "read", contactId: "42", at: "" });
  await until("it is told", () => heard.length);
  expect(composer.messages).toBe(conversation.state.messages);
});
