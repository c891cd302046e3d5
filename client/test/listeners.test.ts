// Listeners of the application: they may throw, come, go and close everything.

import { expect, onTestFinished, test, vi } from "vitest";
import { connected, open, settled, shows, startPeer, told, until } from "./harness.js";

test("what listeners throw is reported, and stops nothing", async () => {
  const reported: unknown[] = [];
  const report = (error: unknown) => void reported.push(error);
  const others = process.rawListeners("unhandledRejection") as (() => void)[];
  process.removeAllListeners("unhandledRejection").on("unhandledRejection", report);
  onTestFinished(() => {
    process.removeAllListeners("unhandledRejection");
    for (const other of others) process.on("unhandledRejection", other);
  });
  const peer = await startPeer();
  peer.refusal = "unavailable";
  const socket = open(peer);
  const conversation = socket.join("42");
  const fails = (name: string) => () => {
    throw name;
  };
  conversation.subscribe(fails("subscriber"));
  socket.on("message:new", fails("listener"));
  const changes = vi.fn();
  conversation.subscribe(changes);
  const heard = told(socket);
  for (const id of ["a", "b", "c"]) peer.insert("42", id);
  await shows(conversation, "a b c");
  peer.insert("42", "d");
  await shows(conversation, "a b c d");
  expect(heard).toEqual(["new d"]);
  await until("it is reported", () => reported.length > 1);
  expect(new Set(reported)).toEqual(new Set(["subscriber", "listener"]));
  expect(changes).toHaveBeenCalled();
  socket.close();
  await settled();
});

test("a listener that has been taken off is told nothing more, not even of what came together", async () => {
  const peer = await startPeer();
  peer.refusal = "unavailable";
  const socket = open(peer);
  const conversation = socket.join("42");
  await until("it polls", () => conversation.state.status === "polling");
  const once: unknown[] = [];
  const off = socket.on("message:new", ({ message }) => {
    once.push(message.id);
    off();
  });
  const polls = peer.hold("events");
  await until("a poll is there", () => polls.held.length);
  for (const id of ["a", "b", "c"]) peer.insert("42", id);
  polls.open();
  await shows(conversation, "a b c");
  expect(once).toEqual(["a"]);
});

test("a listener that puts itself back is told once of each event", async () => {
  const peer = await startPeer();
  const socket = open(peer);
  const conversation = socket.join("42");
  await connected(conversation);
  let count = 0;
  const listen = () => {
    const off = socket.on("message:new", () => {
      off();
      if (++count < 100) listen();
    });
  };
  listen();
  peer.insert("42", "a");
  peer.insert("42", "b");
  await shows(conversation, "a b");
  expect(count).toBe(2);
});

test("who closes in the middle of several events is told no more of them", async () => {
  const peer = await startPeer();
  peer.refusal = "unavailable";
  const socket = open(peer);
  const heard = told(socket);
  socket.on("message:new", () => socket.close());
  const conversation = socket.join("42");
  await until("it polls", () => conversation.state.status === "polling");
  peer.log.append("42", "message:new", { message: peer.log.row("42", "a"), contactId: "42" });
  peer.insert("42", "b");
  await until("the first is told", () => heard.length);
  expect(heard).toEqual(["new a"]);
});
