-- Epoch: which database this is, and what has happened to it since, so that an old offset is never misread.
--
-- An offset says "I have seen these transactions". That is worth nothing in another database, in a copy or an older state of
-- this one, after a crash that undid commits, or once events that it has not seen were removed. This row tells.
--
-- Guarantee: an offset that can't be judged by this row is answered with "load everything again", never with a gap. Who may have missed an
--            event that was removed, by whomever, is told so. A dump that is restored, here or elsewhere, is recognised by the number of
--            the table that it makes.
-- Cost:      none for writers. Two more calls for each statement that removes events, but for the server's own. Servers look at the row
--            when they connect and with each read.
-- Rights:    nothing is granted; docs/sql.md lists what a server's role needs. rowcast.is_flushed may be called by everybody, because it
--            says nothing of anybody. The trigger's function runs as its owner with a fixed search_path; execute is revoked from public.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

create table rowcast.epoch (
  only_row boolean primary key default true check (only_row),
  value bigint not null,
  system_identifier bigint,
  timeline int,
  database oid,
  recovered bigint[] not null default '{}',
  pruned pg_snapshot,
  relation oid,
  removed pg_snapshot
);
comment on table rowcast.epoch is 'one row: the life of this database that offsets belong to';
comment on column rowcast.epoch.value is
  'a random number that each offset carries; a server that finds another cluster, timeline or database than this row''s draws a new one';
comment on column rowcast.epoch.system_identifier is 'the cluster: a dump that is restored elsewhere has another';
comment on column rowcast.epoch.timeline is 'of the cluster: a standby that takes over begins a new one';
comment on column rowcast.epoch.database is 'within the cluster: a copy of this database has another';
comment on column rowcast.epoch.recovered is 'for each crash that a server found out about, the next transaction id after it';
comment on column rowcast.epoch.pruned is
  'every event that was ever removed is visible in this snapshot: who has not seen all of it may have missed one';
comment on column rowcast.epoch.relation is
  'the number of this table: a dump that is restored makes another table, also where cluster and database are the same';
comment on column rowcast.epoch.removed is
  'what pruned is for the server, this is for everybody else who removed events';

-- Where the role that migrates may not read the control file, the first server fills in what is null here.
insert into rowcast.epoch (value, system_identifier, timeline, database, relation)
values (
  ('x' || left(replace(gen_random_uuid()::text, '-', ''), 16))::bit(64)::bigint,
  case when has_function_privilege('pg_control_system()', 'execute')
       then (select system_identifier from pg_control_system()) end,
  case when has_function_privilege('pg_control_checkpoint()', 'execute')
       then (select timeline_id from pg_control_checkpoint()) end,
  (select oid from pg_database where datname = current_database()),
  'rowcast.epoch'::regclass
);

-- Postgres empties an unlogged table when it recovers from a crash, and not when it was stopped in an orderly way. So a server
-- that finds no row here knows of a crash. A transaction with synchronous_commit = off can be seen and then undone by
-- one, and its transaction id goes to somebody else.
create unlogged table rowcast.uncrashed (
  only_row boolean primary key default true check (only_row)
);
comment on table rowcast.uncrashed is 'has a row unless Postgres has crashed and no server has noticed yet';
insert into rowcast.uncrashed default values;

-- One row, which the planner would take for hundreds.
analyze rowcast.epoch, rowcast.uncrashed;

-- Runs before and after each statement that removes events. The server's own says so (rowcast.pruning), and has moved epoch.pruned.
create function rowcast.note_removal() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  seen pg_snapshot;
  -- Only transactions below this one may have lost events.
  bound bigint;
begin
  if tg_op = 'TRUNCATE' then
    -- What is truncated need not be visible to whoever truncates: with an older snapshot it has events of later commits. So no
    -- snapshot can name it, and every offset is void.
    update rowcast.epoch set value = ('x' || left(replace(gen_random_uuid()::text, '-', ''), 16))::bit(64)::bigint;
  elsif tg_when = 'BEFORE' then
    -- Whatever the statement removes is visible now.
    perform set_config('rowcast.removable', coalesce((select xid from rowcast.events order by xid desc limit 1)::text, '-1'), true);
  -- No row was removed (the count is this transaction's, kept unless track_counts is off).
  elsif pg_stat_get_xact_tuples_deleted(tg_relid) > 0 or not current_setting('track_counts')::bool then
    -- Locked first, so that of two who remove at once the second one's snapshot is the later one.
    select greatest(pg_snapshot_xmax(e.removed)::text::bigint, current_setting('rowcast.removable')::bigint + 1)
    into bound from rowcast.epoch e for update;
    -- What is seen now, up to there: who has read the last of the events that are gone has read all of them.
    seen := pg_current_snapshot();
    update rowcast.epoch set removed = format('%s:%s:%s', least(pg_snapshot_xmin(seen)::text::bigint, bound), bound,
      (select string_agg(x::text, ',' order by x) from pg_snapshot_xip(seen) xip (x) where x::text::bigint < bound))::pg_snapshot;
  end if;
  return null;
end $$;

create trigger note_removable before delete on rowcast.events for each statement
  when (coalesce(current_setting('rowcast.pruning', true), '') <> 'on') execute function rowcast.note_removal();
create trigger note_removal after delete on rowcast.events for each statement
  when (coalesce(current_setting('rowcast.pruning', true), '') <> 'on') execute function rowcast.note_removal();
create trigger note_truncation after truncate on rowcast.events for each statement execute function rowcast.note_removal();
-- Also where triggers are off, as in a restore.
alter table rowcast.events enable always trigger note_removable, enable always trigger note_removal,
  enable always trigger note_truncation;

-- Whether everything that is visible is on disk. Some services refuse to say: then it counts as not, and after a crash clients are
-- told to load everything again where others would not be.
create function rowcast.is_flushed() returns boolean
language plpgsql as $$
begin
  return pg_catalog.pg_current_wal_insert_lsn() operator(pg_catalog.<=) pg_catalog.pg_current_wal_flush_lsn();
exception when others then
  return false;
end $$;
comment on function rowcast.is_flushed is 'whether everything that is visible is on disk; false where the service does not tell';

-- Anybody may take an advisory lock; a row can be locked by those alone who may update its table. So no role but a server's can keep old
-- events from being removed.
create table rowcast.turns (
  turn text primary key
);
comment on table rowcast.turns is 'one row per thing that one server does at a time; whoever does it holds the row locked';
insert into rowcast.turns values ('pruning');
analyze rowcast.turns;

revoke all on function rowcast.note_removal from public;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
