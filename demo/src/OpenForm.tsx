import { useState, type SyntheticEvent } from "react";
import { go, isContactId } from "./route";
import { texts } from "./texts";

/** Opens a conversation that is not in the list. */
export function OpenForm() {
  const [text, setText] = useState("");
  const [isBad, setIsBad] = useState(false);

  function submit(event: SyntheticEvent): void {
    event.preventDefault();
    const contactId = text.trim();
    setIsBad(!isContactId(contactId));
    if (!isContactId(contactId)) return;
    setText("");
    go(contactId);
  }

  return (
    <form className="open-form" aria-label={texts.openConversation} onSubmit={submit}>
      <input
        aria-label={texts.contactId}
        aria-invalid={isBad || undefined}
        aria-describedby={isBad ? "open-problem" : undefined}
        placeholder={texts.openConversation}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setIsBad(false);
        }}
        autoCapitalize="none"
        autoComplete="off"
        autoCorrect="off"
        spellCheck={false}
        enterKeyHint="go"
        dir="auto"
      />
      <button type="submit">{texts.open}</button>
      {isBad && (
        <p className="problem" id="open-problem" role="alert">
          {texts.badContactId}
        </p>
      )}
    </form>
  );
}
