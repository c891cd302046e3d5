// Typing, both ways.

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { connected, open, startPeer, until } from "./harness.js";

// The clock stands still between the test's steps.
beforeEach(() => void vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

async function joined() {
  const peer = await startPeer();
  const socket = open(peer);
  const conversation = socket.join("42");
  await connected(conversation);
  return { peer, socket, conversation };
}

/** What the peer has heard once everything before is heard. */
async function heard({ peer, socket }: Awaited<ReturnType<typeof joined>>): Promise<string> {
  await socket.io!.emitWithAck("leave:conversation", "other");
  return peer.typing.join(", ");
}

test("a key stroke tells that typing began, once in five seconds", async () => {
  const page = await joined();
  for (let second = 0; second < 12; second++) {
    page.conversation.startTyping();
    vi.advanceTimersByTime(1_000);
  }
  expect(await heard(page)).toBe("start 42, start 42");
});

test("typing stops by itself four seconds after the last key stroke", async () => {
  const page = await joined();
  page.conversation.startTyping();
  vi.advanceTimersByTime(3_000);
  page.conversation.startTyping();
  vi.advanceTimersByTime(3_999);
  expect(await heard(page)).toBe("start 42");
  vi.advanceTimersByTime(1);
  expect(await heard(page)).toBe("start 42, stop 42");
  page.conversation.startTyping();
  expect(await heard(page)).toBe("start 42, stop 42, start 42");
});

test("typing that is stopped is told once, and never without a start", async () => {
  const page = await joined();
  page.conversation.stopTyping();
  page.conversation.startTyping();
  page.conversation.stopTyping();
  page.conversation.stopTyping();
  vi.advanceTimersByTime(10_000);
  expect(await heard(page)).toBe("start 42, stop 42");
});

test("leaving stops typing before the room is left", async () => {
  const page = await joined();
  page.conversation.startTyping();
  page.conversation.leave();
  await until("the room is left", () => page.peer.members("42") === 0);
  expect(await heard(page)).toBe("start 42, stop 42");
});

test("typing is not sent while not connected, and is told again after", async () => {
  const page = await joined();
  page.conversation.startTyping();
  expect(await heard(page)).toBe("start 42");
  page.peer.drop();
  await until("the connection is lost", () => !page.socket.connected);
  page.conversation.startTyping();
  page.conversation.stopTyping();
  await until("it is back", () => {
    vi.advanceTimersByTime(10);
    return page.conversation.state.status === "connected";
  });
  expect(await heard(page)).toBe("start 42");
  page.conversation.startTyping();
  expect(await heard(page)).toBe("start 42, start 42");
});

test("typing is not sent to a room that could not be joined", async () => {
  const page = await joined();
  page.peer.joinRefusal = "too_many_rooms";
  const other = page.socket.join("43");
  await until("it is refused", () => other.state.error);
  other.startTyping();
  expect(await heard(page)).toBe("");
});

test("the other side types, and stops", async () => {
  const { peer, socket, conversation } = await joined();
  const told: unknown[] = [];
  socket.on("typing:start", (payload) => told.push(payload));
  socket.on("typing:stop", (payload) => told.push(payload));
  peer.room("42").emit("typing:start", { contactId: "42" });
  await until("it is shown", () => conversation.state.typing);
  peer.room("42").emit("typing:stop", { contactId: "42" });
  await until("its end is shown", () => !conversation.state.typing);
  expect(told).toEqual([{ contactId: "42" }, { contactId: "42" }]);
});

test("a stop that got lost is made up for after twenty seconds", async () => {
  const { peer, conversation } = await joined();
  const typing = async () => {
    let told = 0;
    const off = conversation.subscribe(() => told++);
    peer.room("42").emit("typing:start", { contactId: "42" });
    peer.insert("42", `m${conversation.state.messages.length}`);
    await until("it is handled", () => told);
    await until("what follows is handled", () => conversation.state.messages.length === peer.log.rows("42").length);
    off();
  };
  await typing();
  vi.advanceTimersByTime(15_000);
  await typing();
  vi.advanceTimersByTime(19_999);
  expect(conversation.state.typing).toBe(true);
  vi.advanceTimersByTime(1);
  expect(conversation.state.typing).toBe(false);
});

test("typing leaves the offset as it was", async () => {
  const { peer, socket, conversation } = await joined();
  const told = vi.fn();
  socket.on("message:new", told);
  peer.room("42").emit("typing:start", { contactId: "42" });
  await until("it is shown", () => conversation.state.typing);
  peer.drop();
  await until("the connection is lost", () => !socket.connected);
  peer.insert("42", "a");
  await until("it is told", () => {
    vi.advanceTimersByTime(10);
    return told.mock.calls.length;
  });
});

test("nobody types once the connection is lost", async () => {
  const { peer, conversation } = await joined();
  peer.room("42").emit("typing:start", { contactId: "42" });
  await until("it is shown", () => conversation.state.typing);
  peer.drop();
  await until("it is cleared", () => !conversation.state.typing);
});

test("typing in one conversation is not shown in another", async () => {
  const { peer, socket, conversation } = await joined();
  const other = socket.join("43");
  await connected(other);
  peer.room("43").emit("typing:start", { contactId: "43" });
  await until("it is shown", () => other.state.typing);
  expect(conversation.state.typing).toBe(false);
});
