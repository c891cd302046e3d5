// The hook, in React's strict mode.

import "./dom.js";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { StrictMode, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { expect, onTestFinished, test, vi } from "vitest";
import type { Fetcher, Options } from "../src/index.js";
import { ConnectionBadge, TypingBadge, useComposer, useConversationSocket, useInbox, usePresence, useRoom, type InboxRow, type UsedConversation, type UsedInbox } from "../src/react.js";
import { showRoom } from "../src/shared.js";
import { hurry, relax, startPeer, until } from "./harness.js";
import type { Peer } from "./peer.js";

/** Renders into a page of its own. */
function render(first: ReactNode) {
  const element = document.createElement("div");
  const root = createRoot(element);
  const show = (node: ReactNode) => root.render(<StrictMode>{node}</StrictMode>);
  show(first);
  onTestFinished(() => root.unmount());
  return { element, show, root, says: (text: string) => until(`"${text}" is there`, () => element.textContent === text) };
}

let used: UsedConversation;
const rendered = new Set<string>();

function Chat({ contact, options }: { contact: string | number | null | undefined; options: Options }) {
  used = useConversationSocket(contact, options);
  const ids = used.messages.map(({ id }) => id).join(" ");
  rendered.add(`${contact}: ${ids}`);
  return (
    <p>
      {ids}|{used.status}
    </p>
  );
}

const options = (peer: Peer): Options => ({ url: peer.url, storage: null, pollConnectedMs: 60_000, pollDisconnectedMs: 30 });

test("a component shows a conversation, and its events as they come", async () => {
  const peer = await startPeer();
  peer.insert("42", "a");
  const { says } = render(<Chat contact="42" options={options(peer)} />);
  expect(peer.asked).toEqual([]);
  await says("a|connected");
  peer.insert("42", "b");
  await says("a b|connected");
  expect(used).toMatchObject({ connected: true, typing: false, error: null, loading: false, more: false });
  expect(peer.handshakes).toHaveLength(1);
  expect(peer.asked).toEqual(["messages 42", "join 42"]);
});

test("a list of conversations has the newest first, moves a row up, counts what is unread, and loads older ones", async () => {
  const peer = await startPeer();
  peer.log.order = "createdAt";
  const row = (minute: number, unread: number | string) => ({ createdAt: `2026-01-01T00:0${minute}:00Z`, unread });
  ["a", "b", "c"].forEach((id, index) => peer.insert("inbox:all", id, row(index, 1)));
  let inbox!: UsedInbox;
  const lists = new Set<readonly InboxRow[]>();
  const Inbox = () => {
    inbox = useInbox(undefined, { ...(options(peer) as Options<never>), limit: 2 });
    lists.add(inbox.conversations);
    return <p>{`${inbox.conversations.map(({ id }) => id).join(" ")}|${inbox.unread}|${inbox.status}`}</p>;
  };
  const { says, show } = render(<Inbox />);
  await says("c b|2|connected");
  const [before, shown] = [lists.size, inbox];
  show(<Inbox />);
  await until("it is rendered again", () => inbox !== shown);
  expect(lists.size).toBe(before);
  await inbox.loadOlder();
  await says("c b a|3|connected");
  peer.write("inbox:all", "message:new", { message: peer.log.row("inbox:all", "a", row(5, "7")), contactId: "all" });
  await says("a c b|9|connected");
  peer.write("inbox:all", "message:new", { message: peer.log.row("inbox:all", "b", row(1, 0)), contactId: "all" });
  await says("a c b|8|connected");
  peer.write("inbox:all", "message:deleted", { messageId: "a", contactId: "all" });
  await says("c b|1|connected");
});

test("a component shows a room of any kind, and nothing without one", async () => {
  const peer = await startPeer();
  peer.insert("inbox:7", "a");
  const Inbox = ({ room }: { room: string | null }) => {
    const { messages, status } = useRoom(room, options(peer));
    return <p>{`${messages.map(({ id }) => id).join(" ")}|${status}`}</p>;
  };
  const { show, says } = render(<Inbox room={null} />);
  await says("|connecting");
  show(<Inbox room="inbox:7" />);
  await says("a|connected");
  peer.insert("inbox:7", "b");
  await says("a b|connected");
  show(<Inbox room="inbox:8" />);
  await says("|connected");
  expect(peer.asked.filter((what) => !what.startsWith("messages"))).toEqual(["join inbox:7", "leave inbox:7", "join inbox:8"]);
});

test("two components share one connection, and one conversation", async () => {
  const peer = await startPeer();
  const both = (
    <>
      <Chat contact="42" options={options(peer)} />
      <Chat contact={42} options={options(peer)} />
      <Chat contact="43" options={options(peer)} />
    </>
  );
  const { says } = render(both);
  await says("|connected|connected|connected");
  expect(peer.handshakes).toHaveLength(1);
  expect(peer.asked.filter((what) => what.startsWith("join"))).toEqual(["join 42", "join 43"]);
  peer.insert("42", "a");
  await says("a|connecteda|connected|connected");
});

test("another contact leaves the room and enters the other, and shows nothing of the first meanwhile", async () => {
  const peer = await startPeer();
  peer.insert("42", "a");
  peer.insert("43", "z");
  const { element, show, says } = render(<Chat contact="42" options={options(peer)} />);
  await says("a|connected");
  const history = peer.hold("messages");
  show(<Chat contact="43" options={options(peer)} />);
  await until("the other is asked for", () => history.held.length);
  expect(element.textContent).toBe("|connecting");
  history.open();
  await says("z|connected");
  expect(rendered).not.toContain("43: a");
  expect([peer.members("42"), peer.members("43")]).toEqual([0, 1]);
  expect(peer.handshakes).toHaveLength(1);
});

test("a component that goes leaves the room, and the connection waits a while for the next", async () => {
  const peer = await startPeer();
  const { show, says, root } = render(<Chat contact="42" options={options(peer)} />);
  await says("|connected");
  show(null);
  await until("the room is left", () => peer.members("42") === 0);
  show(<Chat contact="43" options={options(peer)} />);
  await says("|connected");
  expect(peer.handshakes).toHaveLength(1);
  const timers = vi.spyOn(globalThis, "setTimeout");
  root.unmount();
  const [linger, ms] = timers.mock.calls.find(([, ms]) => ms === 5_000)!;
  timers.mockRestore();
  expect(ms).toBe(5_000);
  await until("the room is left", () => peer.members("43") === 0);
  expect(peer.transports).toBe(1);
  (linger as () => void)();
  await until("the connection is closed", () => peer.transports === 0);
  for (const id of ["a", "b"]) peer.insert("43", id);
  const again = render(<Chat contact="43" options={{ ...options(peer), limit: 1 }} />);
  await again.says("b|connected");
  await used.loadOlder();
  await again.says("a b|connected");
});

test.each(["the next comes in time", "another is there"])("the connection stays when a component goes and %s", async (how) => {
  // The five seconds that it lingers are a tenth of one.
  hurry();
  const peer = await startPeer();
  const quick = { ...options(peer), pollConnectedMs: 20 };
  const other = how === "another is there" && <Chat key="other" contact="43" options={quick} />;
  const { show, says } = render([<Chat key="one" contact="42" options={quick} />, other]);
  await says(other ? "|connected|connected" : "|connected");
  show([null, other]);
  await until("the room is left", () => peer.members("42") === 0);
  show([null, <Chat key="other" contact="43" options={quick} />]);
  await says("|connected");
  const before = peer.asked.length;
  await until("much longer than that has gone by", () => peer.asked.length > before + 15);
  expect(peer.handshakes).toHaveLength(1);
});

test("another url is another connection", async () => {
  const [peer, other] = [await startPeer(), await startPeer()];
  other.insert("42", "z");
  const { show, says } = render(<Chat contact="42" options={options(peer)} />);
  await says("|connected");
  show(<Chat contact="42" options={options(other)} />);
  await says("z|connected");
  await until("the room is left", () => peer.members("42") === 0);
});

test.each([null, undefined])("nothing is opened for %s", async (contact) => {
  const peer = await startPeer();
  const { show, says } = render(<Chat contact={contact} options={options(peer)} />);
  await says("|connecting");
  await used.loadOlder();
  used.startTyping();
  used.stopTyping();
  expect(peer.handshakes).toEqual([]);
  show(<Chat contact="42" options={options(peer)} />);
  await says("|connected");
  expect(peer.handshakes).toHaveLength(1);
  expect(peer.asked).toEqual(["messages 42", "join 42"]);
});

test("older messages and typing are asked for by functions that stay the same", async () => {
  const peer = await startPeer();
  for (const id of ["a", "b", "c"]) peer.insert("42", id);
  const { says, show } = render(<Chat contact="42" options={{ ...options(peer), limit: 2 }} />);
  await says("b c|connected");
  const { loadOlder, startTyping, stopTyping } = used;
  await loadOlder();
  await says("a b c|connected");
  startTyping();
  stopTyping();
  await until("both are heard", () => peer.typing.length === 2);
  expect(peer.typing).toEqual(["start 42", "stop 42"]);
  show(<Chat contact="43" options={{ ...options(peer), limit: 2 }} />);
  await says("|connected");
  expect(used).toMatchObject({ loadOlder, startTyping, stopTyping });
});

test("options that are written anew at each rendering open nothing anew", async () => {
  const peer = await startPeer();
  const { says, show } = render(<Chat contact="42" options={options(peer)} />);
  await says("|connected");
  for (let n = 0; n < 5; n++) show(<Chat contact="42" options={{ ...options(peer), limit: 10 + n }} />);
  peer.insert("42", "a");
  await says("a|connected");
  expect(peer.handshakes).toHaveLength(1);
  expect(peer.asked).toEqual(["messages 42", "join 42"]);
});

test("the environment's url is used where none is given", async () => {
  const peer = await startPeer();
  vi.stubEnv("NEXT_PUBLIC_WEBHOOK_WS_URL", peer.url);
  onTestFinished(() => void vi.unstubAllEnvs());
  const { url: _, ...others } = options(peer);
  const { says } = render(<Chat contact="42" options={others} />);
  await says("|connected");
});

test("where there is no process there is no environment, and nothing is thrown", async () => {
  vi.stubGlobal("process", undefined);
  onTestFinished(relax);
  const html = renderToString(<Chat contact="42" options={{}} />);
  expect(html).toBe("<p>|<!-- -->connecting</p>");
});

test("a url that is none leaves the fetcher", async () => {
  const error = vi.spyOn(console, "error").mockImplementation(() => {});
  onTestFinished(() => error.mockRestore());
  const fetcher: Fetcher = async () => [{ id: "a" } as never];
  const { says } = render(<Chat contact="42" options={{ url: "nowhere", fetcher, storage: null }} />);
  await says("a|polling");
  expect(error).toHaveBeenCalledWith(expect.any(TypeError));
});

test("neither url nor fetcher is offline and says so", async () => {
  const error = vi.spyOn(console, "error").mockImplementation(() => {});
  onTestFinished(() => error.mockRestore());
  const { says } = render(<Chat contact="42" options={{ storage: null }} />);
  await says("|offline");
  expect(used).toMatchObject({ error: "not_configured", connected: false });
  expect(error).toHaveBeenCalledWith(expect.stringContaining("NEXT_PUBLIC_WEBHOOK_WS_URL"));
});

test("on a server the page is rendered without a connection", async () => {
  const peer = await startPeer();
  const html = renderToString(<Chat contact="42" options={options(peer)} />);
  expect(html).toBe("<p>|<!-- -->connecting</p>");
  expect(used).toMatchObject({ loading: true, connected: false, messages: [] });
  await until("nobody knocks", () => peer.transports === 0);
  expect(peer.handshakes).toEqual([]);
  expect(renderToString(<><ConnectionBadge status={used.status} /><TypingBadge typing={used.typing} /></>)).toBe(
    '<span role="status" data-status="connecting">Conectando...</span><span role="status" data-typing="false"></span>',
  );
});

test("another token goes to the server over the connection that all hooks share, whichever of them has it", async () => {
  const peer = await startPeer();
  const both = (one: Options["token"], two?: Options["token"]) => (
    <>
      <Chat contact="42" options={{ ...options(peer), token: one }} />
      <Chat contact="43" options={{ ...options(peer), token: two }} />
    </>
  );
  const { show, says } = render(both("one"));
  await says("|connected|connected");
  show(both("two"));
  await until("the server has it", () => peer.tokens.refresh.length === 1);
  show(both("two", "three"));
  await until("the server has it", () => peer.tokens.refresh.length === 2);
  // A function of each rendering is no other token.
  show(both(() => "four"));
  await until("the server has it", () => peer.tokens.refresh.length === 3);
  show(both(() => "five"));
  show(both(() => "six"));
  await says("|connected|connected");
  expect(peer.tokens).toMatchObject({ handshake: ["one"], refresh: ["two", "three", "four"] });
  expect(peer.handshakes).toHaveLength(1);
});

test("a late message goes where it belongs, and the hook says so until it was seen", async () => {
  const peer = await startPeer();
  peer.log.order = "createdAt";
  peer.insert("42", "a");
  const { says } = render(<Chat contact="42" options={options(peer)} />);
  await says("a|connected");
  peer.insert("42", "late", { createdAt: "2025-01-01T00:00:00Z" });
  await says("late a|connected");
  expect(used.earlier).toEqual(["late"]);
  used.seeEarlier();
  await until("it is seen", () => used.earlier.length === 0);
});

test("a burst of events is a few renderings, and the last of them has all", async () => {
  const peer = await startPeer();
  let [told, shown] = [0, 0];
  const { conversation, stop } = showRoom("conversation:42", options(peer), () => {
    told++;
    shown = conversation.state.messages.length;
  });
  onTestFinished(stop);
  await until("it is connected", () => conversation.state.status === "connected");
  const before = told;
  let events = 0;
  onTestFinished(conversation.subscribe(() => events++));
  for (let n = 0; n < 400; n++) peer.insert("42", `m${n}`);
  await until("all are shown", () => shown === 400);
  expect(events).toBe(400);
  expect(told - before).toBeLessThan(100);
});

test("a burst of events is a few renderings of a composer, and what is sent in the midst of it is there at once", async () => {
  const peer = await startPeer();
  let [drawn, send, bodies] = [0, (_body: string) => {}, [] as unknown[]];
  const Composed = () => {
    const { conversation, status } = useConversationSocket("42", options(peer));
    const composer = useComposer(conversation);
    drawn++;
    bodies = composer.messages.map(({ body }) => body);
    send = (body) => composer.send({ body }, () => {});
    return <p>{status}</p>;
  };
  const { says } = render(<Composed />);
  await says("connected");
  const [before, began] = [drawn, performance.now()];
  // Each comes by itself: React makes one rendering of those that come together.
  for (let n = 0; n < 400; n++) {
    peer.insert("42", `m${n}`);
    await new Promise(setImmediate);
    if (n === 200) send("mine");
  }
  await until("all are shown", () => bodies.length === 401 && bodies.at(-1) === "mine");
  const frames = (performance.now() - began) / 16;
  // The hook of the messages has frames of its own, and strict mode renders twice.
  expect(drawn - before).toBeLessThan(4 * frames + 20);
});

test("a message can be sent before anything is known of the conversation", async () => {
  const silent = createServer(() => {}).listen(0, "127.0.0.1");
  await once(silent, "listening");
  onTestFinished(() => void silent.close());
  const { port } = silent.address() as AddressInfo;
  let send: ((body: string) => void) | undefined;
  const Composed = () => {
    const { conversation } = useConversationSocket("42", { url: `ws://127.0.0.1:${port}`, storage: null });
    const composer = useComposer(conversation);
    send = conversation && ((body) => composer.send({ body }, () => {}));
    return <p>{composer.messages.map(({ body }) => body)}</p>;
  };
  const { says } = render(<Composed />);
  await until("the conversation is there", () => send);
  send!("mine");
  await says("mine");
});

test("a component shows who is there, and in another room who is in that", async () => {
  const peer = await startPeer();
  peer.setPresent("42", "ana", true);
  peer.setPresent("43", "eve", true);
  const Here = ({ contact }: { contact: string | null }) => {
    const { conversation, status } = useConversationSocket(contact, options(peer));
    const { members, typist } = usePresence(conversation);
    return <p>{`${members.map(({ subject }) => subject).join(" ")}|${status}|${typist}`}</p>;
  };
  const { show, says } = render(<Here contact={null} />);
  await says("|connecting|null");
  show(<Here contact="42" />);
  await says("ana|connected|null");
  peer.setPresent("42", "ben", true);
  await says("ana ben|connected|null");
  peer.room("42").emit("typing:start", { contactId: "42", subject: "ben" });
  await says("ana ben|connected|ben");
  show(<Here contact="43" />);
  await says("eve|connected|null");
  show(null);
  await until("the room is left", () => peer.members("43") === 0);
  expect(renderToString(<Here contact="42" />)).toContain("|connecting|null");
});
