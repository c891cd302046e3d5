// The programs under test as child processes: Rowcast, the three peers, Redis.
//
// Owns their start, their end, and what they have used. Each says on standard error, as a line of JSON, that it is ready and where.
import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./waiting.mjs";

// What would set a program up differently from one machine to another.
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(PG|ROWCAST_)/.test(name) && !["FRONTEND_URL", "DATABASE_URL", "HOST", "PORT"].includes(name)),
);

const readyAddress = (line) => {
  try {
    const { fields, ...rest } = JSON.parse(line);
    const { message, address } = fields ?? rest;
    return message === "ready" ? address : undefined;
  } catch {
    return undefined;
  }
};

// A running program. `log` is a file that it writes its standard error to.
export class Program {
  static async start(command, args, variables, log) {
    const program = new Program();
    const file = openSync(log, "w");
    program.process = spawn(command, args, { cwd: "/", env: { ...environment, ...variables }, stdio: ["ignore", "ignore", file] });
    closeSync(file);
    program.pid = program.process.pid;
    program.ended = new Promise((resolve) => program.process.once("exit", resolve));
    await until(`${command} is ready: see ${log}`, 30, () => {
      if (program.process.exitCode !== null) throw new Error(`${command} ended: see ${log}`);
      program.address = readFileSync(log, "utf8").split("\n").map(readyAddress).find(Boolean);
      return program.address;
    });
    return program;
  }

  get port() {
    return Number(this.address.split(":").at(-1));
  }

  async kill() {
    this.process.kill("SIGKILL");
    await this.ended;
  }

  async terminate() {
    this.process.kill("SIGTERM");
    const late = setTimeout(() => this.process.kill("SIGKILL"), 15_000);
    await this.ended;
    clearTimeout(late);
  }
}

// Redis without anything on disk, on a free port.
export class Redis {
  static async start(command, log) {
    const redis = new Redis();
    redis.folder = mkdtempSync(join(tmpdir(), "rowcast-field-redis-"));
    const probe = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => probe.once("listening", resolve));
    redis.port = probe.address().port;
    await new Promise((resolve) => probe.close(resolve));
    const args = ["--port", String(redis.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", redis.folder];
    const file = openSync(log, "w");
    redis.process = spawn(command, args, { cwd: "/", stdio: ["ignore", file, file] });
    closeSync(file);
    redis.pid = redis.process.pid;
    redis.ended = new Promise((resolve) => redis.process.once("exit", resolve));
    await until(`${command} is ready: see ${log}`, 10, () => {
      if (redis.process.exitCode !== null) throw new Error(`${command} ended: see ${log}`);
      return /Ready to accept connections/.test(readFileSync(log, "utf8"));
    });
    return redis;
  }

  async stop() {
    this.process.kill("SIGTERM");
    await this.ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

// Processor time in seconds, of a process or with `children` of those of its that live and that it has waited for.
function cpu(pid, children) {
  const read = (of) => {
    const fields = readFileSync(`/proc/${of}/stat`, "utf8").split(") ").at(-1).split(" ");
    const ticks = (...numbers) => numbers.reduce((sum, number) => sum + Number(fields[number - 3]), 0) / 100;
    return { parent: Number(fields[1]), own: ticks(14, 15), reaped: ticks(16, 17) };
  };
  const root = read(pid);
  if (!children) return root.own;
  let total = root.own + root.reaped;
  for (const entry of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = read(entry);
      if (stat.parent === pid) total += stat.own;
    } catch {
      // It has ended since it was listed: its time is then its parent's.
    }
  }
  return total;
}

const resident = (pid) => Number(readFileSync(`/proc/${pid}/status`, "utf8").match(/^VmRSS:\s+(\d+) kB/m)[1]) * 1024;

// What programs use while it runs: processor time of all that were ever added, and the most that those that live held together.
export class Meter {
  #used = new Map();
  #timer;
  peak = 0;

  constructor(postgres) {
    this.postgres = postgres;
    this.postgresBefore = cpu(postgres, true);
    this.#timer = setInterval(() => this.sample(), 100);
  }

  add(pid) {
    const begin = cpu(pid);
    this.#used.set(pid, { begin, last: begin });
  }

  sample() {
    let memory = 0;
    for (const [pid, used] of this.#used) {
      try {
        used.last = cpu(pid);
        memory += resident(pid);
      } catch {
        // It has ended: what it had used is known up to a tenth of a second.
      }
    }
    this.peak = Math.max(this.peak, memory);
  }

  stop() {
    clearInterval(this.#timer);
    this.sample();
    let seconds = 0;
    for (const { begin, last } of this.#used.values()) seconds += last - begin;
    return { cpuS: seconds, postgresCpuS: cpu(this.postgres, true) - this.postgresBefore, peakMb: this.peak / 1e6 };
  }
}
