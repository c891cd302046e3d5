import { throwIfAborted } from "./abort.js";
import type { Connection } from "./connection.js";
import { debug } from "./debug.js";
import type { Row } from "./protocol.js";
import { nameOf } from "./room.js";

/** How often a join is tried again that came when there were too many, before the conversation polls. */
const TRIES = 4;

/**
 * Joins a room after the event with that offset. Returns the code by which the server refuses it; throws where the room is forbidden, where
 * the server can't go on from that offset, and where no answer came.
 *
 * @param wishes whether the page shows who is here, when the join is sent
 * @param setLive is told before the server may send the first event, and again where it refuses
 */
export async function joinRoom<M extends Row>(
  socket: Connection<M>,
  room: string,
  after: string | undefined,
  wishes: { presence?: boolean | undefined },
  signal: AbortSignal,
  setLive: (live: boolean) => void,
): Promise<string | null> {
  const [word, name] = nameOf(room);
  await socket.leaving;
  for (let tries = 0; ; tries++) {
    await socket.turn(signal, tries > 0);
    throwIfAborted(signal);
    if (!socket.connected) return null;
    setLive(true);
    const answer = await socket.ask(`join:${word}`, { [word === "room" ? word : "contactId"]: name, after, presence: wishes.presence });
    debug(room, "join", after, answer);
    throwIfAborted(signal);
    if (answer.ok) {
      if (answer.resync) throw { code: "offset_expired" };
      return null;
    }
    setLive(false);
    const { code } = answer.error;
    if (code === "forbidden") throw answer.error;
    if (code !== "too_many_requests" || tries > TRIES) return code;
  }
}
