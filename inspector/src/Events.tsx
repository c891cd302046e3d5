import { useEffect, useRef, useState } from "react";
import { ApiError, get, query, reasonOf, type LiveEvent, type LiveEvents } from "./api";
import { Act } from "./Act";
import { EventTable } from "./EventTable";
import { texts } from "./texts";
import { useIsSeen, useSettled } from "./usePolled";

const PAUSE_MS = 1_000;
const MOST = 200;

/** What is broadcast, as it is. */
export function Events({ write }: { write: boolean }) {
  const [room, setRoom] = useState("");
  const [name, setName] = useState("");
  const [isPaused, setPaused] = useState(false);
  const { events, hasGap, problem } = useTail(useSettled(room), useSettled(name), isPaused);
  return (
    <section>
      <h2>{texts.tabs.events}</h2>
      <p className="quiet-line">{texts.eventsHint}</p>
      <form className="filters" role="search" onSubmit={(event) => event.preventDefault()}>
        <label>
          {texts.filterRoom}
          <input type="search" value={room} onChange={(event) => setRoom(event.target.value)} />
        </label>
        <label>
          {texts.filterName}
          <input type="search" value={name} onChange={(event) => setName(event.target.value)} />
        </label>
        <button type="button" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>
          {isPaused ? texts.goOn : texts.pause}
        </button>
        <span role="status">{isPaused && texts.paused}</span>
      </form>
      {problem && <p className="problem">{texts.stale(problem)}</p>}
      {hasGap && <p className="notice">{texts.gap}</p>}
      {events.length === 0 ? <p className="quiet">{texts.noEvents}</p> : <EventTable events={events} withRoom />}
      <Act write={write} actions={[{ kind: "emit", room: "" }]} />
    </section>
  );
}

/** The newest events that match, while it is looked at. A change of the filter begins anew. */
function useTail(room: string, name: string, isPaused: boolean) {
  const [events, setEvents] = useState<LiveEvent[]>([]);
  const [hasGap, setGap] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const seen = useRef<{ filter: string; number: number } | null>(null);
  const isSeen = useIsSeen();
  useEffect(() => {
    if (isPaused || !isSeen) return;
    const unmount = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const filter = JSON.stringify([room, name]);
    const ask = async (): Promise<void> => {
      const after = seen.current?.filter === filter ? seen.current.number : undefined;
      try {
        // The number 0 is asked for as well: nothing was broadcast then.
        const number = after === undefined ? undefined : String(after);
        const answer = await get<LiveEvents>(`events${query({ after: number, room, name })}`, unmount.signal);
        if (unmount.signal.aborted) return;
        // A server that started anew counts anew.
        const isAnew = after === undefined || answer.number < after;
        seen.current = { filter, number: isAnew && after !== undefined ? 0 : answer.number };
        if (isAnew) setEvents(answer.events);
        else if (answer.events.length) setEvents((events) => [...answer.events, ...events].slice(0, MOST));
        setGap((had) => (isAnew ? false : had || answer.hasGap));
        setProblem(null);
      } catch (error) {
        if (unmount.signal.aborted) return;
        if (error instanceof ApiError && error.status === 401) dispatchEvent(new Event("rowcast:signed-out"));
        setProblem(reasonOf(error));
      }
      timer = setTimeout(() => void ask(), PAUSE_MS);
    };
    void ask();
    return () => {
      unmount.abort();
      clearTimeout(timer);
    };
  }, [room, name, isPaused, isSeen]);
  return { events, hasGap, problem };
}
