// Who is measured: Rowcast as it comes, and the three set-ups of peer.mjs. Each has a database with the same tables and its own trigger.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Program, Redis } from "./programs.mjs";

const PEER = fileURLToPath(new URL("peer.mjs", import.meta.url));
const TRIGGER = readFileSync(new URL("../peer/peer.sql", import.meta.url), "utf8");

export const NAMES = { rowcast: "rowcast", recovery: "recovery", streams: "recovery, Redis streams", plain: "plain" };

// The servers of one contender on one database, and all that belongs to them.
export class Contender {
  #starts = 0;
  servers = [];

  static async prepare(name, { cluster, rowcast, redis, logs, meter }) {
    const contender = new Contender();
    Object.assign(contender, { name, cluster, rowcast, logs, meter });
    contender.database = await cluster.create();
    const url = cluster.url(contender.database);
    execFileSync(rowcast, ["migrate", "--chat", "--database-url", url], { cwd: "/", env: { PATH: process.env.PATH }, stdio: "pipe" });
    if (name !== "rowcast") {
      await cluster.query(contender.database, "select rowcast.detach('public.messages')");
      await cluster.query(contender.database, TRIGGER);
    }
    if (name === "streams") {
      contender.redis = await Redis.start(redis, join(logs, "redis.log"));
      meter.add(contender.redis.pid);
    }
    return contender;
  }

  get url() {
    return this.cluster.url(this.database);
  }

  // Starts one more server, at that port if one is named.
  async start(port = 0) {
    const log = join(this.logs, `${this.name}-${++this.#starts}.log`);
    const shared = { DATABASE_URL: this.url, PORT: String(port) };
    const server =
      this.name === "rowcast"
        ? await Program.start(this.rowcast, ["serve"], { ...shared, HOST: "127.0.0.1", ROWCAST_ADMIN: "", ROWCAST_AUTH: "none", ROWCAST_LOG_FORMAT: "json" }, log)
        : await Program.start("node", [PEER], { ...shared, NODE_ENV: "production", SETUP: this.name, REDIS_PORT: String(this.redis?.port ?? "") }, log);
    this.servers.push(server);
    this.meter.add(server.pid);
    return server;
  }

  // The server has ended, or is about to.
  forget(server) {
    this.servers = this.servers.filter((other) => other !== server);
  }

  get ports() {
    return this.servers.map(({ port }) => port);
  }

  async stop() {
    await Promise.all(this.servers.map((server) => server.kill()));
    await this.redis?.stop();
    await this.cluster.drop(this.database);
  }
}
