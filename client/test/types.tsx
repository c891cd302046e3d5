// What the compiler allows to users of the kit, and what it does not. Checked by `npm run check`, never run.

import type { Socket } from "socket.io-client";
import {
  ConversationSocket, type ClientEvents, type Conversation, type Listener, type Message, type MessageStatus, type Options, type Row,
  type ServerEvents, type Status,
} from "../src/index.js";
import { presenceOf, type PresenceState } from "../src/presence.js";
import { ConnectionBadge, TypingBadge, useConversationSocket, usePresence, useRoom } from "../src/react.js";

/** Fails to compile where the two are not the same type. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <_ extends true>() => {};

interface Wanted {
  id: string;
  contactId: string;
  direction: "inbound" | "outbound";
  author: string | null;
  body: string;
  status: "queued" | "sent" | "delivered" | "read" | "failed";
  externalId: string | null;
  metadata: Record<string, unknown>;
  createdAt: string;
  updatedAt: string;
  truncated?: true;
}
same<Same<{ [K in keyof Message]: Message[K] }, Wanted>>();
same<Same<MessageStatus, Wanted["status"]>>();
same<Same<Status, "connecting" | "connected" | "polling" | "offline">>();

const socket = new ConversationSocket({ url: "wss://h", token: async () => null });
same<Same<typeof socket, ConversationSocket<Message>>>();

// The server's events (docs/sql.md), each with its payload.
socket.on("message:new", (payload) => {
  same<Same<typeof payload, { message: Message; contactId: string; truncated?: true; moved?: true }>>;
  const text: string = payload.message.body + payload.contactId;
  return text;
});
socket.on("message:status", ({ messageId, status, contactId, at }) => {
  const known: [string, MessageStatus, string, string] = [messageId, status, contactId, at];
  // @ts-expect-error no such status
  return known.length > 0 && status === "seen";
});
socket.on("message:deleted", ({ messageId, contactId }) => `${messageId}${contactId}`);
// @ts-expect-error a removal has no row
socket.on("message:deleted", ({ message }) => message);
socket.on("typing:start", ({ contactId, subject }) => contactId + (subject ?? ""));
// @ts-expect-error the subject may be missing
socket.on("typing:start", ({ subject }) => subject.length);
socket.on("presence:state", ({ room, count, subjects }) => room + count + subjects.map(({ subject, since }) => subject + since).join());
socket.on("presence:leave", ({ room, subject, since }) => room + subject + since);
socket.on("rowcast:ready", ({ server }) => server.length);
socket.on("rowcast:resync", ({ contactId, reason }) => contactId + reason);
socket.on("rowcast:left", ({ room, reason }) => room + reason);
socket.on("rowcast:error", ({ code, message }) => code + message);
same<Same<Parameters<Listener<Message, "order:paid">>[0], unknown>>();
// @ts-expect-error what the application's own events carry has to be looked at
socket.on("order:paid", (payload) => payload.sum);
// @ts-expect-error a listener is a function
socket.on("message:new", 7);
const off: () => void = socket.on("message:updated", () => {});
off();

const conversation: Conversation = socket.join(42);
// @ts-expect-error neither a text nor a number
socket.join({ contactId: "42" });
// @ts-expect-error the state is read, not written
conversation.state = undefined;
// @ts-expect-error nor its messages
conversation.state.messages.push();
// @ts-expect-error `null` is nobody's conversation here; the hook takes it
socket.join(null);
const readonlyStatus: Status = conversation.state.status;

// A row of the application's own.
interface Note extends Row {
  text: string;
}
const notes = new ConversationSocket<Note>({ fetcher: async (contactId, { signal }) => [{ id: contactId, text: `${signal.aborted}` }] });
notes.on("message:new", ({ message }) => message.text + message.id);
// @ts-expect-error the chat tables' column
notes.on("message:new", ({ message }) => message.body);
const texts: string[] = notes.join("1").state.messages.map(({ text }) => text);
// @ts-expect-error a row has an id
new ConversationSocket<{ text: string }>({});
// @ts-expect-error the fetcher gives rows
new ConversationSocket({ fetcher: async () => ["text"] });

// Options, as strict configurations write them.
const environment: string | undefined = process.env.URL;
const options: Options = { url: environment, token: undefined, storage: null, transports: ["websocket", "polling"], limit: 200 };
// @ts-expect-error no such transport
const wrong: Options = { transports: ["carrier pigeon"] };
// @ts-expect-error no such option
const unknown: Options = { uri: "ws://h" };

// The stock client, typed by the same events.
declare const stock: Socket<ServerEvents, ClientEvents>;
stock.on("message:new", ({ message }, offset: string) => message.body + offset);
stock.emit("join:conversation", { contactId: "42", after: "offset" }, (answer) => {
  if (!answer.ok) return answer.error.code;
  return answer.resync ? "load" : answer.offset;
});
// @ts-expect-error a join names a conversation
stock.emit("join:conversation");
stock.emit("join:room", { room: "inbox:7", after: "offset" }, (answer) => answer.ok && answer.room);
stock.emit("leave:room", "inbox:7");
// @ts-expect-error by its whole name
stock.emit("join:room", 7);
const inbox: Conversation<Note> = notes.joinRoom("inbox:7");
const where: [string, string] = [inbox.room, inbox.contactId];
// @ts-expect-error a room has a name
notes.joinRoom(7);

export function Component() {
  const { messages, connected, typing, loadOlder } = useConversationSocket<Note>(null, options as unknown as Options<Note>);
  const all: [string | undefined, boolean, boolean, Promise<void>] = [messages[0]?.text, connected, typing, loadOlder()];
  const room: string | undefined = useRoom<Note>("inbox:7").messages[0]?.text;
  // @ts-expect-error no such status
  const badge = <ConnectionBadge status="live" />;
  // @ts-expect-error the badge says what it says
  const other = <ConnectionBadge status="connected">text</ConnectionBadge>;
  return [all, room, where, badge, other, texts, readonlyStatus, wrong, unknown];
}

export function Present() {
  const { conversation } = useConversationSocket("42");
  const presence = usePresence(conversation);
  same<Same<typeof presence, PresenceState>>();
  // @ts-expect-error a list is not to be changed
  presence.members.push({ subject: "ana", since: "" });
  // @ts-expect-error it takes a conversation, not its name
  usePresence("42");
  return <TypingBadge typing typist={presence.typist} />;
}
const members: readonly { subject: string; since: string }[] = presenceOf(socket.join("42")).state.members;
export const count = members.length;
