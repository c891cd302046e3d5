import { useEffect, useState } from "react";
import { get, reasonOf, type StoredEvent } from "./api";
import { bytes, timeOf } from "./format";
import { List } from "./List";
import { hrefOf } from "./route";
import { texts } from "./texts";

/** Events, each with a button that asks for its payload. */
export function EventTable({ events, withRoom }: { events: StoredEvent[]; withRoom: boolean }) {
  const [open, setOpen] = useState<string | null>(null);
  const columns = [
    { title: texts.at, cell: (event: StoredEvent) => timeOf(event.atMs) },
    ...(withRoom
      ? [{ title: texts.room, cell: (event: StoredEvent) => <a href={hrefOf("rooms", event.room)}>{event.room}</a> }]
      : [{ title: texts.source, cell: (event: StoredEvent) => event.source ?? "rowcast.emit" }]),
    { title: texts.name, cell: (event: StoredEvent) => <code>{event.event}</code> },
    { title: texts.size, isNumber: true, cell: (event: StoredEvent) => bytes(event.bytes) },
    {
      title: texts.payload,
      cell: (event: StoredEvent) => (
        <button
          type="button"
          className="plain"
          aria-expanded={open === event.id}
          aria-label={open === event.id ? texts.hidePayload(event.id) : texts.showPayload(event.id)}
          onClick={() => setOpen(open === event.id ? null : event.id)}
        >
          {open === event.id ? "{ × }" : "{ … }"}
        </button>
      ),
    },
  ];
  return (
    <List
      title={texts.tabs.events}
      columns={columns}
      lines={events}
      keyOf={(event) => event.id}
      below={(event) => open === event.id && <Payload id={event.id} />}
    />
  );
}

function Payload({ id }: { id: string }) {
  const [answer, setAnswer] = useState<{ data: string | null } | { problem: string } | null>(null);
  useEffect(() => {
    const unmount = new AbortController();
    get<{ data: string | null }>(`events/${encodeURIComponent(id)}`, unmount.signal).then(setAnswer, (error: unknown) => {
      if (!unmount.signal.aborted) setAnswer({ problem: reasonOf(error) });
    });
    return () => unmount.abort();
  }, [id]);
  if (answer === null) return <p className="quiet">{texts.loading}</p>;
  if ("problem" in answer) return <p className="problem">{answer.problem}</p>;
  if (answer.data === null) return <p>{texts.payloadTooLarge}</p>;
  return (
    <pre tabIndex={0} aria-label={texts.payload}>
      <code translate="no">{indented(answer.data)}</code>
    </pre>
  );
}

/** Easier to read, unless that would change a number. */
function indented(json: string): string {
  try {
    return /\d{16}/.test(json) ? json : JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}
