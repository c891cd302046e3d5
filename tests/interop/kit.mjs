// Drives @rowcast/client for the integration tests, as a page uses it, with tokens that `jose` signs.
//
// The command line is one object: {url, secret, options, page?, rows?}. `page` are the headers by which a request is a browser's. With `rows` it shows
// whole rows, of which a status that was reported since is the `ack`, and says each event of a message that its listeners hear.
// Commands on stdin, one JSON a line; what the page sees on stdout, one a line, as text. The tests judge.
//
//   {op:"source", claims, life}   from now on the token function gives tokens of these claims, good for so many seconds
//   {op:"source", fails:true}     from now on it throws
//   {op:"token", claims, life}    the page has another token: a value
//   {op:"join", contact}
//   {op:"join", room}             a room of any kind
//   {op:"older", room}            loads older messages of a room that was joined
//   {op:"many", count}            so many conversations, from "0" on
//   {op:"cut"}                    its connection is lost
//
//   asked <how often>             the token function was asked
//   <contact or room> <status> <error> <bodies, or rows>
//   heard <event> <contactId> <body, preview, status, or id>
//   told <event> <payload>
//   many <count>                  all of them are connected
import http from "node:http";
import { createInterface } from "node:readline";
import { ConversationSocket } from "@rowcast/client";
import { SignJWT } from "jose";

const { url, secret, options, page, rows } = JSON.parse(process.argv[2]);
const say = (...words) => process.stdout.write(`${words.join(" ")}\n`);

if (page) {
  const { fetch } = globalThis;
  globalThis.fetch = (what, { headers, ...init }) => fetch(what, { ...init, headers: { ...page, ...headers } });
  // Of the WebSocket's handshake.
  for (const name of ["get", "request"]) {
    const original = http[name];
    http[name] = ({ headers, ...request }, ...more) => original({ ...request, headers: { ...headers, ...page } }, ...more);
  }
}

let how = { fails: true };
let asked = 0;

async function sign({ claims: { iat = Math.floor(Date.now() / 1000), ...claims }, life }) {
  const token = new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).setIssuedAt(iat);
  return token.setExpirationTime(Math.floor(Date.now() / 1000) + life).sign(new TextEncoder().encode(secret));
}

async function source() {
  say("asked", ++asked);
  if (how.fails) throw new Error("the application's back end is away");
  return sign(how);
}

const show = rows ? ({ status, ack, ...row }) => ({ ...row, ...((status ?? ack) !== undefined && { ack: status ?? ack }) }) : ({ body }) => body;

let socket;
const conversations = [];
const commands = {
  source: (next) => void (how = next),
  async token(next) {
    const token = await sign(next);
    if (socket) socket.setToken(token);
    else connect(token);
  },
  join({ contact, room }) {
    if (!socket) connect(source);
    const conversation = room ? socket.joinRoom(room) : socket.join(contact);
    conversations.push(conversation);
    conversation.subscribe(() => {
      const { status, error, messages } = conversation.state;
      say(room ?? contact, status, String(error), JSON.stringify(messages.map(show)));
    });
  },
  older: ({ room }) => void conversations.find((each) => each.room === room).loadOlder(),
  cut: () => void socket.io.io.engine.close(),
  many({ count }) {
    if (!socket) connect(source);
    const all = Array.from({ length: count }, (_, id) => socket.join(id));
    for (const each of all) {
      each.subscribe(() => all.every(({ state }) => state.status === "connected") && say("many", count));
    }
  },
};

function connect(token) {
  socket = new ConversationSocket({ url, token, pollConnectedMs: 1_000, pollDisconnectedMs: 200, ...options });
  for (const event of ["rowcast:left", "rowcast:error"]) socket.on(event, (payload) => say("told", event, JSON.stringify(payload)));
  if (!rows) return;
  for (const event of ["message:new", "message:updated", "message:status", "message:deleted"]) {
    socket.on(event, ({ contactId, message, messageId, status }) => say("heard", event, contactId, message?.body ?? message?.preview ?? status ?? messageId));
  }
}

let turn = Promise.resolve();
createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line);
    turn = turn.then(() => commands[command.op](command));
  })
  .on("close", () => process.exit(0));
