import { memo, useState } from "react";
import type { InboxRow } from "@rowcast/client/react";
import { Avatar } from "./Avatar";
import { previewOf } from "./kinds";
import { OpenForm } from "./OpenForm";
import { hrefOf } from "./route";
import { texts } from "./texts";
import { TickIcon } from "./Tick";
import { useToday, whenOf } from "./time";
import type { InboxState } from "./useInbox";
import { useRows } from "./useRows";

/** A longer text would only be heard, not seen. */
const PREVIEW_CHARACTERS = 160;

/** The list of conversations, the newest first. */
export function Inbox({
  conversations,
  contacts,
  more,
  loading,
  loadOlder,
  problem,
  openId,
  version,
}: InboxState & { openId: string | null; version: string | undefined }) {
  const today = useToday();
  const [focused, setFocused] = useState<string | null>(null);
  const { scroller, list, shown } = useRows(contacts, [openId, focused], more, loadOlder);
  const count = conversations.length;
  return (
    <div className="inbox">
      <header className="inbox-header">
        <h1>Rowcast</h1>
        {version && <span className="version">{version}</span>}
      </header>
      <OpenForm />
      <p className="notice" role="status">
        {problem && texts.stale(problem)}
      </p>
      <nav ref={scroller} aria-label={texts.conversations} aria-busy={loading}>
        {!count && !problem && <p className="quiet">{loading ? texts.loadingConversations : texts.noConversations}</p>}
        <ul ref={list} style={{ height: `${count * ROW_REM}rem` }} onBlur={() => setFocused(null)}>
          {shown.map((index) => {
            const row = conversations[index]!;
            const { contactId } = row;
            return (
              <li
                key={contactId}
                style={{ top: `${index * ROW_REM}rem` }}
                aria-setsize={more ? -1 : count}
                aria-posinset={index + 1}
                onFocus={() => setFocused(contactId)}
              >
                <ConversationLink row={row} isOpen={contactId === openId} today={today} />
              </li>
            );
          })}
        </ul>
      </nav>
    </div>
  );
}

/** The height of a row, as the style sheet has it. */
const ROW_REM = 4.5;

const ConversationLink = memo(function ConversationLink({ row, isOpen, today }: { row: InboxRow; isOpen: boolean; today: number }) {
  const { contactId, lastMessageAt, unread } = row;
  // A row that is too large comes with its ids alone.
  const { direction, status = "sent", body, type }: Partial<InboxRow["lastMessage"]> = row.lastMessage ?? {};
  const preview = previewOf({ body: body as string, metadata: type === undefined ? {} : { type } }).slice(0, PREVIEW_CHARACTERS);
  return (
    <a className="conversation-link" href={hrefOf(contactId)} aria-current={isOpen ? "page" : undefined}>
      <Avatar contactId={contactId} />
      <span className="link-id" dir="auto">
        {contactId}
      </span>{" "}
      <time dateTime={lastMessageAt}>{whenOf(lastMessageAt, today)}</time>{" "}
      <span className="link-last">
        {direction === "outbound" && (
          <>
            <TickIcon status={status} />
            <span className="visually-hidden">{texts.ticks[status]}: </span>
          </>
        )}
        <span className="link-preview" dir="auto">
          {preview}
        </span>
      </span>{" "}
      {unread > 0 && (
        <span className="link-unread">
          <span data-unread={unread}>{unread}</span>
          <span className="visually-hidden"> {texts.unread}</span>
        </span>
      )}
    </a>
  );
});
