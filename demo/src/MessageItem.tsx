import type { Message } from "@rowcast/client";
import type { Sending } from "@rowcast/client/composer";
import { memo, useState } from "react";
import { reasonOf } from "./api";
import { contentOf } from "./kinds";
import { texts } from "./texts";
import { Tick } from "./Tick";
import { clockOf } from "./time";

/** A longer message is folded. */
const MOST_CHARACTERS = 1_500;
const MOST_LINES = 24;

/** What tells one sender from another. */
export function senderOf(message: Message | undefined): string {
  return message ? `${message.direction} ${message.author}` : "";
}

/** Who wrote an outbound message. */
function nameOf(author: string | null): string {
  if (author === "bot") return texts.bot;
  return author === null || author === "agent" ? texts.agent : author;
}

interface Props {
  /** Stays when a draft becomes a message. */
  id: string;
  message: Message;
  /** While its row is not there. */
  draft: Sending | undefined;
  /** It came late, above others, and nobody has seen it yet. */
  isLate: boolean;
  /** The first of its sender in a row. */
  isFirst: boolean;
}

export const MessageItem = memo(function MessageItem({ id, message, draft, isLate, isFirst }: Props) {
  const { direction, status, createdAt } = message;
  // A row that is too large comes with its ids alone.
  const author = message.author ?? null;
  const isOutbound = direction === "outbound";
  const { kind, text } = contentOf(message);
  const [isFolded, setIsFolded] = useState(() => text.length > MOST_CHARACTERS || text.split("\n", MOST_LINES + 1).length > MOST_LINES);
  // A table of the application's own may name its columns otherwise.
  const sender = isOutbound ? nameOf(author) : (author ?? (message.contactId as string | undefined));
  const isNamed = isFirst && author !== null && sender !== texts.agent;
  return (
    <li
      className="message"
      data-key={id}
      data-id={draft ? undefined : message.id}
      data-direction={direction}
      data-status={status}
      data-first={isFirst || undefined}
      data-late={isLate || undefined}
    >
      <div className="bubble">
        <span className={isNamed ? "sender" : "visually-hidden"} dir="auto">
          {isNamed ? sender : sender && `${sender}: `}
        </span>
        {kind !== null && <span className="kind">{kind}</span>}
        {text !== "" && (
          <div className="body" dir="auto" data-folded={isFolded || undefined} data-truncated={message.truncated}>
            {text}
          </div>
        )}
        {isFolded && (
          <button className="unfold" type="button" onClick={() => setIsFolded(false)}>
            {texts.showAll}
          </button>
        )}
        <span className="meta">
          <time dateTime={createdAt}>{clockOf(createdAt)}</time>
          {isOutbound && <Tick status={status} />}
        </span>
      </div>
      {draft?.status === "failed" && <Unsent {...draft} />}
    </li>
  );
});

/** Why a message could not be sent, and what can be done about it. */
function Unsent({ error, retry, discard }: Sending) {
  return (
    <div className="unsent">
      <p role="alert">{texts.notSent(reasonOf(error))}</p>
      <button type="button" onClick={retry}>
        {texts.retry}
      </button>
      <button type="button" onClick={discard}>
        {texts.discard}
      </button>
    </div>
  );
}
