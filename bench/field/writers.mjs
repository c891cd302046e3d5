// Writers: rows at an even pace that waits for no server, each in the next room.
import pg from "pg";
import { now, sleep } from "./waiting.mjs";

const CONNECTIONS = 4;
const INSERT = "insert into messages (contact_id, author, body) values ($1, 'Ana', $2)";

// Resolves to what was written, by row: its room, and when its commit was acknowledged.
export async function write({ url, rate, rooms, until }) {
  const written = [];
  const begin = now();
  const writer = async (first) => {
    const db = new pg.Client({ connectionString: url });
    await db.connect();
    for (let row = first; begin + (row * 1000) / rate < until; row += CONNECTIONS) {
      const wait = begin + (row * 1000) / rate - now();
      if (wait > 0) await sleep(wait);
      const room = String(row % rooms);
      await db.query(INSERT, [room, `bench-${String(row).padStart(8, "0")} it left the depot`]);
      written[row] = { room, committed: now() };
    }
    await db.end();
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, (_, first) => writer(first)));
  return written;
}
