import { useEffect, useRef, useState } from "react";
import type { About } from "./api";
import { texts } from "./texts";

const SQL = "insert into messages (contact_id, body) values ('42', 'Hello')";
const DONE_MS = 4_000;

/** How to make a message arrive: a line to paste. */
export function PsqlHint({ about, contactId = "42" }: { about: About | undefined; contactId?: string }) {
  const code = useRef<HTMLElement>(null);
  const [done, setDone] = useState<string | null>(null);
  useEffect(() => {
    if (!done) return;
    const timer = setTimeout(() => setDone(null), DONE_MS);
    return () => clearTimeout(timer);
  }, [done]);
  if (!about) return null;
  const sql = SQL.replace("'42'", () => `'${contactId.replaceAll("'", "''")}'`);
  const line = about.psql === null ? `${sql};` : withStatement(about.psql, sql);

  async function copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(line);
      setDone(texts.copied);
    } catch {
      // Browsers give the clipboard to secure origins only.
      if (code.current) getSelection()?.selectAllChildren(code.current);
      setDone(texts.copyByHand);
    }
  }

  return (
    <div className="hint">
      <p>{about.psql === null ? texts.sqlHint : texts.hint}</p>
      <pre>
        <code ref={code} translate="no" dir="ltr">
          {line}
        </code>
      </pre>
      <p className="hint-copy">
        <button type="button" onClick={() => void copy()}>
          {texts.copy}
        </button>
        <span role="status">{done}</span>
      </p>
    </div>
  );
}

/** The server's line ends in a statement for contact 42; another contact's may need other quotes. */
function withStatement(line: string, sql: string): string {
  const option = " -c ";
  return line.slice(0, line.lastIndexOf(option)) + option + shellWord(sql);
}

/** Quotes SQL for a POSIX shell. Double quotes are the easier ones to read, but a shell reads some characters in them. */
function shellWord(sql: string): string {
  return /[$`\\"!]/.test(sql) ? `'${sql.replaceAll("'", String.raw`'\''`)}'` : `"${sql}"`;
}
