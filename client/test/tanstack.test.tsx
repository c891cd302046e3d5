// The bridges, with TanStack's own clients.

import "./dom.js";
import { createCollection, liveQueryCollectionOptions } from "@tanstack/db";
import { QueryClient, QueryClientProvider, QueryObserver, useQuery } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { expect, onTestFinished, test } from "vitest";
import type { Message, Options } from "../src/index.js";
import { conversationCollection, conversationQuery, roomCollection } from "../src/tanstack.js";
import { hurry, startPeer, until } from "./harness.js";
import type { Peer } from "./peer.js";

const options = (peer: Peer): Options => ({ url: peer.url, storage: null, pollConnectedMs: 60_000, pollDisconnectedMs: 30 });
const at = (minute: number) => `2026-01-01T00:${String(minute).padStart(2, "0")}:00Z`;

function client(): QueryClient {
  const client = new QueryClient();
  onTestFinished(() => client.clear());
  return client;
}

test("a component's query is a conversation that is kept up to date, and leaves it with the last component", async () => {
  const peer = await startPeer();
  peer.log.order = "createdAt";
  for (const [n, id] of ["a", "b"].entries()) peer.insert("42", id, { createdAt: at(n) });
  const chat = conversationQuery("42", { ...options(peer), limit: 1 });
  const Chat = () => {
    const { data } = useQuery(conversationQuery("42", { ...options(peer), limit: 1 }));
    return <p>{data ? `${data.messages.map(({ id }) => id).join(" ")}|${data.status}` : "loading"}</p>;
  };
  const element = document.createElement("div");
  const root = createRoot(element);
  onTestFinished(() => root.unmount());
  const queries = client();
  const show = (node: React.ReactNode) => root.render(<StrictMode><QueryClientProvider client={queries}>{node}</QueryClientProvider></StrictMode>);
  const says = (text: string) => until(`"${text}" is there`, () => element.textContent === text);
  show([<Chat key="1" />, <Chat key="2" />]);
  await says("b|connectedb|connected");
  peer.insert("42", "c", { createdAt: at(3) });
  await says("b c|connectedb c|connected");
  await chat.loadOlder();
  await says("a b c|connecteda b c|connected");
  show([<Chat key="1" />]);
  peer.insert("42", "late", { createdAt: at(2) });
  await says("a b late c|connected");
  expect(peer.members("42")).toBe(1);
  show([]);
  await until("the room is left", () => peer.members("42") === 0);
  peer.insert("42", "d", { createdAt: at(4) });
  show([<Chat key="3" />]);
  await says("d|connected");
  expect(peer.handshakes).toHaveLength(1);
});

test("a query that nobody observes follows nothing once it is fetched, and one that is fetched again goes on", async () => {
  const peer = await startPeer();
  peer.insert("42", "a");
  const queries = client();
  const chat = conversationQuery("42", options(peer));
  const { messages } = await queries.fetchQuery(chat);
  expect(messages.map(({ id }) => id)).toEqual(["a"]);
  await until("the room is left", () => peer.members("42") === 0);
  const observer = new QueryObserver(queries, chat);
  const stop = observer.subscribe(() => {});
  const data = () => observer.getCurrentResult().data;
  await until("it is fetched again", () => data()?.status === "connected");
  await observer.refetch();
  await observer.refetch();
  peer.insert("42", "b");
  await until("the event is there", () => data()?.messages.length === 2);
  expect(peer.members("42")).toBe(1);
  stop();
  await until("the room is left", () => peer.members("42") === 0);
});

test("a query of a server that is away has the error in its data", async () => {
  const peer = await startPeer();
  await peer.close();
  const data = await client().fetchQuery(conversationQuery("42", options(peer)));
  expect(data).toMatchObject({ status: "offline", error: "unreachable", messages: [] });
});

/** A collection, and what its rows are. */
async function collected(peer: Peer, more: Options = {}) {
  const collection = createCollection(conversationCollection("42", { ...options(peer), ...more }));
  onTestFinished(() => collection.cleanup());
  const changes: string[] = [];
  const subscription = collection.subscribeChanges((batch) => {
    changes.push(batch.map(({ type, key }) => `${type} ${key}`).join(", "));
  });
  onTestFinished(() => subscription.unsubscribe());
  await collection.preload();
  const rows = () => collection.toArray.map(({ id, status }) => `${id} ${status}`).join(", ");
  return { collection, changes, rows, has: (wanted: string) => until(`"${wanted}", and there is "${rows()}"`, () => rows() === wanted) };
}

test("a collection has the loaded rows in the server's order, and each change of them", async () => {
  const peer = await startPeer();
  Object.assign(peer.log, { order: "createdAt", key: "id" });
  for (const [n, id] of ["z", "y", "x"].entries()) peer.insert("42", id, { createdAt: at(n * 10) });
  const { collection, changes, has } = await collected(peer, { limit: 2 });
  await has("y sent, x sent");
  await collection.utils.loadOlder();
  await has("z sent, y sent, x sent");
  peer.insert("42", "late", { createdAt: at(15) });
  await has("z sent, y sent, late sent, x sent");
  peer.setStatus("42", "z", "read");
  await has("z read, y sent, late sent, x sent");
  peer.remove("42", "y");
  await has("z read, late sent, x sent");
  expect(changes.filter(Boolean)).toEqual(["insert y, insert x", "insert z", "insert late", "update z", "delete y"]);
  const live = createCollection(
    liveQueryCollectionOptions({ query: (q) => q.from({ row: collection }).orderBy(({ row }) => row.createdAt, "desc").limit(1), startSync: true }),
  );
  onTestFinished(() => live.cleanup());
  await live.preload();
  expect(live.toArray.map(({ id }: { id: string }) => id)).toEqual(["x"]);
});

test("where continuity is lost the rows are replaced, and none that went meanwhile stays", async () => {
  hurry();
  const peer = await startPeer();
  for (const id of ["a", "b"]) peer.insert("42", id);
  const { has } = await collected(peer);
  await has("a sent, b sent");
  peer.log.append("42", "message:deleted", { messageId: "a", contactId: "42" });
  peer.log.append("42", "message:status", { messageId: "b", status: "read", contactId: "42" });
  peer.log.append("42", "message:new", { message: peer.log.row("42", "c"), contactId: "42" });
  peer.oldest = peer.log.position;
  peer.room("42").emit("rowcast:resync", { contactId: "42", room: "conversation:42", reason: "test" });
  await has("b read, c sent");
  peer.insert("42", "d");
  await has("b read, c sent, d sent");
});

test("events that come while the history is on its way are in the collection once", async () => {
  const peer = await startPeer();
  peer.insert("42", "a");
  const history = peer.hold("messages");
  const loading = collected(peer);
  await until("the history is asked for", () => history.held.length);
  peer.insert("42", "b");
  peer.setStatus("42", "a", "read");
  history.open();
  await (await loading).has("a read, b sent");
});

test("nothing of a room that is forbidden stays in its collection", async () => {
  const peer = await startPeer();
  peer.insert("42", "a");
  const { collection, has } = await collected(peer);
  await has("a sent");
  await until("it is entered", () => peer.members("42") === 1);
  peer.putOut("42", "forbidden");
  await until("it is empty", () => collection.size === 0);
});

test("a collection is ready without a server, and leaves its room when it is cleaned up", async () => {
  const peer = await startPeer();
  const collection = createCollection(roomCollection<Message>("inbox:7", options(peer)));
  await collection.preload();
  await until("it is entered", () => peer.members("inbox:7") === 1);
  await collection.cleanup();
  await until("it is left", () => peer.members("inbox:7") === 0);
  await peer.vanish();
  const other = createCollection(conversationCollection("43", { ...options(peer), url: peer.url.replace("127.0.0.1", "localhost") }));
  await other.preload();
  expect(other.size).toBe(0);
  await other.cleanup();
});
