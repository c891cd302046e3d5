import type { Connection } from "./connection.js";
import type { JoinAnswer, Row } from "./protocol.js";
import { nameOf } from "./room.js";

/** How often a join is tried again that came when there were too many, before the conversation polls. */
const TRIES = 4;

/**
 * Joins a room after the event with that offset. Returns the server's answer, or nothing where there is no connection; throws
 * where the room is forbidden, and where no answer came.
 *
 * @param setLive is told before the server may send the first event, and again where it refuses
 */
export async function joinRoom<M extends Row>(
  socket: Connection<M>,
  room: string,
  after: string | undefined,
  signal: AbortSignal,
  setLive: (live: boolean) => void,
): Promise<JoinAnswer | undefined> {
  const [word, name] = nameOf(room);
  await socket.leaving;
  for (let tries = 0; ; tries++) {
    await socket.turn(signal, tries > 0);
    signal.throwIfAborted();
    if (!socket.connected) return;
    setLive(true);
    const answer = await socket.ask(`join:${word}`, { [word === "room" ? word : "contactId"]: name, after });
    signal.throwIfAborted();
    if (answer.ok) return answer;
    setLive(false);
    const { code } = answer.error;
    if (code === "forbidden") throw answer.error;
    if (code !== "too_many_requests" || tries > TRIES) return answer;
  }
}
