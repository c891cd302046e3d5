// The composables, in Vue's own test tools.

import "./dom.js";
import { mount, flushPromises } from "@vue/test-utils";
import { createSSRApp, defineComponent, effectScope, h, nextTick, ref } from "vue";
import { renderToString } from "vue/server-renderer";
import { expect, onTestFinished, test } from "vitest";
import type { Message, Options } from "../src/index.js";
import { useComposer, useConversationSocket, useInbox, usePresence, useRoom, type UsedConversation } from "../src/vue.js";
import { startPeer, until } from "./harness.js";
import type { Peer } from "./peer.js";

const options = (peer: Peer): Options => ({ url: peer.url, storage: null, pollConnectedMs: 60_000, pollDisconnectedMs: 30 });

let used: Readonly<UsedConversation>;

const Chat = defineComponent({
  props: { contact: [String, Number], options: { type: Object, required: true } },
  setup(props) {
    const chat = (used = useConversationSocket(() => props.contact as string | undefined, props.options as Options));
    return () => h("p", `${chat.messages.map(({ id }) => id).join(" ")}|${chat.status}|${chat.earlier.length}`);
  },
});

function show(props: { contact?: string | number; options: Options }) {
  const page = mount(Chat, { props });
  onTestFinished(() => page.unmount());
  return { page, says: (text: string) => until(`"${text}" is there`, () => page.text() === text) };
}

test("a component shows a conversation and its events, each where it belongs", async () => {
  const peer = await startPeer();
  peer.log.order = "createdAt";
  peer.insert("42", "a");
  peer.insert("42", "b");
  const { says } = show({ contact: "42", options: { ...options(peer), limit: 1 } });
  await says("b|connected|0");
  expect(used).toMatchObject({ connected: true, loading: false, more: true, error: null });
  await used.loadOlder();
  await says("a b|connected|0");
  peer.insert("42", "late", { createdAt: "2025-01-01T00:00:00Z" });
  await says("late a b|connected|1");
  used.seeEarlier();
  await says("late a b|connected|0");
  used.startTyping();
  await until("it is heard", () => peer.typing.length);
  expect(peer.asked.filter((what) => what.startsWith("join"))).toEqual(["join 42"]);
});

test("a list of conversations has the newest first, and is live", async () => {
  const peer = await startPeer();
  peer.log.order = "createdAt";
  const row = (minute: number, unread: number) => ({ createdAt: `2026-01-01T00:0${minute}:00Z`, unread });
  ["a", "b"].forEach((id, index) => peer.insert("inbox:7", id, row(index, 1)));
  const List = defineComponent({
    setup() {
      const inbox = useInbox("inbox:7", options(peer) as Options<never>) as Readonly<UsedConversation> & { conversations: readonly Message[]; unread: number };
      return () => h("p", `${inbox.conversations.map(({ id }) => id).join(" ")}|${inbox.unread}|${inbox.status}`);
    },
  });
  const page = mount(List);
  onTestFinished(() => page.unmount());
  const says = (text: string) => until(`"${text}" is there`, () => page.text() === text);
  await says("b a|2|connected");
  peer.write("inbox:7", "message:new", { message: peer.log.row("inbox:7", "a", row(5, 3)), contactId: "7" });
  await says("a b|4|connected");
});

test("another contact leaves the room and enters the other, and a component that goes leaves it", async () => {
  const peer = await startPeer();
  peer.insert("42", "a");
  peer.insert("43", "z");
  const { page, says } = show({ contact: "42", options: options(peer) });
  await says("a|connected|0");
  await page.setProps({ contact: 43 });
  await says("z|connected|0");
  await until("the room is left", () => peer.members("42") === 0);
  expect(peer.handshakes).toHaveLength(1);
  page.unmount();
  await until("the room is left", () => peer.members("43") === 0);
});

test("nothing is opened without a contact, and actions do nothing", async () => {
  const peer = await startPeer();
  const { page, says } = show({ options: options(peer) });
  expect(page.text()).toBe("|connecting|0");
  await used.loadOlder();
  used.startTyping();
  await flushPromises();
  expect(peer.handshakes).toEqual([]);
  await page.setProps({ contact: "42" });
  await says("|connected|0");
});

test("a scope without a component shows a room until it is stopped", async () => {
  const peer = await startPeer();
  peer.insert("inbox:7", "a");
  const scope = effectScope();
  const room = ref<string | null>("inbox:7");
  const inbox = scope.run(() => useRoom(room, options(peer)))!;
  await until("it is there", () => inbox.status === "connected" && inbox.messages.length === 1);
  // A composer that comes later has the conversation at once.
  expect(scope.run(() => useComposer(inbox))!.messages.value).toHaveLength(1);
  room.value = null;
  await nextTick();
  expect(inbox).toMatchObject({ messages: [], status: "connecting", conversation: undefined });
  room.value = "inbox:7";
  await until("it is back", () => inbox.status === "connected");
  scope.stop();
  await until("the room is left", () => peer.members("inbox:7") === 0);
});

test("on a server the page is rendered without a connection", async () => {
  const peer = await startPeer();
  expect(await renderToString(createSSRApp(Chat, { contact: "42", options: options(peer) }))).toBe("<p>|connecting|0</p>");
  expect(used.conversation).toBeUndefined();
});

test("what the user sends is there at once, and then as its row", async () => {
  const peer = await startPeer();
  peer.insert("42", "a");
  let sent: ReturnType<typeof useComposer<Message>>;
  const Page = defineComponent(() => {
    const chat = useConversationSocket("42", options(peer));
    const composer = (sent = useComposer(chat));
    return () => h("p", composer.messages.value.map(({ id, draft }) => `${id}${draft ? `:${draft.status}` : ""}`).join(" "));
  });
  const page = mount(Page);
  onTestFinished(() => page.unmount());
  const says = (text: string) => until(`"${text}" is there`, () => page.text() === text);
  await says("a");
  let isAway = true;
  sent!.send({ externalId: "k1" }, async (draft) => {
    if (isAway) throw new Error("no");
    peer.insert("42", "b", draft);
  });
  await says("a k1:failed");
  peer.insert("42", "c");
  await says("a c k1:failed");
  isAway = false;
  sent!.messages.value.at(-1)!.draft!.retry();
  await says("a c b");
  page.unmount();
  expect(() => sent.send({}, () => {})).not.toThrow();
});

test("sending before a conversation is there says so", () => {
  const scope = effectScope();
  const composer = scope.run(() => useComposer(useConversationSocket(null, { url: "ws://h" })))!;
  expect(() => composer.send({}, () => {})).toThrow("no conversation");
  scope.stop();
});

test("a component shows who is there, and in another room who is in that", async () => {
  const peer = await startPeer();
  peer.setPresent("42", "ana", true);
  peer.setPresent("43", "eve", true);
  const Here = defineComponent({
    props: { contact: String },
    setup(props) {
      const chat = useConversationSocket(() => props.contact, options(peer));
      const presence = usePresence(chat);
      return () => h("p", `${presence.value.members.map(({ subject }) => subject).join(" ")}|${chat.status}|${presence.value.typist}`);
    },
  });
  const page = mount(Here, { props: { contact: "42" } });
  onTestFinished(() => page.unmount());
  const says = (text: string) => until(`"${text}" is there`, () => page.text() === text);
  await says("ana|connected|null");
  peer.setPresent("42", "ben", true);
  await says("ana ben|connected|null");
  peer.room("42").emit("typing:start", { contactId: "42", subject: "ben" });
  await says("ana ben|connected|ben");
  await page.setProps({ contact: "43" });
  await says("eve|connected|null");
  page.unmount();
  await until("the room is left", () => peer.members("43") === 0);
});
