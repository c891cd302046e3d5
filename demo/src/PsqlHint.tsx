import { useEffect, useRef, useState } from "react";
import type { About } from "./api";
import { texts } from "./texts";

const SQL = "insert into messages (contact_id, body) values ('42', 'Hello');";
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
  const line = about.psql === null ? forSql(contactId) : forShell(about.psql, contactId);

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

function forSql(contactId: string): string {
  return SQL.replace("'42'", () => `'${contactId.replaceAll("'", "''")}'`);
}

/** The server's line is for 42: the id stands in quotes of SQL, within a word in quotes of a POSIX shell. */
function forShell(line: string, contactId: string): string {
  const quote = (sql: string) => sql.replaceAll("'", String.raw`'\''`);
  return line.replace(quote("('42',"), () => quote(`('${contactId.replaceAll("'", "''")}',`));
}
