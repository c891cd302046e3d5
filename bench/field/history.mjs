// The history: a line of JSON for each run in bench/history/field.jsonl, for bench/compare. Of the same form as those of the other benchmark.
import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, readFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem } from "node:os";
import { fileURLToPath } from "node:url";

const FOLDER = fileURLToPath(new URL("../history", import.meta.url));
const [load] = loadavg();
const date = new Date().toISOString().replace(/\.\d+/, "");

const rounded = (value) => (Number.isFinite(value) ? Math.round(value * 1e4) / 1e4 : null);
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)];

const FIGURES = {
  "delivered by the socket": (run) => run.share,
  "delivered, with what was reloaded": (run) => run.shareWithReload,
  doubled: (run) => run.doubled,
  "50 % whole after, s": (run) => run.wholeS[0],
  "95 % whole after, s": (run) => run.wholeS[1],
  "100 % whole after, s": (run) => run.wholeS[2],
  "server CPU, s": (run) => run.cpuS,
  "Postgres CPU, s": (run) => run.postgresCpuS,
  "memory, MB": (run) => run.peakMb,
};

export function record(results, { postgres, options }) {
  const figures = {};
  for (const scenario of options.scenarios) {
    for (const [what, of] of Object.entries(FIGURES)) {
      const rounds = (name) => results.filter((run) => run.scenario === scenario && run.contender === name).map((run) => rounded(of(run)));
      const ours = rounds("rowcast");
      const peers = Object.fromEntries(options.contenders.filter((name) => name !== "rowcast").map((name) => [name, median(rounds(name))]));
      figures[`${scenario}: ${what}`] = { ours: median(ours), rounds: ours, peers };
    }
  }
  let revision = null;
  try {
    revision = execFileSync("git", ["describe", "--always", "--dirty", "--abbrev=10"], { cwd: fileURLToPath(new URL(".", import.meta.url)), encoding: "utf8" }).trim();
  } catch {
    // Not a work tree: the line says so by having none.
  }
  const machine = {
    // As /proc has it, which os.cpus() shortens on some machines.
    cpu: readFileSync("/proc/cpuinfo", "utf8").match(/^model name\s*: (.*)$/m)?.[1] ?? cpus()[0]?.model,
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
  };
  const { clients, seconds, rate, rooms, rounds } = options;
  mkdirSync(FOLDER, { recursive: true });
  const path = `${FOLDER}/field.jsonl`;
  appendFileSync(path, `${JSON.stringify({ date, revision, machine, load, postgres, rounds, options: { clients, seconds, rate, rooms }, figures })}\n`);
  return path;
}
