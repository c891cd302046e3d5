// All clients of a measurement, in as many processes as asked for: gives their orders and waits for the answers.
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

const MODULE = fileURLToPath(new URL("clients.mjs", import.meta.url));

export class Crowd {
  #processes;
  #waiting = new Map();
  #number = 0;

  // Client c is in room c % rooms.
  static async start({ clients, processes, rooms, ports }) {
    const crowd = new Crowd();
    crowd.#processes = Array.from({ length: processes }, () => crowd.#fork());
    const of = (process) => Array.from({ length: clients }, (_, client) => client).filter((client) => client % processes === process);
    await Promise.all(
      crowd.#processes.map((process, place) => crowd.#tell(process, "start", { ports, rooms: of(place).map((client) => String(client % rooms)) })),
    );
    return crowd;
  }

  #fork() {
    const process = fork(MODULE, { stdio: ["ignore", "ignore", "inherit", "ipc"] });
    process.on("message", ({ number, answer, error }) => {
      const { resolve, reject } = this.#waiting.get(number);
      this.#waiting.delete(number);
      error ? reject(new Error(error)) : resolve(answer);
    });
    process.on("exit", () => {
      for (const { reject, of } of this.#waiting.values()) if (of === process) reject(new Error("a process of clients ended"));
    });
    return process;
  }

  #tell(process, order, about) {
    const number = ++this.#number;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject, of: process });
      process.send({ order, about, number });
    });
  }

  async tell(order, about) {
    return Promise.all(this.#processes.map((process) => this.#tell(process, order, about)));
  }

  async sum(order) {
    return (await this.tell(order)).reduce((sum, count) => sum + count, 0);
  }

  stop() {
    for (const process of this.#processes) process.kill("SIGKILL");
  }
}
