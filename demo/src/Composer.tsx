import { type KeyboardEvent, type SyntheticEvent } from "react";
import { setDraft, useDraft } from "./drafts";
import { locale, texts } from "./texts";

const MOST_CHARACTERS = 4096;
const MOST_ROWS = 6;

interface Props {
  contactId: string;
  problem: string | null;
  onProblem: (problem: string | null) => void;
  send: (body: string) => void;
  startTyping: () => void;
  stopTyping: () => void;
}

/** Where a message is written. Enter sends, Shift+Enter is a new line. */
export function Composer({ contactId, problem, onProblem, send, startTyping, stopTyping }: Props) {
  const text = useDraft(contactId);

  function submit(event: SyntheticEvent): void {
    event.preventDefault();
    const body = text.trim();
    if (!body) return;
    if ([...body].length > MOST_CHARACTERS) {
      onProblem(texts.notSent(texts.tooLong(MOST_CHARACTERS.toLocaleString(locale))));
      return;
    }
    send(body);
    setDraft(contactId, "");
    onProblem(null);
  }

  function onKeyDown(event: KeyboardEvent): void {
    // While a word is composed, Enter belongs to the input method.
    if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) submit(event);
  }

  return (
    <form className="composer" onSubmit={submit}>
      {problem && (
        <p className="problem" id="composer-problem" role="alert">
          {problem}
        </p>
      )}
      <textarea
        id="message"
        aria-label={texts.message}
        aria-describedby={problem ? "composer-problem" : undefined}
        placeholder={texts.message}
        rows={Math.min(text.split("\n").length, MOST_ROWS)}
        value={text}
        onChange={(event) => {
          setDraft(contactId, event.target.value);
          if (event.target.value) startTyping();
          else stopTyping();
        }}
        onKeyDown={onKeyDown}
        enterKeyHint="send"
        dir="auto"
      />
      <button className="send" type="submit" aria-label={texts.send} aria-disabled={!text.trim()}>
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <path d="M3 4.5 21 12 3 19.5 5.5 12zM5.5 12H12" />
        </svg>
      </button>
    </form>
  );
}
