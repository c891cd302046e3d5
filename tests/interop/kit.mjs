// Drives @rowcast/client for the integration tests, as a page uses it, with tokens that `jose` signs.
//
// The command line is one object: {url, secret, options, page?}. `page` are the headers by which a request is a browser's.
// Commands on stdin, one JSON a line; what the page sees on stdout, one a line, as text. The tests judge.
//
//   {op:"source", claims, life}   from now on the token function gives tokens of these claims, good for so many seconds
//   {op:"source", fails:true}     from now on it throws
//   {op:"token", claims, life}    the page has another token: a value
//   {op:"join", contact}
//
//   asked <how often>             the token function was asked
//   <contact> <status> <error> <bodies>
//   told <event> <payload>
import http from "node:http";
import { createInterface } from "node:readline";
import { ConversationSocket } from "@rowcast/client";
import { SignJWT } from "jose";

const { url, secret, options, page } = JSON.parse(process.argv[2]);
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

let socket;
const conversations = [];
const commands = {
  source: (next) => void (how = next),
  async token(next) {
    const token = await sign(next);
    if (socket) socket.setToken(token);
    else connect(token);
  },
  join({ contact }) {
    if (!socket) connect(source);
    const conversation = socket.join(contact);
    conversations.push(conversation);
    conversation.subscribe(() => {
      const { status, error, messages } = conversation.state;
      say(contact, status, String(error), JSON.stringify(messages.map(({ body }) => body)));
    });
  },
};

function connect(token) {
  socket = new ConversationSocket({ url, token, pollConnectedMs: 1_000, pollDisconnectedMs: 200, ...options });
  for (const event of ["rowcast:left", "rowcast:error"]) socket.on(event, (payload) => say("told", event, JSON.stringify(payload)));
}

let turn = Promise.resolve();
createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line);
    turn = turn.then(() => commands[command.op](command));
  })
  .on("close", () => process.exit(0));
