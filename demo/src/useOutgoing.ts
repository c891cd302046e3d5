// Sends what is written, one message after the other, and shows it meanwhile.
//
// Guarantee: a message is shown once: as an echo until the conversation has it, then in its place. What could not be sent is
//            back in the composer.
// Relies on: the id that the server answers; until then an echo is known by its text, below what was there before it.

import type { Message } from "@rowcast/client";
import { useEffect, useMemo, useRef, useState } from "react";
import { reasonOf, sendMessage } from "./api";
import { draftOf, setDraft } from "./drafts";
import { texts } from "./texts";

interface Echo {
  key: string;
  /** Its id is empty until the server has answered. */
  message: Message;
  /** The newest message when it was sent. */
  below: string | undefined;
  isSeen: boolean;
}

/** A message in the list; `key` stays when an echo becomes a message. */
export interface Item {
  key: string;
  message: Message;
}

export interface Outgoing {
  items: readonly Item[];
  send(body: string): void;
}

let keys = 0;

export function useOutgoing(contactId: string, messages: readonly Message[], tell: (problem: string | null) => void): Outgoing {
  const [echoes, setEchoes] = useState<readonly Echo[]>([]);
  const queue = useRef<Echo[]>([]);
  const latest = useRef(echoes);
  const { items, claimed } = useMemo(() => merge(messages, echoes), [messages, echoes]);

  const change = (how: (echoes: readonly Echo[]) => readonly Echo[]) => setEchoes((latest.current = how(latest.current)));

  useEffect(() => {
    const isNews = (echo: Echo) => claimed.has(echo.key) && !echo.isSeen;
    // A message that is deleted later must not leave its echo behind.
    if (echoes.some(isNews)) change((all) => all.map((echo) => (isNews(echo) ? { ...echo, isSeen: true } : echo)));
  }, [echoes, claimed]);

  async function work(): Promise<void> {
    for (let echo = queue.current[0]; echo; echo = queue.current[0]) {
      const { key, message } = echo;
      try {
        const id = await sendMessage(contactId, message.body);
        queue.current.shift();
        change((all) => all.map((each) => (each.key === key ? { ...each, message: { ...message, id, status: "sent" } } : each)));
      } catch (error) {
        const seen = new Set(latest.current.filter(({ isSeen }) => isSeen).map((each) => each.key));
        const unsent = queue.current.splice(0).filter((each) => !seen.has(each.key));
        change((all) => all.filter((each) => !unsent.some((other) => other.key === each.key)));
        if (!unsent.length) return;
        setDraft(contactId, [...unsent.map((each) => each.message.body), draftOf(contactId)].filter(Boolean).join("\n"));
        tell(texts.notSent(reasonOf(error)));
      }
    }
  }

  function send(body: string): void {
    tell(null);
    const echo: Echo = {
      key: `echo-${(keys += 1)}`,
      message: echoOf(contactId, body),
      below: messages.at(-1)?.id,
      isSeen: false,
    };
    change((all) => [...all, echo]);
    if (queue.current.push(echo) === 1) void work();
  }

  return { items, send };
}

function merge(messages: readonly Message[], echoes: readonly Echo[]): { items: Item[]; claimed: Set<string> } {
  const keyOf = new Map<string, string>();
  const pending: Item[] = [];
  for (const { key, message, below, isSeen } of echoes) {
    const start = messages.findIndex(({ id }) => id === below) + 1;
    const found = message.id
      ? messages.find(({ id }) => id === message.id)
      : messages.slice(start).find((each) => each.direction === "outbound" && each.body === message.body && !keyOf.has(each.id));
    if (found) keyOf.set(found.id, key);
    else if (!isSeen) pending.push({ key, message });
  }
  const items = messages.map((message) => ({ key: keyOf.get(message.id) ?? message.id, message }));
  return { items: [...items, ...pending], claimed: new Set(keyOf.values()) };
}

function echoOf(contactId: string, body: string): Message {
  const now = new Date().toISOString();
  return {
    id: "",
    contactId,
    direction: "outbound",
    author: "agent",
    body,
    status: "queued",
    externalId: null,
    metadata: {},
    createdAt: now,
    updatedAt: now,
  };
}
