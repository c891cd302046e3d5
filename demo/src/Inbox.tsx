import { Avatar } from "./Avatar";
import { previewOf } from "./kinds";
import { OpenForm } from "./OpenForm";
import { hrefOf } from "./route";
import { texts } from "./texts";
import { TickIcon } from "./Tick";
import { useToday, whenOf } from "./time";
import type { Entry, InboxState } from "./useInbox";
import { useNearEnd } from "./useNearEnd";

/** A longer text would only be heard, not seen. */
const PREVIEW_CHARACTERS = 160;

/** The list of conversations, the newest first. */
export function Inbox({
  conversations,
  more,
  loadOlder,
  problem,
  openId,
  version,
}: InboxState & { openId: string | null; version: string | undefined }) {
  const today = useToday();
  const list = useNearEnd<HTMLElement>(more, conversations?.length ?? 0, loadOlder);
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
      <nav ref={list} aria-label={texts.conversations} aria-busy={!conversations}>
        {!conversations?.length && !problem && (
          <p className="quiet">{conversations ? texts.noConversations : texts.loadingConversations}</p>
        )}
        <ul>
          {conversations?.map((entry) => (
            <li key={entry.contactId}>
              <ConversationLink entry={entry} isOpen={entry.contactId === openId} today={today} />
            </li>
          ))}
        </ul>
      </nav>
    </div>
  );
}

function ConversationLink({ entry, isOpen, today }: { entry: Entry; isOpen: boolean; today: number }) {
  const { contactId, last, unread } = entry;
  const preview = previewOf(last).slice(0, PREVIEW_CHARACTERS);
  return (
    <a className="conversation-link" href={hrefOf(contactId)} aria-current={isOpen ? "page" : undefined}>
      <Avatar contactId={contactId} />
      <span className="link-id" dir="auto">
        {contactId}
      </span>{" "}
      <time dateTime={last.createdAt}>{whenOf(last.createdAt, today)}</time>{" "}
      <span className="link-last">
        {last.direction === "outbound" && (
          <>
            <TickIcon status={last.status} />
            <span className="visually-hidden">{texts.ticks[last.status]}: </span>
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
}
