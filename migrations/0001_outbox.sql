-- Outbox: the events that readers broadcast, and what readers keep beside them.
--
-- Guarantee: a row here is visible exactly when the change that caused it is. No data travels by NOTIFY.
-- Cost:      three index entries per event; two lock calls per writing statement while no reader sleeps,
--            one NOTIFY while one does.
-- Rights:    nothing is granted; docs/sql.md lists what a server's role needs. Writers need nothing.

do $$
begin
  -- `create schema if not exists` asks for CREATE on the database even when the schema is there.
  if to_regnamespace('rowcast') is null then
    create schema rowcast;
  end if;
end $$;

create table rowcast.events (
  -- cache 1: with a larger cache two sessions would hand out ids in an order unlike their writes.
  id bigint generated always as identity (cache 1) primary key,
  xid xid8 not null default pg_current_xact_id(),
  at timestamptz not null default clock_timestamp(),
  room text,
  event text not null,
  data json not null,
  source text
) with (
  -- Rows live for the retention and are deleted each second: vacuum by count, whatever the table's size.
  autovacuum_vacuum_threshold = 20000,
  autovacuum_vacuum_scale_factor = 0,
  autovacuum_vacuum_insert_threshold = 20000,
  autovacuum_vacuum_insert_scale_factor = 0
);
create index events_xid on rowcast.events (xid);
create index events_room on rowcast.events (room, id);

comment on table rowcast.events is 'Rowcast''s outbox: one row per event, pruned after the retention';
comment on column rowcast.events.xid is 'the transaction that wrote it; readers compare it with their last snapshot';
comment on column rowcast.events.room is 'null: the room could not be computed, data says why';
comment on column rowcast.events.data is 'the payload as clients get it; json, not jsonb, because the text is passed on as it is';
comment on column rowcast.events.source is 'the attached table, or null for rowcast.emit';

-- A sleeping reader holds this key shared, so that the try fails and only then a NOTIFY is paid for.
-- The second try is for another writer that holds the key for the moment between its own two calls.
-- Every name is qualified, which saves the price of a pinned search_path on each write.
create function rowcast.wake() returns trigger
language plpgsql as $$
begin
  -- A statement that wrote no event wakes nobody. The count is this transaction's own.
  if pg_catalog.pg_stat_get_xact_tuples_inserted(tg_relid) operator(pg_catalog.=) 0
     and pg_catalog.current_setting('track_counts')::pg_catalog.bool then
    return null;
  end if;
  if not ((pg_catalog.pg_try_advisory_lock(1919903602, 1) and pg_catalog.pg_advisory_unlock(1919903602, 1))
       or (pg_catalog.pg_try_advisory_lock(1919903602, 1) and pg_catalog.pg_advisory_unlock(1919903602, 1))) then
    perform pg_catalog.pg_notify('rowcast', '');
  end if;
  return null;
end $$;

create trigger wake after insert on rowcast.events for each statement execute function rowcast.wake();
comment on trigger wake on rowcast.events is
  'disable it for poll-only mode: alter table rowcast.events disable trigger wake';

-- Offsets are worth something in one database only: they carry `value`, and a server that finds another
-- system or timeline than this row's (a restored dump, a failover) draws a new one.
create table rowcast.epoch (
  only_row boolean primary key default true check (only_row),
  value bigint not null,
  system_identifier bigint,
  timeline int,
  pruned pg_snapshot
);
comment on column rowcast.epoch.pruned is
  'every event ever pruned was visible in this snapshot: a reader or an offset that has not seen all of it may have missed one';

insert into rowcast.epoch (value, system_identifier, timeline)
values (
  ('x' || left(replace(gen_random_uuid()::text, '-', ''), 16))::bit(64)::bigint,
  case when has_function_privilege('pg_control_system()', 'execute')
       then (select system_identifier from pg_control_system()) end,
  case when has_function_privilege('pg_control_checkpoint()', 'execute')
       then (select timeline_id from pg_control_checkpoint()) end
);

create table rowcast.sessions (
  pid_hash bytea primary key,
  identity text,
  rooms jsonb not null default '{}',
  updated_at timestamptz not null default now()
);
comment on table rowcast.sessions is 'rooms of connections, by the hash of their secret pid, kept while offsets are';

revoke all on all functions in schema rowcast from public;
