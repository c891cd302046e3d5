// Sends what is written by the kit's composer, one message after the other.
//
// Guarantee: a message is shown once: as a draft until the conversation has it, then in its place. While the server can't be reached it
//            is tried again; what the server refuses, or has not answered for minutes, says so and can be sent again.
// Relies on: the composer's key in `externalId`, for which the server writes one row however often it is asked.

import type { Conversation, Message } from "@rowcast/client";
import type { Composed, Sending } from "@rowcast/client/composer";
import { useComposer } from "@rowcast/client/react";
import { useMemo } from "react";
import { isPassing, sendMessage } from "./api";
import { pause } from "./pause";

const FIRST_PAUSE_MS = 500;
const MOST_PAUSE_MS = 4_000;
/** How long it is tried. */
const PATIENCE_MS = 120_000;

/** A message in the list; `key` stays when a draft becomes a message. */
export interface Item {
  key: string;
  message: Message;
  /** While its row is not there. */
  draft: Sending | undefined;
}

export interface Outgoing {
  items: readonly Item[];
  send(body: string): void;
}

/** Keys of this page's drafts, also of those that are rows by now. */
const ours = new Set<string>();
/** The last message of each conversation that is being written: the next one waits for it, so that they keep their order. */
const last = new Map<string, Promise<unknown>>();

export function useOutgoing(contactId: string, conversation: Conversation | undefined): Outgoing {
  const { messages, send } = useComposer(conversation);
  const items = useMemo(() => messages.map(itemOf), [messages]);
  return {
    items,
    send(body) {
      const now = new Date().toISOString();
      const draft = { contactId, direction: "outbound", author: "agent", body, metadata: {}, createdAt: now, updatedAt: now } as const;
      send(draft, (keyed) => write(contactId, keyed));
    },
  };
}

function itemOf(composed: Composed): Item {
  const { id, externalId, draft } = composed;
  const key = draft ? id : externalId && ours.has(externalId) ? externalId : id;
  // A draft has all members of a message: `send` has named them.
  return { key, message: composed as Message, draft };
}

function write(contactId: string, { externalId, body }: Partial<Message>): Promise<unknown> {
  if (!externalId || body === undefined) throw new TypeError("the composer gives a draft its key");
  ours.add(externalId);
  const deadline = Date.now() + PATIENCE_MS;
  const before = last.get(contactId)?.catch(() => {});
  const written = (async () => {
    await before;
    return attempt(() => sendMessage(contactId, body, externalId), deadline);
  })();
  last.set(contactId, written);
  return written;
}

async function attempt<T>(work: () => Promise<T>, deadline: number): Promise<T> {
  for (let ms = FIRST_PAUSE_MS; ; ms = Math.min(ms * 2, MOST_PAUSE_MS)) {
    try {
      return await work();
    } catch (error) {
      if (!isPassing(error) || Date.now() > deadline) throw error;
    }
    await pause(ms, new AbortController().signal);
  }
}
