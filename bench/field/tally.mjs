// What arrived, held against what was written: each client has to have each row of its room, once.

// A row this long before a break was on its way at the latest then.
const BEFORE = 1_000;

// The value that `share` of the sorted values don't exceed; nothing of none.
const quantile = (sorted, share) => (sorted.length ? sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] : undefined);

export function tally(clients, written, breaks) {
  const rows = new Map();
  written.forEach((entry, row) => {
    const { room } = entry;
    if (!rows.has(room)) rows.set(room, []);
    rows.get(room).push({ row, committed: entry.committed });
  });
  const counts = { expected: 0, bySocket: 0, withReload: 0, doubled: 0, connects: 0, recovered: 0, breaks: 0 };
  const times = [];
  for (const client of clients) {
    const bySocket = new Map();
    for (const [row, at] of client.received) {
      if (bySocket.has(row)) counts.doubled += 1;
      else bySocket.set(row, at);
    }
    const reloaded = new Map(client.reloaded);
    const had = (row) => Math.min(bySocket.get(row) ?? Infinity, reloaded.get(row) ?? Infinity);
    const due = rows.get(client.room) ?? [];
    counts.expected += due.length;
    for (const { row } of due) {
      if (bySocket.has(row)) counts.bySocket += 1;
      if (had(row) < Infinity) counts.withReload += 1;
    }
    const again = client.connects.slice(1);
    counts.connects += again.length;
    counts.recovered += again.filter(({ recovered }) => recovered).length;
    for (const { at, from } of breaks(client)) {
      counts.breaks += 1;
      const back = client.connects.find((connect) => connect.at >= at)?.at ?? Infinity;
      // Whole: back, and with every row that was committed by then.
      const missed = due.filter(({ committed }) => committed > at - BEFORE && committed <= back);
      times.push(missed.reduce((latest, { row }) => Math.max(latest, had(row)), back) - from);
    }
  }
  times.sort((a, b) => a - b);
  const whole = (share) => quantile(times, share) / 1000;
  return {
    ...counts,
    lost: counts.expected - counts.bySocket,
    share: counts.bySocket / counts.expected,
    shareWithReload: counts.withReload / counts.expected,
    wholeS: [whole(0.5), whole(0.95), whole(1)],
    neverWhole: times.filter((time) => time === Infinity).length,
  };
}
