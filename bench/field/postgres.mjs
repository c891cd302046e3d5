// A Postgres cluster of the run's own, with Postgres's defaults, on a Unix socket in a closed folder.
//
// Owns the folder and the postmaster, and removes both. As root Postgres runs as `postgres`, else `nobody`: it won't run as root.
import { execFileSync, spawn } from "node:child_process";
import { chownSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { until } from "./waiting.mjs";

const owner = () => {
  if (process.getuid() !== 0) return {};
  const users = readFileSync("/etc/passwd", "utf8").split("\n").map((line) => line.split(":"));
  const user = users.find(([name]) => name === "postgres") ?? users.find(([name]) => name === "nobody");
  return { uid: Number(user[2]), gid: Number(user[3]) };
};

export class Postgres {
  #folder;
  #process;
  #databases = 0;

  // `bindir` is where postgres and initdb are.
  static async start(bindir) {
    const cluster = new Postgres();
    const { uid, gid } = owner();
    cluster.#folder = mkdtempSync(join(tmpdir(), "rowcast-field-"));
    if (uid !== undefined) chownSync(cluster.#folder, uid, gid);
    const data = join(cluster.#folder, "data");
    const as = { uid, gid, cwd: "/", env: { PATH: process.env.PATH } };
    execFileSync(join(bindir, "initdb"), ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-D", data], { ...as, stdio: "ignore" });
    cluster.#process = spawn(join(bindir, "postgres"), ["-D", data, "-k", cluster.#folder, "-c", "listen_addresses="], { ...as, stdio: "ignore", detached: true });
    await until("Postgres answers", 30, () => cluster.query("postgres", "select 1").then(() => true, () => false));
    return cluster;
  }

  get pid() {
    return this.#process.pid;
  }

  url(database) {
    return `postgres://postgres@localhost/${database}?host=${this.#folder}`;
  }

  // A fresh database; a checkpoint before it, so that nobody pays for the one before.
  async create() {
    const name = `field_${++this.#databases}`;
    await this.query("postgres", `create database ${name}`);
    await this.query("postgres", "checkpoint");
    return name;
  }

  async drop(database) {
    await this.query("postgres", `drop database ${database} with (force)`);
  }

  async query(database, text, values) {
    const client = new pg.Client({ connectionString: this.url(database) });
    await client.connect();
    try {
      return (await client.query(text, values)).rows;
    } finally {
      await client.end();
    }
  }

  async stop() {
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    // Its data goes with it, so it may stop without a last checkpoint.
    if (this.#process.exitCode === null && this.#process.kill("SIGQUIT")) await ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
