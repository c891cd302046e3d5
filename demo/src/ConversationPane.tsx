import { ConnectionBadge, TypingBadge, useConversationSocket, usePresence } from "@rowcast/client/react";
import type { ErrorCode } from "@rowcast/client";
import { useEffect, useState } from "react";
import type { About } from "./api";
import { Avatar } from "./Avatar";
import { BotButton } from "./BotButton";
import { Composer } from "./Composer";
import { MessageList } from "./MessageList";
import { phone } from "./media";
import { PsqlHint } from "./PsqlHint";
import { go } from "./route";
import { texts } from "./texts";
import { options } from "./useInbox";
import { useOutgoing } from "./useOutgoing";
import { useRead } from "./useRead";

interface Props {
  contactId: string;
  /** Unread messages, as the list counts them. */
  unread: number;
  about: About | undefined;
}

/** The open conversation. */
export function ConversationPane({ contactId, unread, about }: Props) {
  const chat = useConversationSocket(contactId, options);
  const { conversation, messages, more, earlier, loading, status, typing, error, startTyping, stopTyping } = chat;
  const [problem, setProblem] = useState<string | null>(null);
  const { items, send } = useOutgoing(contactId, conversation);
  const { count, typist } = usePresence(conversation);
  useRead(contactId, messages, unread);
  useEscape();

  return (
    <main className="conversation" id="main" tabIndex={-1} data-contact={contactId} aria-labelledby="contact">
      <header className="conversation-header">
        <a className="back" href="#/" aria-label={texts.back}>
          <svg viewBox="0 0 24 24" aria-hidden="true">
            <path d="m15 5-7 7 7 7" />
          </svg>
        </a>
        <Avatar contactId={contactId} />
        <h2 id="contact" tabIndex={-1} dir="auto">
          {contactId}
        </h2>
        <p className="badges">
          <ConnectionBadge className="connection" status={status} texts={texts.kit} />
          {count > 0 && (
            <span className="here" data-here={count}>
              {texts.here(count)}
            </span>
          )}
          <TypingBadge className="typing" typing={typing} typist={typist} texts={texts.kit} />
        </p>
        <BotButton contactId={contactId} onProblem={setProblem} />
      </header>
      <p className="notice" role="status">
        {error && error !== "unreachable" && (texts.kit.errors[error as ErrorCode] ?? error)}
      </p>
      <MessageList
        items={items}
        more={more}
        earlier={earlier}
        loading={loading}
        loadOlder={chat.loadOlder}
        seeEarlier={chat.seeEarlier}
      >
        {loading ? (
          <p className="quiet">{status === "offline" ? texts.kit.connection.offline : texts.loading}</p>
        ) : (
          <div className="placeholder">
            <p>{texts.emptyConversation}</p>
            <PsqlHint about={about} contactId={contactId} />
          </div>
        )}
      </MessageList>
      <Composer
        contactId={contactId}
        problem={problem}
        onProblem={setProblem}
        send={send}
        startTyping={startTyping}
        stopTyping={stopTyping}
      />
    </main>
  );
}

/** Escape is the way back where the list is not beside the conversation. */
function useEscape(): void {
  useEffect(() => {
    const leave = (event: KeyboardEvent) => {
      if (event.key === "Escape" && !event.isComposing && phone.matches) go(null);
    };
    addEventListener("keydown", leave);
    return () => removeEventListener("keydown", leave);
  }, []);
}
