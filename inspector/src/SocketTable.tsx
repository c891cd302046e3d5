import type { Socket } from "./api";
import { bytes, count, lasting } from "./format";
import { List } from "./List";
import { hrefOf } from "./route";
import { texts } from "./texts";

/** Connected clients, each with a link to it. */
export function SocketTable({ sockets, withRooms }: { sockets: Socket[]; withRooms: boolean }) {
  const columns = [
    {
      title: texts.socket,
      cell: (socket: Socket) => (
        <a href={hrefOf("sockets", socket.socket)} title={texts.aliasHint}>
          #{socket.socket}
        </a>
      ),
    },
    { title: texts.identity, cell: (socket: Socket) => <Identity socket={socket} /> },
    ...(withRooms ? [{ title: texts.rooms, cell: (socket: Socket) => <RoomNames socket={socket} /> }] : []),
    { title: texts.transport, cell: (socket: Socket) => texts.transports[socket.transport] },
    { title: texts.backlog, isNumber: true, cell: (socket: Socket) => bytes(socket.waitingBytes) },
    { title: texts.state, cell: (socket: Socket) => <State socket={socket} /> },
    { title: texts.age, isNumber: true, cell: (socket: Socket) => lasting(socket.ageMs) },
    { title: texts.address, cell: (socket: Socket) => socket.address ?? texts.unknown },
  ];
  return <List title={texts.tabs.sockets} columns={columns} lines={sockets} keyOf={(socket) => socket.socket} />;
}

export function Identity({ socket }: { socket: Socket }) {
  if (socket.identity === null) return <span className="faint">{texts.anonymous}</span>;
  return <span title={socket.identity.issuer ?? undefined}>{socket.identity.subject}</span>;
}

export function State({ socket }: { socket: Socket }) {
  return (
    <span className="state" data-state={socket.state}>
      {texts.liveOrBehind[socket.state]}
    </span>
  );
}

function RoomNames({ socket }: { socket: Socket }) {
  const more = socket.rooms - socket.roomNames.length;
  return (
    <span className="room-names">
      {socket.roomNames.map((room) => (
        <a key={room} href={hrefOf("rooms", room)}>
          {room}
        </a>
      ))}
      {more > 0 && <span className="faint">{texts.more(count(more))}</span>}
      {socket.rooms === 0 && <span className="faint">0</span>}
    </span>
  );
}
