// The field's benchmark: cuts, crashes and deploys with the stock client, for Rowcast and three set-ups of Socket.IO, in turns.
//
// Owns the whole run and all that it starts, and ends it however it ends. bench/README.md says how to read what it prints.
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Contender, NAMES } from "./contenders.mjs";
import { Crowd } from "./crowd.mjs";
import { record } from "./history.mjs";
import { Postgres } from "./postgres.mjs";
import { Meter } from "./programs.mjs";
import { SCENARIOS } from "./scenarios.mjs";
import { table } from "./table.mjs";
import { tally } from "./tally.mjs";
import { now, sleep } from "./waiting.mjs";
import { write } from "./writers.mjs";

const HELP = `bench/field/run [scenario ...]: silent, reset, avalanche, deploy; all when none is named

  --quick              8 s instead of 30 of each, about two minutes in all
  --clients N          stock clients (200)        --processes N   node processes that they are in (2)
  --rooms N            rooms (10)                 --rate N        rows a second (50)
  --seconds N          that rows are written for, of each scenario (30)
  --every N            seconds between two cuts of a client's network, at least (10)
  --rounds N           rounds; the table holds medians (1)
  --only NAME,NAME     of rowcast, recovery, streams, plain
  --rowcast PATH       another binary than the release build
  --check              fail when Rowcast lost or doubled an event
  --no-history         don't record the figures in bench/history
`;

function options() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      ...Object.fromEntries(["clients", "processes", "rooms", "rate", "seconds", "every", "rounds", "only", "rowcast", "bindir", "redis", "logs"].map((name) => [name, { type: "string" }])),
      ...Object.fromEntries(["quick", "check", "no-history", "help"].map((name) => [name, { type: "boolean" }])),
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  const number = (name, otherwise) => {
    const value = Number(values[name] ?? otherwise);
    if (!Number.isInteger(value) || value < 1) throw new Error(`--${name}: a whole number above 0 is accepted`);
    return value;
  };
  const of = (names, all, what) => {
    for (const name of names) if (!all.includes(name)) throw new Error(`${name}: ${what} are ${all.join(", ")}`);
    return names.length ? names : all;
  };
  return {
    ...values,
    scenarios: of(positionals, Object.keys(SCENARIOS), "the scenarios"),
    contenders: of(values.only?.split(",") ?? [], Object.keys(NAMES), "the servers"),
    clients: number("clients", 200),
    processes: number("processes", 2),
    rooms: number("rooms", 10),
    rate: number("rate", 50),
    seconds: number("seconds", values.quick ? 8 : 30),
    every: number("every", values.quick ? 3 : 10),
    rounds: number("rounds", 1),
  };
}

// Until all are back and nothing more comes: a stock client may wait 5 s and more between two attempts.
async function settle(crowd, clients) {
  const deadline = now() + 20_000;
  let before;
  while (now() < deadline) {
    await sleep(700);
    const count = await crowd.sum("count");
    if (count === before && (await crowd.sum("connected")) === clients) return;
    before = count;
  }
}

// What is running now, for whoever has to end it.
const running = new Set();

async function measure(scenario, name, { cluster, options }) {
  const meter = new Meter(cluster.pid);
  const contender = await Contender.prepare(name, { cluster, meter, rowcast: options.rowcast, redis: options.redis, logs: options.logs });
  running.add(contender);
  let crowd;
  try {
    for (let server = 0; server < SCENARIOS[scenario].servers; server += 1) await contender.start();
    crowd = await Crowd.start({ clients: options.clients, processes: options.processes, rooms: options.rooms, ports: contender.ports });
    const until = now() + options.seconds * 1000;
    const [written, breaks] = await Promise.all([
      write({ url: contender.url, rate: options.rate, rooms: options.rooms, until }),
      SCENARIOS[scenario].run({ contender, crowd, options, until }),
    ]);
    await settle(crowd, options.clients);
    const used = meter.stop();
    const clients = (await crowd.tell("report")).flat();
    return { scenario, contender: name, ...tally(clients, written, breaks), ...used };
  } finally {
    meter.stop();
    crowd?.stop();
    await contender.stop();
    running.delete(contender);
  }
}

async function run(options) {
  mkdirSync(options.logs, { recursive: true });
  const cluster = await Postgres.start(options.bindir);
  const end = async (status) => {
    await Promise.allSettled([...running].map((contender) => contender.stop()));
    await cluster.stop();
    process.exit(status);
  };
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => end(1));
  // Whoever read what is printed has gone, as `head` does.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => end(1));
  const results = [];
  try {
    for (let round = 0; round < options.rounds; round += 1) {
      for (const [place, scenario] of options.scenarios.entries()) {
        // Who is first changes, so that nobody always has the warmer machine.
        const first = (round + place) % options.contenders.length;
        for (const name of [...options.contenders.slice(first), ...options.contenders.slice(0, first)]) {
          const result = await measure(scenario, name, { cluster, options });
          results.push(result);
          console.error(
            `${scenario} ${name}: ${result.bySocket} of ${result.expected} by the socket, ${result.withReload} with reloads, doubled ${result.doubled}; ` +
              `${result.breaks} breaks, ${result.recovered} of ${result.connects} recovered, whole after ${result.wholeS.map((s) => s?.toFixed(2)).join("/")} s; ` +
              `server ${result.cpuS.toFixed(2)} s, Postgres ${result.postgresCpuS.toFixed(2)} s, ${result.peakMb.toFixed(0)} MB`,
          );
        }
      }
    }
    const [{ server_version: postgres }] = await cluster.query("postgres", "show server_version");
    const text = `Postgres ${postgres}, Node ${process.versions.node}, ${options.clients} clients in ${options.rooms} rooms, ${options.rate} rows a second for ${options.seconds} s, rounds: ${options.rounds}\n\n${table(results, options)}`;
    writeFileSync(join(options.logs, "report.md"), text);
    process.stdout.write(text);
    if (!options["no-history"]) console.error(`recorded in ${record(results, { postgres, options })}`);
  } catch (error) {
    console.error(error);
    await end(1);
  }
  const ours = results.filter(({ contender }) => contender === "rowcast");
  const wrong = ours.filter(({ lost, doubled, neverWhole }) => lost || doubled || neverWhole);
  if (options.check && (wrong.length || !ours.length)) {
    for (const { scenario, lost, doubled, neverWhole } of wrong) console.error(`${scenario}: Rowcast lost ${lost}, doubled ${doubled}, never whole ${neverWhole}`);
    await end(1);
  }
  await end(0);
}

try {
  await run(options());
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exit(1);
}
