// The network of one client: a TCP proxy of its own, which can be cut.
//
// While it is gone, no connection comes about. What was there ends in one of two ways:
//   reset   both ends are told at once
//   silent  the client is told, as an operating system does when the network changes under it; the server hears nothing, neither then nor
//           later, and what it sends is not taken from it
// Guarantees that a connection that was cut never carries a byte again.
import { connect, createServer } from "node:net";

export class Network {
  #pairs = new Set();
  #abandoned = new Set();
  #gone = false;
  #server;

  // `upstream` says which port a new connection goes to.
  static async open(upstream) {
    const network = new Network();
    network.#server = createServer({ noDelay: true }, (client) => network.#accept(client, upstream()));
    await new Promise((resolve) => network.#server.listen(0, "127.0.0.1", resolve));
    network.port = network.#server.address().port;
    return network;
  }

  #accept(client, port) {
    client.on("error", () => {});
    if (this.#gone || !port) return void client.resetAndDestroy();
    const server = connect({ port, host: "127.0.0.1", noDelay: true });
    const pair = { client, server };
    this.#pairs.add(pair);
    const over = () => {
      this.#pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    server.on("error", over);
    server.on("close", over);
    client.on("close", () => this.#pairs.has(pair) && over());
    client.pipe(server);
    server.pipe(client);
  }

  cut(how) {
    this.#gone = true;
    for (const pair of this.#pairs) {
      this.#pairs.delete(pair);
      const { client, server } = pair;
      client.unpipe(server);
      server.unpipe(client);
      client.resetAndDestroy();
      if (how === "reset") {
        server.resetAndDestroy();
      } else {
        server.removeAllListeners("close");
        server.pause();
        this.#abandoned.add(server);
      }
    }
  }

  mend() {
    this.#gone = false;
  }

  close() {
    this.cut("reset");
    for (const server of this.#abandoned) server.destroy();
    this.#server.close();
  }
}
