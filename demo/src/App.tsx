import { useEffect, useRef, useState, type MouseEvent } from "react";
import { getAbout, type About } from "./api";
import { ConversationPane } from "./ConversationPane";
import { Inbox } from "./Inbox";
import { phone, touch } from "./media";
import { PsqlHint } from "./PsqlHint";
import { hrefOf, useRoute } from "./route";
import { texts } from "./texts";
import { useInbox } from "./useInbox";

export function App() {
  const contactId = useRoute();
  const inbox = useInbox();
  const about = useAbout(inbox.problem === null);
  const { conversations, unread } = inbox;
  const isEmpty = !inbox.loading && !conversations.length;

  useEffect(() => {
    document.title = `${unread ? `(${unread}) ` : ""}${contactId === null ? "" : `${contactId} · `}Rowcast`;
  }, [unread, contactId]);
  useFocus(contactId);

  return (
    <div className="app" data-view={contactId !== null ? "conversation" : isEmpty ? "empty" : "list"}>
      <a className="skip" href="#main" onClick={skip}>
        {texts.skip}
      </a>
      <Inbox {...inbox} openId={contactId} version={about?.version} />
      {contactId === null ? (
        <main className="placeholder" id="main" tabIndex={-1}>
          <h2>{isEmpty ? texts.welcome : texts.choose}</h2>
          <PsqlHint about={about} />
        </main>
      ) : (
        <ConversationPane
          key={contactId}
          contactId={contactId}
          unread={conversations.find((each) => each.contactId === contactId)?.unread ?? 0}
          about={about}
        />
      )}
    </div>
  );
}

/** The address stays: it says which conversation is open. */
function skip(event: MouseEvent): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

/** Asked once the server is there. */
function useAbout(isReachable: boolean): About | undefined {
  const [about, setAbout] = useState<About>();
  useEffect(() => {
    if (about || !isReachable) return;
    const unmount = new AbortController();
    getAbout(unmount.signal).then(setAbout, () => {});
    return () => unmount.abort();
  }, [about, isReachable]);
  return about;
}

/** Takes the focus along: into the conversation that was opened, and back to its link. */
function useFocus(contactId: string | null): void {
  const before = useRef(contactId);
  useEffect(() => {
    const left = before.current;
    if (left === contactId) return;
    before.current = contactId;
    if (contactId !== null) document.getElementById(phone.matches || touch.matches ? "contact" : "message")?.focus();
    else if (left !== null) document.querySelector<HTMLElement>(`nav a[href="${CSS.escape(hrefOf(left))}"]`)?.focus();
  }, [contactId]);
}
