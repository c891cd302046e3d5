import { useState, type FormEvent } from "react";
import { query, type RoomList, type RoomView } from "./api";
import { Act } from "./Act";
import { EventTable } from "./EventTable";
import { count } from "./format";
import { List, PAGE_LINES, Pager } from "./List";
import { hrefOf } from "./route";
import { SocketTable } from "./SocketTable";
import { texts } from "./texts";
import { usePolled, useSettled } from "./usePolled";

const PAUSE_MS = 2_000;

/** The rooms that somebody is in; or one room. */
export function Rooms({ room, write }: { room: string | null; write: boolean }) {
  return room === null ? <All /> : <One room={room} write={write} />;
}

function All() {
  const [search, setSearch] = useState("");
  const [from, setFrom] = useState(0);
  const [name, setName] = useState("");
  const wanted = useSettled(search);
  const { data, problem } = usePolled<RoomList>(`rooms${query({ search: wanted, from })}`, PAUSE_MS);
  const open = (event: FormEvent): void => {
    event.preventDefault();
    if (name.trim()) location.hash = hrefOf("rooms", name.trim());
  };
  return (
    <section>
      <h2>{texts.tabs.rooms}</h2>
      <div className="filters">
        <form role="search" onSubmit={(event) => event.preventDefault()}>
          <label>
            {texts.search}
            <input
              type="search"
              value={search}
              onChange={(event) => {
                setSearch(event.target.value);
                setFrom(0);
              }}
            />
          </label>
        </form>
        <form aria-label={texts.openRoom} onSubmit={open}>
          <label>
            {texts.roomName}
            <input value={name} placeholder="conversation:42" onChange={(event) => setName(event.target.value)} />
          </label>
          <button type="submit">{texts.open}</button>
        </form>
      </div>
      {problem && <p className="problem">{texts.stale(problem)}</p>}
      {!data && !problem && <p className="quiet">{texts.loading}</p>}
      {data && data.found === 0 && <p className="quiet">{data.total === 0 ? texts.noRooms : texts.noRoomsFound}</p>}
      {data && data.rooms.length > 0 && (
        <List
          title={texts.tabs.rooms}
          columns={[
            { title: texts.room, cell: (line) => <a href={hrefOf("rooms", line.room)}>{line.room}</a> },
            { title: texts.members, isNumber: true, cell: (line) => count(line.members) },
          ]}
          lines={data.rooms}
          keyOf={(line) => line.room}
        />
      )}
      {data && <Pager from={data.from} shown={data.rooms.length} found={data.found} go={setFrom} lines={PAGE_LINES} />}
    </section>
  );
}

function One({ room, write }: { room: string; write: boolean }) {
  const [from, setFrom] = useState(0);
  const { data, problem, again } = usePolled<RoomView>(`room${query({ room, from })}`, PAUSE_MS);
  return (
    <section>
      <p>
        <a href={hrefOf("rooms")}>{texts.back.rooms}</a>
      </p>
      <h2>{room}</h2>
      {problem && <p className="problem">{texts.stale(problem)}</p>}
      {!data && !problem && <p className="quiet">{texts.loading}</p>}
      {data && (
        <>
          <h3>{texts.lastEvents}</h3>
          {data.eventsUnknown && <p className="problem">{texts.refused(data.eventsUnknown)}</p>}
          {!data.eventsUnknown && data.events.length === 0 && <p className="quiet">{texts.noEventsKept}</p>}
          {data.events.length > 0 && <EventTable events={data.events} withRoom={false} />}
          <h3>
            {texts.members} ({count(data.found)})
          </h3>
          {data.found === 0 && <p className="quiet">{texts.noMembers}</p>}
          {data.members.length > 0 && <SocketTable sockets={data.members} withRooms={false} />}
          <Pager from={data.from} shown={data.members.length} found={data.found} go={setFrom} lines={PAGE_LINES} />
          <Act write={write} done={again} actions={[{ kind: "emit", room }]} />
        </>
      )}
    </section>
  );
}
