// Bridges to TanStack Query and TanStack DB. Nothing of either is imported: what they have to be is written here.

import type { Conversation } from "./conversation.js";
import { compare, keyOf } from "./messages.js";
import type { Options } from "./options.js";
import type { Message, Row } from "./protocol.js";
import { roomOf } from "./room.js";
import { actionsOf, showRoom, type Actions } from "./shared.js";
import type { ConversationState } from "./state.js";

interface Query {
  getObserversCount(): number;
}

/** What is used of TanStack Query's client, 5.66 or later. */
interface QueryClient {
  getQueryCache(): {
    find(filters: { queryKey: readonly unknown[]; exact: true }): Query | undefined;
    subscribe(listener: (event: { query: Query }) => void): () => void;
  };
  setQueryData(queryKey: readonly unknown[], data: unknown): unknown;
  invalidateQueries(filters: { queryKey: readonly unknown[]; exact: true; refetchType: "none" }): Promise<void>;
}

/** What `useQuery` and its like take. */
export interface ConversationQuery<M extends Row = Message> extends Actions {
  queryKey: readonly ["rowcast", string];
  queryFn(context: { client: QueryClient }): Promise<ConversationState<M>>;
  staleTime: number;
  structuralSharing: false;
}

/**
 * A conversation as a query: its data are the conversation's state, kept up to date while a component observes it. The query never fails:
 * why there is nothing is in the state's `error`.
 */
export function conversationQuery<M extends Row = Message>(contactId: string | number, options: Options<M>): ConversationQuery<M> {
  return roomQuery(roomOf(contactId), options);
}

/** The same for a room of any kind, by its whole name: `inbox:7`. */
export function roomQuery<M extends Row = Message>(room: string, options: Options<M>): ConversationQuery<M> {
  const name = nameOf(room, options);
  const queryKey = ["rowcast", name] as const;
  return {
    ...actionsOf(() => followed.get(name)),
    queryKey,
    queryFn: ({ client }) => follow(client, queryKey, room, options),
    staleTime: Infinity,
    structuralSharing: false,
  };
}

/** What the room of a server is called in keys and ids. */
const nameOf = (room: string, { url }: { url?: string | undefined }) => `${url} ${room}`;

/** The conversations of queries, by their names, and how a query stops to follow its own. */
const followed = new Map<string, Actions>();
const stops = new WeakMap<Query, () => void>();

/** Keeps a query's data up to date until nobody observes it. Returns the first of them, once there is something to show. */
function follow<M extends Row>(client: QueryClient, queryKey: readonly [string, string], room: string, options: Options<M>) {
  return new Promise<ConversationState<M>>((resolve) => {
    const cache = client.getQueryCache();
    const query = cache.find({ queryKey, exact: true })!;
    let isShown = false;
    const look = () => {
      const { state } = conversation;
      if (isShown) client.setQueryData(queryKey, state);
      if (isShown || (state.loading && !state.error)) return;
      isShown = true;
      resolve(state);
    };
    const { conversation, stop: leave } = showRoom(room, options, look);
    const unsubscribe = cache.subscribe((event) => {
      // The query or its last observer was removed, or it was fetched ahead: it is fetched again by the first who observes it.
      if (event.query === query && isShown && !query.getObserversCount()) stop();
    });
    const stop = () => {
      if (stops.get(query) !== stop) return;
      unsubscribe();
      leave();
      stops.delete(query);
      followed.delete(queryKey[1]);
      void client.invalidateQueries({ queryKey, exact: true, refetchType: "none" });
    };
    // Fetched again while it is followed: this one goes on.
    stops.get(query)?.();
    stops.set(query, stop);
    followed.set(queryKey[1], conversation);
    look();
  });
}

/** What is used of a collection's sync, of TanStack DB. */
interface Sync<M> {
  begin(): void;
  write(message: { type: "insert" | "update"; value: M } | { type: "delete"; key: string }): void;
  commit(): unknown;
  markReady(): void;
  truncate(): void;
}

/** What `createCollection` takes. */
export interface ConversationCollection<M extends Row = Message> {
  id: string;
  getKey(row: M): string;
  compare(a: M, b: M): number;
  sync: { sync(sync: Sync<M>): () => void; rowUpdateMode: "full" };
  /** As `collection.utils`. */
  utils: { [A in keyof Actions]: Actions[A] };
}

/** A conversation's rows as a collection, open while the collection syncs: the loaded messages, their changes, and `truncate` where continuity is lost. */
export function conversationCollection<M extends Row = Message>(contactId: string | number, options: Options<M>): ConversationCollection<M> {
  return roomCollection(roomOf(contactId), options);
}

/** The same for a room of any kind, by its whole name: `inbox:7`. */
export function roomCollection<M extends Row = Message>(room: string, options: Options<M>): ConversationCollection<M> {
  let opened: Conversation<M>;
  return {
    id: `rowcast ${nameOf(room, options)}`,
    getKey: (row) => keyOf(row, opened?.shape),
    compare: (a, b) => compare(a, b, opened.shape),
    utils: actionsOf(() => opened),
    sync: {
      rowUpdateMode: "full",
      sync({ begin, write, commit, markReady, truncate }) {
        let messages: readonly M[] | undefined;
        let rows = new Map<string, M>();
        let isLost = false;
        const look = () => {
          const { loading, error } = conversation.state;
          const isNew = messages !== (messages = conversation.state.messages);
          isLost ||= !conversation.offset && !loading;
          if (isNew) {
            begin();
            // The history is loaded again.
            if (isLost && conversation.offset) {
              truncate();
              rows = new Map();
              isLost = false;
            }
            const next = new Map(messages.map((row) => [keyOf(row, conversation.shape), row]));
            for (const key of rows.keys()) if (!next.has(key)) write({ type: "delete", key });
            for (const [key, value] of next) {
              const known = rows.get(key);
              if (known !== value) write({ type: known ? "update" : "insert", value });
            }
            rows = next;
            commit();
          }
          if (!loading || error) markReady();
        };
        const { conversation, stop } = showRoom(room, options, look);
        opened = conversation;
        look();
        return stop;
      },
    },
  };
}
