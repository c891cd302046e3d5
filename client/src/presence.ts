// Who is in a conversation's room, and who types there: for pages that show it, beside what a conversation shows to all.
//
// Guarantee: while somebody subscribes, the list is the server's, also after the connection was lost: it comes whole with each join.
//            Meanwhile it stays as it was. A list that nobody asks for costs nothing, here and on the server.
// Relies on: a server with ROWCAST_PRESENCE=on. Another one sends no list, and `members` is empty.

import { call } from "./call.js";
import type { Conversation } from "./conversation.js";
import type { Member, Row, ServerEvents } from "./protocol.js";
import { nameOf, roomOf } from "./room.js";

/** Who is there, and who types. A change makes another object. */
export interface PresenceState {
  /** Each subject once, however many pages it has open, this page's own among them. Of a crowd the first hundred. */
  members: readonly Member[];
  /** How many there are. */
  count: number;
  /** Who types, where the server knows a name: with tokens. */
  typist: string | null;
}

/** @internal */
export const NOBODY: PresenceState = { members: [], count: 0, typist: null };

/** How long the list may take after a join that may have asked for it, until it is asked for again. */
const LATE_MS = 1_000;

const known = new WeakMap<object, Presence<never>>();

/** The presence of a conversation, or of a room of another kind. The server is asked for it while somebody subscribes. */
export function presenceOf<M extends Row>(conversation: Conversation<M>): Presence<M> {
  const presence = (known.get(conversation) as unknown as Presence<M> | undefined) ?? new Presence(conversation);
  known.set(conversation, presence as unknown as Presence<never>);
  return presence;
}

/** Who is in a room, and who types there. */
export class Presence<M extends Row> {
  #state = NOBODY;
  readonly #subscribers = new Set<() => void>();
  #offs: (() => void)[] = [];

  /** @internal */
  constructor(private conversation: Conversation<M>) {}

  get state(): PresenceState {
    return this.#state;
  }

  /** Calls `subscriber` after each change of `state`, until the function that it returns is called. */
  subscribe(subscriber: () => void): () => void {
    // A function of its own, because the same one may subscribe twice.
    const own = () => subscriber();
    this.#subscribers.add(own);
    if (!this.#offs.length) this.#watch();
    return () => {
      this.#subscribers.delete(own);
      // After the current task, because React's strict mode subscribes again within one.
      queueMicrotask(() => {
        if (this.#subscribers.size) return;
        this.conversation.presence = undefined;
        this.#offs.splice(0).forEach((off) => off());
        this.#state = NOBODY;
      });
    };
  }

  #watch(): void {
    const { conversation } = this;
    const { room, socket, offset } = conversation;
    // Where the history is there, a join may have been sent already, which did not ask.
    let isToAsk = offset !== undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = () => {
      if (!isToAsk || conversation.state.status !== "connected") return;
      isToAsk = false;
      const [word, name] = nameOf(room);
      void socket.ask(`join:${word}`, { [word === "room" ? word : "contactId"]: name, presence: true }).catch(() => {});
    };
    const look = () => {
      const { status, typing } = conversation.state;
      if (!typing) this.#set({ typist: null });
      if (isToAsk && status === "connected") timer ??= setTimeout(ask, LATE_MS);
    };
    const on = <E extends keyof ServerEvents>(event: E, changed: (payload: Parameters<ServerEvents[E]>[0]) => Partial<PresenceState>) =>
      socket.on(event, ((payload: { room?: string; contactId?: string }) => {
        if ((payload.room ?? roomOf(payload.contactId!)) === room) this.#set(changed(payload as never));
      }) as never);
    /** How many there are who are not listed. */
    let rest = 0;
    const list = (members: readonly Member[]) => ({ members, count: members.length + rest });
    const without = (subject: string) => this.#state.members.filter((member) => member.subject !== subject);
    this.#offs = [
      on("presence:state", ({ count, subjects }) => {
        isToAsk = false;
        rest = count - subjects.length;
        return list(subjects);
      }),
      on("presence:join", ({ subject, since }) => list([...without(subject), { subject, since }])),
      on("presence:leave", ({ subject }) => list(without(subject))),
      on("typing:start", ({ subject }) => ({ typist: subject ?? null })),
      conversation.subscribe(look),
      () => clearTimeout(timer),
    ];
    conversation.presence = true;
    ask();
  }

  #set(change: Partial<PresenceState>): void {
    const state = { ...this.#state, ...change };
    if (state.members === this.#state.members && state.typist === this.#state.typist) return;
    this.#state = state;
    call(this.#subscribers);
  }
}
