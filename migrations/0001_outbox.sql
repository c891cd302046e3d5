-- Outbox: the table of events, and the trigger that tells readers to look at it.
--
-- Postgres keeps notifications in one queue for the whole cluster, until each session that listens has read them. One that listens and
-- stays in a transaction lets the queue fill up, and then every transaction that has issued a NOTIFY fails when it commits. So ours are
-- left out while the queue is half full: readers look without one, every ROWCAST_POLL.
--
-- Guarantee: an event is visible exactly when the change that caused it is, because both are one transaction.
--            A NOTIFY carries no event. It only says "look", and readers also look without one.
--            An error of the notification itself, and a queue that was half full, fail no writer. What is left: a transaction that
--            notified while there was room, and commits after the queue has become full.
-- Cost:      three index entries per event. Each statement that writes events makes two lock calls while no reader
--            sleeps, and one NOTIFY while one does.
-- Rights:    nothing is granted; docs/sql.md lists what a server's role needs. Writers need nothing.
--
-- Rowcast takes an advisory lock. Its numbers are arbitrary; the server's code has the same ones, named:
--   (1919903602, 1)  held, shared, by every reader that sleeps: a writer who can't have it must notify

do $$
begin
  -- `create schema if not exists` asks for CREATE on the database even when the schema is there.
  if pg_catalog.to_regnamespace('rowcast') is null then
    create schema rowcast;
  end if;
end $$;

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

create table rowcast.events (
  -- cache 1: with a larger cache, two sessions would hand out ids in an order unlike the order of their writes.
  id bigint generated always as identity (cache 1) primary key,
  xid xid8 not null default pg_current_xact_id(),
  at timestamptz not null default clock_timestamp(),
  room text,
  event text not null,
  -- json, not jsonb: its text is passed on to clients as it is.
  data json not null,
  source text,
  sync boolean not null default (current_setting('synchronous_commit') <> 'off'),
  -- A default, so that neither capture nor emit need know of it. A traceparent of version 00 has 55 characters.
  traceparent text default (nullif(left(current_setting('rowcast.traceparent', true), 55), ''))
) with (
  -- Rows are deleted soon after they are written. Vacuum by their number, whatever the size of the table.
  autovacuum_vacuum_threshold = 20000,
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_insert_threshold = 20000,
  autovacuum_vacuum_insert_scale_factor = 0
);
comment on table rowcast.events is 'the outbox: one row per event, removed when ROWCAST_RETENTION has passed';
comment on column rowcast.events.xid is 'the transaction that wrote the event; a reader compares it with the snapshot of its last read';
comment on column rowcast.events.room is 'null: the room could not be computed, and data says why';
comment on column rowcast.events.data is 'the payload, as clients get it';
comment on column rowcast.events.source is 'the attached table whose change this is; null when rowcast.emit wrote it';
comment on column rowcast.events.sync is
  'whether the event was on disk when it became visible; if not, a crash of Postgres can undo it after it was delivered';

comment on column rowcast.events.traceparent is
  'of the trace that wrote the event, where its transaction said one: set_config(''rowcast.traceparent'', ..., true)';

-- For readers, who ask for events of transactions that their last read could not see.
create index events_xid on rowcast.events (xid);
-- For one client's replay: what a room got since a snapshot, and, within one large transaction, after an id.
create index events_room on rowcast.events (room, xid, id);

-- Runs once per statement that inserts events. Its numbers are literals and each of its names is qualified, because a call
-- to another function, or a search_path of its own, would cost every write. An expression costs each transaction when it is first
-- come to, so what is not asked while no reader sleeps stands behind the return.
create function rowcast.wake() returns trigger
language plpgsql as $$
begin
  -- The lock can't be had while a reader sleeps, nor for the moment in which another writer makes these same two calls.
  if pg_catalog.pg_try_advisory_lock(1919903602, 1) and pg_catalog.pg_advisory_unlock(1919903602, 1) then
    return null;
  end if;
  -- This transaction has inserted no event (the count is its own, kept unless track_counts is off): wake nobody.
  if pg_catalog.pg_stat_get_xact_tuples_inserted(tg_relid) operator(pg_catalog.=) 0
     and pg_catalog.current_setting('track_counts')::pg_catalog.bool then
    return null;
  end if;
  -- The second try saves a needless NOTIFY where it was another writer.
  if pg_catalog.pg_try_advisory_lock(1919903602, 1) and pg_catalog.pg_advisory_unlock(1919903602, 1) then
    return null;
  end if;
  declare
    has_room boolean := true;
  begin
    begin
      has_room := pg_catalog.pg_notification_queue_usage() operator(pg_catalog.<) '0.5'::pg_catalog.float8;
    exception when others then
      null; -- Somebody has revoked the function: then nobody knows.
    end;
    if has_room then
      perform pg_catalog.pg_notify('rowcast', '');
    end if;
  exception when others then
    null; -- The poll delivers.
  end;
  return null;
end $$;

create trigger wake after insert on rowcast.events for each statement execute function rowcast.wake();
-- Also where logical replication applies changes: no notification would be sent, and readers would look by the poll alone.
alter table rowcast.events enable always trigger wake;
comment on trigger wake on rowcast.events is
  'disable it for poll-only mode: alter table rowcast.events disable trigger wake';

revoke all on function rowcast.wake from public;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
