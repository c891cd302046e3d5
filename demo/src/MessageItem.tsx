import type { Message } from "@rowcast/client";
import { memo, useState } from "react";
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
  /** Stays when an echo becomes a message. */
  id: string;
  message: Message;
  /** The first of its sender in a row. */
  isFirst: boolean;
}

export const MessageItem = memo(function MessageItem({ id, message, isFirst }: Props) {
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
      data-id={message.id || undefined}
      data-direction={direction}
      data-status={status}
      data-first={isFirst || undefined}
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
    </li>
  );
});
