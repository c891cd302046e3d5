// Messages that the user sends, shown before their rows are there.
//
// Guarantee: a draft is shown at once, below the messages, until its row is there, however the row comes; one that could not be written
//            stays as `failed` until it is sent again or discarded, also while the page shows another conversation. Whatever the answer
//            to the writing says, and however late: the row holds.
// Relies on: a key that the application puts into the row, by which the draft and its row are known to be the same.

import { call } from "./call.js";
import type { Conversation } from "./conversation.js";
import { keyOf } from "./messages.js";
import type { Message, MessageStatus, Row } from "./protocol.js";

/** Of two statuses of a message the later one holds; `failed` is disproved by a delivery. */
const RANKS: readonly unknown[] = ["queued", "sent", "failed", "delivered", "read"];

/** Beside the members that the application gave it, what a draft has in place of its row. */
export interface Sending {
  /** `queued` until its row is there; `failed` when writing it threw. A status that overtakes the row is here as well. */
  status: MessageStatus;
  /** What writing it threw. */
  error: unknown;
  /** Writes it again, where it failed. */
  retry(): void;
  /** Takes it away. What is written stays so. */
  discard(): void;
}

/** A message that is sent and whose row is not there yet. `id` is its key. */
export type Draft<M extends Row = Message> = Partial<Omit<M, "id" | "status">> & { id: string; status: MessageStatus; draft: Sending };

/** A row, or the draft of one. */
export type Composed<M extends Row = Message> = (M & { draft?: undefined }) | Draft<M>;

/** How a draft's row is known. */
export interface ComposerOptions<M extends Row = Message> {
  /** The member that has the application's key, or a function that finds it in a row and in a draft: `externalId`. */
  key?: (keyof M & string) | ((row: Partial<M>) => unknown) | undefined;
}

interface Entry<M extends Row> {
  key: string;
  draft: Partial<M>;
  write: (draft: Partial<M>) => unknown;
  status: MessageStatus;
  error: unknown;
  /** By which the server knows the row, where the writing's answer said so. */
  id?: string | undefined;
}

const composers = new WeakMap<object, Map<string, Composer<never>>>();

/** The composer of a conversation: one for each room of a connection, so that what failed is there when the page comes back. */
export function composerOf<M extends Row = Message>(conversation: Conversation<M>, options: ComposerOptions<M> = {}): Composer<M> {
  const { socket, room } = conversation;
  const ofSocket = composers.get(socket) ?? new Map<string, Composer<never>>();
  composers.set(socket, ofSocket);
  const composer = (ofSocket.get(room) as unknown as Composer<M> | undefined) ?? new Composer<M>();
  ofSocket.set(room, composer as unknown as Composer<never>);
  composer.use(conversation, options);
  return composer;
}

/** Sends messages, and shows them with those that are there. */
export class Composer<M extends Row = Message> {
  #conversation!: Conversation<M>;
  /** The member that has the key, where it is one. */
  #member: string | undefined;
  #keyIn!: (row: Partial<M>) => unknown;
  #drafts: Entry<M>[] = [];
  /** By their ids, statuses of messages that were not there when these came. Collected while there are drafts. */
  readonly #statuses = new Map<string | undefined, MessageStatus>();
  readonly #subscribers = new Set<() => void>();
  #listening: (() => void) | undefined;
  /** What `messages` was made of, and what came of it. */
  #rows: readonly M[] | undefined;
  #messages: readonly Composed<M>[] = [];

  /** @internal The page opened the conversation again. */
  use(conversation: Conversation<M>, { key = "externalId" as keyof M & string }: ComposerOptions<M>): void {
    if (conversation !== this.#conversation) this.#rows = undefined;
    this.#conversation = conversation;
    this.#member = typeof key === "function" ? undefined : key;
    this.#keyIn = typeof key === "function" ? key : (row) => row[key];
  }

  /** The conversation's messages, then the drafts. Another array after each change. */
  get messages(): readonly Composed<M>[] {
    const { messages: rows } = this.#conversation.state;
    if (rows === this.#rows) return this.#messages;
    this.#rows = rows;
    if (this.#drafts.length) {
      const there = new Set(rows.flatMap((row) => [`k${this.#keyIn(row)}`, `i${this.#idOf(row)}`]));
      this.#drafts = this.#drafts.filter(({ key, id }) => !there.has(`k${key}`) && !(id && there.has(`i${id}`)));
      if (!this.#drafts.length) this.#stopListening();
    }
    const shown = this.#statuses.size ? rows.map((row) => this.#withStatus(row)) : rows;
    return (this.#messages = this.#drafts.length ? [...shown, ...this.#drafts.map((entry) => this.#show(entry))] : shown);
  }

  /** Calls `subscriber` after each change of `messages`, until the function that it returns is called. */
  subscribe(subscriber: () => void): () => void {
    this.#subscribers.add(subscriber);
    const unsubscribe = this.#conversation.subscribe(subscriber);
    return () => {
      unsubscribe();
      this.#subscribers.delete(subscriber);
    };
  }

  /**
   * Shows `draft` at once, and writes it by `write`, which gets it with its key. That is to throw where the message could not be written. It may
   * return the row, or an object with its `id`. The user's typing ends.
   */
  send(draft: Partial<Omit<M, "id">>, write: (draft: Partial<M>) => unknown): void {
    let row = draft as Partial<M>;
    let key = this.#keyIn(row);
    if (key === undefined || key === null) {
      if (!this.#member) throw new TypeError("send: the draft has no key");
      key = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
      row = { ...row, [this.#member]: key };
    }
    this.#conversation.stopTyping();
    this.#listening ??= this.#conversation.socket.on("message:status", (event) => this.#overtake(event));
    const entry: Entry<M> = { key: String(key), draft: row, write, status: "queued", error: null };
    this.#drafts = [...this.#drafts.filter((other) => other.key !== entry.key), entry];
    void this.#write(entry);
  }

  async #write(entry: Entry<M>): Promise<void> {
    entry.status = "queued";
    entry.error = null;
    this.#changed();
    try {
      const written = (await entry.write(entry.draft)) as Partial<M> | undefined;
      entry.id = written?.id === undefined ? undefined : this.#idOf(written as M);
      // Nobody brings it at once.
      if (this.#conversation.state.status !== "connected") this.#conversation.wake();
    } catch (error) {
      entry.status = "failed";
      entry.error = error;
    }
    this.#changed();
  }

  #show(entry: Entry<M>): Draft<M> {
    const { key, draft, error } = entry;
    const status = later(entry.status, this.#statuses.get(entry.id) ?? this.#statuses.get(key));
    const retry = () => {
      if (entry.status === "failed" && this.#drafts.includes(entry)) void this.#write(entry);
    };
    const discard = () => {
      this.#drafts = this.#drafts.filter((other) => other !== entry);
      if (!this.#drafts.length) this.#stopListening();
      this.#changed();
    };
    return { ...draft, id: key, status, draft: { status, error, retry, discard } } as unknown as Draft<M>;
  }

  #overtake({ messageId, status }: { messageId: string; status: MessageStatus }): void {
    // A row that is there has it already.
    if (this.#conversation.state.messages.some((row) => this.#idOf(row) === messageId)) return;
    this.#statuses.set(messageId, later(status, this.#statuses.get(messageId)));
    this.#changed();
  }

  #withStatus(row: M): M {
    const { status } = row as { status?: MessageStatus };
    const overtaken = this.#statuses.get(this.#idOf(row));
    return overtaken && status !== overtaken && later(status, overtaken) === overtaken ? { ...row, status: overtaken } : row;
  }

  #idOf(row: M): string {
    return keyOf(row, this.#conversation.shape);
  }

  #stopListening(): void {
    this.#listening?.();
    this.#listening = undefined;
    const overtaken: (string | undefined)[] = this.#conversation.state.messages.filter((row) => this.#withStatus(row) !== row).map((row) => this.#idOf(row));
    for (const id of this.#statuses.keys()) if (!overtaken.includes(id)) this.#statuses.delete(id);
  }

  #changed(): void {
    this.#rows = undefined;
    call(this.#subscribers);
  }
}

/** The later of two statuses. */
function later(a: MessageStatus | undefined, b: MessageStatus | undefined): MessageStatus {
  return RANKS.indexOf(b) > RANKS.indexOf(a) ? b! : a!;
}
