// Drives the official socket.io-client for the integration tests.
//
// Speaks JSON lines: commands on stdin, what the clients saw on stdout. One process holds any number of clients, each
// named by the number that `connect` gave it. Nothing is interpreted here: the tests judge.
//
//   {op:"connect", client, url, options, emit?:[{event,args,ack?}]}   emit: sent without waiting for the connection
//                                                                     options.library: another version of the package
//                                                                     options.token: what `auth` says, until `token` says another
//   {op:"emit", client, event, args, ack?, live?}                     ack: a number that comes back with the answer
//                                                                     live: not at all while it is not connected
//   {op:"cut", client}                                                closes the transport, as a lost network does
//   {op:"disconnect", client}   {op:"reconnect", client}
//   {op:"token", client, token}                                       for the connections from now on
//
//   {client, saw:"connect", recovered}   {client, saw:"disconnect", reason}   {client, saw:"event", event, args}
//   {client, saw:"connect_error", message, data, active}   {client, saw:"ack", ack, args}
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { io as current } from "socket.io-client";

const require = createRequire(import.meta.url);

const clients = new Map();
const tokens = new Map();
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

function emit(socket, { client, event, args, ack, live }) {
  if (live && !socket.connected) return;
  if (ack === undefined) socket.emit(event, ...args);
  else socket.emit(event, ...args, (...answer) => tell({ client, saw: "ack", ack, args: answer }));
}

const commands = {
  connect({ client, url, options: { library, token, ...options }, emit: first = [] }) {
    if (token) {
      tokens.set(client, token);
      options.auth = (cb) => cb({ token: tokens.get(client) });
    }
    const io = library ? require(library).io : current;
    const socket = io(url, { forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 100, ...options });
    clients.set(client, socket);
    socket.on("connect", () => tell({ client, saw: "connect", recovered: socket.recovered }));
    socket.on("disconnect", (reason) => tell({ client, saw: "disconnect", reason }));
    socket.on("connect_error", ({ message, data }) =>
      tell({ client, saw: "connect_error", message, data, active: socket.active }));
    socket.onAny((event, ...args) => tell({ client, saw: "event", event, args }));
    for (const each of first) emit(socket, { client, ...each });
  },
  emit: (command) => emit(clients.get(command.client), command),
  cut: ({ client }) => cut(clients.get(client).io.engine),
  disconnect: ({ client }) => clients.get(client).disconnect(),
  token: ({ client, token }) => tokens.set(client, token),
  reconnect: ({ client }) => clients.get(client).connect(),
};

// The engine closes after an upgrade that is under way, and would do so in the task that has just decoded the last poll. The packets
// of that poll are handed over after it: a client that has closed stores its events, shows them when it is connected again, and has asked
// for the same by then, because the offset that it says does not know of them. No network ends in that moment.
const cut = (engine) => {
  if (!engine.upgrading) return engine.close();
  for (const end of ["upgrade", "upgradeError"]) engine.once(end, () => setTimeout(() => engine.close()));
};

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line);
    commands[command.op](command);
  })
  .on("close", () => process.exit(0));
