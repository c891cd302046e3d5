import { useEffect, useRef, useState } from "react";
import { texts } from "./texts";

const DONE_MS = 4_000;

/** Something to paste, with a button that copies it. */
export function Paste({ title, text }: { title: string; text: string }) {
  const code = useRef<HTMLElement>(null);
  const [done, setDone] = useState<string | null>(null);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(null), DONE_MS);
    return () => clearTimeout(timer);
  }, [done]);

  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(text);
      setDone(texts.copied);
    } catch {
      // Browsers give the clipboard to secure origins only.
      if (code.current) getSelection()?.selectAllChildren(code.current);
      setDone(texts.copyByHand);
    }
  }

  return (
    <div className="paste">
      <p>
        <strong>{title}</strong>
        <button type="button" className="plain" onClick={() => void copy()}>
          {texts.copy}
        </button>
        <span role="status">{done}</span>
      </p>
      <pre tabIndex={0} aria-label={title}>
        <code ref={code} translate="no" dir="ltr">
          {text}
        </code>
      </pre>
    </div>
  );
}
