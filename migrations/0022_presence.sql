-- Presence: who is in which room, as servers with ROWCAST_PRESENCE=on write it.
--
-- Guarantee: rowcast.presence has a row for a subject and a room while a connection of that subject is in it, on any server; right within a
--            second. Each server keeps its own rows equal to what it has in memory, by absolute values, over one connection. A server lives
--            while that connection holds the advisory lock whose key is its number: so the rows of a server that was killed are gone from
--            the view the moment Postgres ends the connection, and whoever lives removes them. Behind a pooler, where a session keeps no
--            lock, a server lives until alive_until, which it moves on.
--            A server that connects anew is another one, with another number, and writes all of its rows again.
-- Cost:      none for writers of events, and none at all with ROWCAST_PRESENCE=off. With it on, at most ten writes a second and server,
--            however many clients come and go, and some short reads. The tables are unlogged: nothing of it goes into the write-ahead log, a crash of Postgres
--            empties them, a standby has none of it.
-- Rights:    nothing is granted; docs/sql.md lists what a server's role needs, and who reads the view.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

create unlogged table rowcast.presence_servers (
  server bigint primary key,
  pid integer,
  alive_until timestamptz,
  version bigint not null default 0,
  complete_from bigint not null default 0
);
comment on table rowcast.presence_servers is 'the servers that write presence: one row per connection of theirs';
comment on column rowcast.presence_servers.server is 'drawn anew for each connection; the key of the advisory lock that it holds';
comment on column rowcast.presence_servers.pid is 'the backend that holds the lock; null behind a pooler';
comment on column rowcast.presence_servers.alive_until is 'behind a pooler, until when it lives without another sign; else null';
comment on column rowcast.presence_servers.version is 'counts its writes: rows and departures carry that of the write that made them';
comment on column rowcast.presence_servers.complete_from is 'departures up to this version have been forgotten';

create unlogged table rowcast.presence_of_servers (
  server bigint not null,
  id bigint not null,
  room text not null,
  subject text not null,
  connections integer not null,
  since timestamptz not null,
  version bigint not null,
  primary key (server, id)
);
comment on table rowcast.presence_of_servers is
  'what each server has: a row per room and subject while a connection is there; those of servers that have ended are no presence';
comment on column rowcast.presence_of_servers.id is 'the server''s own number of the row, never used again';
comment on column rowcast.presence_of_servers.subject is 'the claim sub; without tokens one that stands for the client''s session';

create index presence_of_servers_version on rowcast.presence_of_servers (server, version);
-- By hash, because a room and a subject may be longer than an entry of a tree.
create index presence_of_servers_room on rowcast.presence_of_servers using hash (room);
create index presence_of_servers_subject on rowcast.presence_of_servers using hash (subject);

create unlogged table rowcast.presence_departures (
  server bigint not null,
  version bigint not null,
  id bigint not null,
  primary key (server, version, id)
);
comment on table rowcast.presence_departures is 'rows that a server has removed lately, so that others need not read all of its rows again';

-- A lock that can be shared is held by nobody for itself, so its server has ended. Giving it back is part of the question.
create view rowcast.presence as
with living as materialized (
  select s.server from rowcast.presence_servers s
  where s.alive_until > clock_timestamp()
     or s.alive_until is null and not (pg_try_advisory_lock_shared(s.server) and pg_advisory_unlock_shared(s.server))
)
select p.room, p.subject, sum(p.connections) as connections, min(p.since) as since
from rowcast.presence_of_servers p
where p.server in (select l.server from living l)
group by p.room, p.subject;
comment on view rowcast.presence is 'who is in which room, on all servers, while ROWCAST_PRESENCE is on';
comment on column rowcast.presence.connections is 'how many connections of the subject are in the room';
comment on column rowcast.presence.since is 'when the first of them came, by the clock of its server';

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
