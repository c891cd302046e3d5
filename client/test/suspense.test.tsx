// What suspends, and what the user sends, in React's strict mode.

import "./dom.js";
import { Component, StrictMode, Suspense, type ReactNode } from "react";
import { createRoot } from "react-dom/client";
import { renderToPipeableStream } from "react-dom/server";
import { PassThrough } from "node:stream";
import { expect, onTestFinished, test } from "vitest";
import type { Message, Options } from "../src/index.js";
import {
  useComposer, useConversationSocket, useConversationSuspense, useRoomSuspense, type UsedComposer, type UsedConversation,
} from "../src/react.js";
import { startPeer, until } from "./harness.js";
import type { Peer } from "./peer.js";

function render(first: ReactNode) {
  const element = document.createElement("div");
  const root = createRoot(element);
  const show = (node: ReactNode) => root.render(<StrictMode>{node}</StrictMode>);
  show(first);
  onTestFinished(() => root.unmount());
  return { element, show, says: (text: string) => until(`"${text}" is there, not "${element.textContent}"`, () => element.textContent === text) };
}

const options = (peer: Peer): Options => ({ url: peer.url, storage: null, pollConnectedMs: 60_000, pollDisconnectedMs: 30 });

let used: UsedConversation;
const rendered: string[] = [];

function Chat({ contact, options }: { contact: string; options: Options }) {
  used = useConversationSuspense(contact, options);
  const text = `${used.messages.map(({ id }) => id).join(" ")}|${used.status}`;
  rendered.push(`${contact}: ${text}`);
  return <p>{text}</p>;
}

const waiting = (node: ReactNode) => <Suspense fallback="loading">{node}</Suspense>;

test("the fallback is shown until the history is there, and then the conversation with its events", async () => {
  const peer = await startPeer();
  peer.insert("42", "a");
  const history = peer.hold("messages");
  const { says } = render(waiting(<Chat contact="42" options={options(peer)} />));
  await says("loading");
  await until("the history is asked for", () => history.held.length);
  history.open();
  await says("a|connected");
  expect(rendered.find((text) => text.startsWith("42: "))).toMatch(/^42: a\|/);
  peer.insert("42", "b");
  await says("a b|connected");
  used.startTyping();
  await until("it is heard", () => peer.typing.length);
  expect(peer.asked.filter((what) => !what.startsWith("typing"))).toEqual(["messages 42", "join 42"]);
  expect(peer.handshakes).toHaveLength(1);
});

test("another contact shows the fallback again, and nothing of the first", async () => {
  const peer = await startPeer();
  peer.insert("1", "a");
  peer.insert("2", "z");
  const { says, show } = render(waiting(<Chat contact="1" options={options(peer)} />));
  await says("a|connected");
  const history = peer.hold("messages");
  show(waiting(<Chat contact="2" options={options(peer)} />));
  await until("the history is asked for", () => history.held.length);
  history.open();
  await says("z|connected");
  expect(rendered.filter((text) => text.startsWith("2: ")).every((text) => /^2: z/.test(text))).toBe(true);
  await until("the room is left", () => peer.members("1") === 0);
});

test("a server that is away is no reason to wait", async () => {
  const peer = await startPeer();
  await peer.close();
  const { says } = render(waiting(<Chat contact="42" options={options(peer)} />));
  await says("|offline");
  expect(used.error).toBe("unreachable");
});

test("on a server the fallback is rendered, and nobody is asked", async () => {
  const peer = await startPeer();
  const failures: unknown[] = [];
  const html = await new Promise<string>((done) => {
    let text = "";
    const out = new PassThrough().on("data", (part) => (text += part)).on("end", () => done(text));
    const Room = () => <p>{useRoomSuspense("inbox:7", options(peer)).status}</p>;
    renderToPipeableStream(waiting(<Room />), { onError: (error) => void failures.push(error) }).pipe(out);
  });
  expect(html).toContain("loading");
  expect(html).not.toContain("<p>");
  expect(failures).toHaveLength(1);
  expect(peer.asked).toEqual([]);
});

test("what the user sends is there at once, and then as its row", async () => {
  const peer = await startPeer();
  peer.insert("42", "a");
  let composer: UsedComposer;
  const Page = ({ contact }: { contact: string }) => {
    const { conversation } = useConversationSocket(contact, options(peer));
    composer = useComposer(conversation);
    return <p>{composer.messages.map(({ id, draft }) => `${id}${draft ? `:${draft.status}` : ""}`).join(" ")}</p>;
  };
  const { says, show } = render(<Page contact="42" />);
  await says("a");
  let isAway = true;
  composer!.send({ externalId: "k1" }, async (draft: Partial<Message>) => {
    if (isAway) throw new Error("no");
    peer.insert("42", "b", draft);
  });
  await says("a k1:failed");
  peer.insert("42", "c");
  await says("a c k1:failed");
  show(<Page contact="43" />);
  await says("");
  show(<Page contact="42" />);
  await says("a c k1:failed");
  isAway = false;
  composer!.messages.at(-1)!.draft!.retry();
  await says("a c b");
});

test("sending before a conversation is there says so", async () => {
  class Boundary extends Component<{ children: ReactNode }, { error: string }> {
    override state = { error: "" };
    static getDerivedStateFromError = (error: Error) => ({ error: error.message });
    override render = () => this.state.error || this.props.children;
  }
  const Page = () => {
    useComposer(undefined).send({}, () => {});
    return null;
  };
  const { says } = render(<Boundary><Page /></Boundary>);
  await says("send: no conversation is open");
});
