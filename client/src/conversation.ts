import { readConversation, storeConversation } from "./cache.js";
import { Carrier } from "./carrier.js";
import type { Connection } from "./connection.js";
import type { Message, Row } from "./protocol.js";
import { idOf } from "./room.js";

/**
 * One conversation, or a room of another kind, as `ConversationSocket.join` and `joinRoom` return it. Its layers: what it shows (`View`),
 * where that is read (`Source`), and what brings its events (`Carrier`).
 */
export class Conversation<M extends Row = Message> extends Carrier<M> {
  /** What its events have as `contactId`. */
  readonly contactId: string;
  /** @internal How many have joined and not left. */
  users = 0;

  /** @internal */
  constructor(room: string, socket: Connection<M>) {
    super(room, socket);
    this.contactId = idOf(room);
    const { offset, messages, more, key, order } = readConversation<M>(socket.options, this.#key);
    if (messages) {
      this.offset = offset;
      this.shape = { key, order };
      this.set({ messages, more: more!, loading: false });
    }
    this.wake();
  }

  /** Takes one `join` back. When all are taken back, the room is left. */
  leave(): void {
    this.socket.release(this.room);
  }

  /** @internal Stores it for the next time that the page opens it. */
  save(): void {
    const { messages, more } = this.state;
    storeConversation(this.socket.options, this.#key, { messages, more, offset: this.offset, ...this.shape });
  }

  /** What it is called where it is stored. */
  get #key(): string {
    return this.socket.api + this.room;
  }
}
