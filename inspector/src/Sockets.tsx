import { useState } from "react";
import type { Socket, SocketList } from "./api";
import { query } from "./api";
import { Act } from "./Act";
import { bytes, count, lasting } from "./format";
import { PAGE_LINES, Pager } from "./List";
import { hrefOf } from "./route";
import { Identity, SocketTable, State } from "./SocketTable";
import { texts } from "./texts";
import { usePolled, useSettled } from "./usePolled";

const PAUSE_MS = 2_000;
const onlys = ["all", "behind", "waiting", "polling"] as const;
const sorts = ["newest", "oldest", "backlog", "rooms"] as const;

/** The connected clients; or one of them. */
export function Sockets({ socket, write }: { socket: string | null; write: boolean }) {
  return socket === null ? <All write={write} /> : <One number={socket} write={write} />;
}

function All({ write }: { write: boolean }) {
  const [search, setSearch] = useState("");
  const [only, setOnly] = useState<(typeof onlys)[number]>("all");
  const [sort, setSort] = useState<(typeof sorts)[number]>("newest");
  const [from, setFrom] = useState(0);
  const wanted = useSettled(search);
  const asked = query({ search: wanted, only, sort, from });
  const { data, problem } = usePolled<SocketList>(`sockets${asked}`, PAUSE_MS);
  return (
    <section>
      <h2>{texts.tabs.sockets}</h2>
      <form className="filters" role="search" onSubmit={(event) => event.preventDefault()}>
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
        <label>
          {texts.only}
          <select
            value={only}
            onChange={(event) => {
              setOnly(event.target.value as typeof only);
              setFrom(0);
            }}
          >
            {onlys.map((value) => (
              <option key={value} value={value}>
                {texts.onlys[value]}
              </option>
            ))}
          </select>
        </label>
        <label>
          {texts.sort}
          <select
            value={sort}
            onChange={(event) => {
              setSort(event.target.value as typeof sort);
              setFrom(0);
            }}
          >
            {sorts.map((value) => (
              <option key={value} value={value}>
                {texts.sorts[value]}
              </option>
            ))}
          </select>
        </label>
      </form>
      {problem && <p className="problem">{texts.stale(problem)}</p>}
      {!data && !problem && <p className="quiet">{texts.loading}</p>}
      {data && data.looked < data.total && <p className="notice">{texts.sample(count(data.looked), count(data.total))}</p>}
      {data && data.found === 0 && <p className="quiet">{data.total === 0 ? texts.noSockets : texts.noSocketsFound}</p>}
      {data && data.sockets.length > 0 && <SocketTable sockets={data.sockets} withRooms />}
      {data && <Pager from={data.from} shown={data.sockets.length} found={data.found} go={setFrom} lines={PAGE_LINES} />}
      <Act write={write} actions={[{ kind: "revoke" }]} />
    </section>
  );
}

function One({ number, write }: { number: string; write: boolean }) {
  const { data, problem, status, again } = usePolled<Socket>(`sockets/${encodeURIComponent(number)}`, PAUSE_MS);
  const isGone = status === 404;
  return (
    <section>
      <p>
        <a href={hrefOf("sockets")}>{texts.back.sockets}</a>
      </p>
      <h2>
        {texts.socket} #{number}
      </h2>
      {isGone && <p role="status">{texts.gone}</p>}
      {problem && !isGone && <p className="problem">{texts.stale(problem)}</p>}
      {data && (
        <>
          <dl className="facts">
            <div>
              <dt>{texts.identity}</dt>
              <dd>
                <Identity socket={data} />
              </dd>
            </div>
            {data.identity?.issuer && (
              <div>
                <dt>{texts.issuer}</dt>
                <dd>{data.identity.issuer}</dd>
              </div>
            )}
            <div>
              <dt>{texts.transport}</dt>
              <dd>{texts.transports[data.transport]}</dd>
            </div>
            <div>
              <dt>{texts.state}</dt>
              <dd>
                <State socket={data} />
              </dd>
            </div>
            <div>
              <dt>{texts.backlog}</dt>
              <dd>{bytes(data.waitingBytes)}</dd>
            </div>
            <div>
              <dt>{texts.age}</dt>
              <dd>{lasting(data.ageMs)}</dd>
            </div>
            <div>
              <dt>{texts.address}</dt>
              <dd>{data.address ?? texts.unknown}</dd>
            </div>
          </dl>
          <h3>
            {texts.rooms} ({count(data.rooms)})
          </h3>
          <ul className="chips">
            {data.roomNames.map((room) => (
              <li key={room}>
                <a href={hrefOf("rooms", room)}>{room}</a>
              </li>
            ))}
          </ul>
          {!isGone && (
            <Act
              write={write}
              done={again}
              actions={[
                { kind: "disconnect", socket: data.socket },
                ...(data.identity ? [{ kind: "revoke" as const, subject: data.identity.subject }] : []),
              ]}
            />
          )}
        </>
      )}
    </section>
  );
}
