-- Resume: what lets a client that comes back be given exactly what it missed.
--
-- Guarantee: a crash of Postgres is known of afterwards. It may undo commits that were seen (synchronous_commit = off) and hands
--            their transaction ids out again, so an offset from before it must not be believed unless all it saw was on disk.
-- Cost:      a byte for each event; an index takes the place of another.
-- Rights:    nothing is granted; docs/sql.md lists what a server's role needs.

-- A crash empties an unlogged table; an orderly stop does not.
create unlogged table rowcast.uncrashed (
  only_row boolean primary key default true check (only_row)
);
comment on table rowcast.uncrashed is 'holds a row until Postgres recovers from a crash, which empties an unlogged table';
insert into rowcast.uncrashed default values;

alter table rowcast.epoch add column recovered bigint[] not null default '{}';
comment on column rowcast.epoch.recovered is 'the next transaction id after each crash that a server found out about';

-- Visible is not yet on disk where the writer does not wait for that.
alter table rowcast.events add column sync boolean not null default (current_setting('synchronous_commit') <> 'off');
comment on column rowcast.events.sync is 'whether it was on disk when it became visible';

-- A copy of the database in its own cluster is another database, too.
alter table rowcast.epoch add column database oid;
update rowcast.epoch set database = (select oid from pg_database where datname = current_database());

-- A replay asks what a room got since a snapshot: by transaction, and of one large transaction from an id on.
drop index rowcast.events_room;
create index events_room on rowcast.events (room, xid, id);

alter table rowcast.sessions
  alter column identity set not null,
  add column owner bigint not null,
  add column told text not null,
  add column reached text not null;
comment on column rowcast.sessions.owner is 'the connection that it belongs to; a client that comes back takes it over';
comment on column rowcast.sessions.rooms is 'by room: the offsets that it was joined with and at';
comment on column rowcast.sessions.told is 'the last offset that the client was sent';
comment on column rowcast.sessions.reached is 'up to where it has missed nothing if it has got that: rooms may be quiet for longer than the retention';
