// The table: one for each scenario, a column for each contender. Counts are sums over the rounds, the rest medians.
import { NAMES } from "./contenders.mjs";
import { SCENARIOS } from "./scenarios.mjs";

const percent = (share) => {
  const text = (share * 100).toFixed(2);
  // Rounding hides no loss.
  return share < 1 && text === "100.00" ? "99.99" : text;
};
const seconds = (value) => (value === Infinity ? "never" : value === undefined || Number.isNaN(value) ? "-" : value.toFixed(2));
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)];
const sum = (values) => values.reduce((total, value) => total + value, 0);

const LINES = [
  ["delivered by the socket, %", (runs) => percent(sum(runs.map((run) => run.bySocket)) / sum(runs.map((run) => run.expected)))],
  ["the same with what was reloaded, %", (runs) => percent(sum(runs.map((run) => run.withReload)) / sum(runs.map((run) => run.expected)))],
  ["lost by the socket", (runs) => sum(runs.map((run) => run.lost)).toString()],
  ["doubled", (runs) => sum(runs.map((run) => run.doubled)).toString()],
  ["reconnects that were recovered, %", (runs) => (sum(runs.map((run) => run.connects)) ? percent(sum(runs.map((run) => run.recovered)) / sum(runs.map((run) => run.connects))) : "-")],
  ["50 % whole after, s", (runs) => seconds(median(runs.map((run) => run.wholeS[0])))],
  ["95 % whole after, s", (runs) => seconds(median(runs.map((run) => run.wholeS[1])))],
  ["100 % whole after, s", (runs) => seconds(median(runs.map((run) => run.wholeS[2])))],
  ["server CPU, s", (runs) => median(runs.map((run) => run.cpuS)).toFixed(2)],
  ["Postgres CPU, s", (runs) => median(runs.map((run) => run.postgresCpuS)).toFixed(2)],
  ["memory of the servers at the peak, MB", (runs) => median(runs.map((run) => run.peakMb)).toFixed(0)],
];

export function table(results, { scenarios, contenders }) {
  const parts = scenarios.map((scenario) => {
    const runs = (name) => results.filter((result) => result.scenario === scenario && result.contender === name);
    const head = `| ${scenario}: ${SCENARIOS[scenario].title} | ${contenders.map((name) => NAMES[name]).join(" | ")} |`;
    const rule = `|---|${contenders.map(() => "---|").join("")}`;
    const lines = LINES.map(([what, of]) => `| ${what} | ${contenders.map((name) => (runs(name).length ? of(runs(name)) : "-")).join(" | ")} |`);
    return [head, rule, ...lines].join("\n");
  });
  return `${parts.join("\n\n")}\n`;
}
