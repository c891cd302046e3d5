-- Databases: what a copy brings along, what is removed by hand, and what a managed service does not tell.
--
-- Guarantee: who may have missed an event that was removed, by whomever, is told to load everything again. A dump that is restored,
--            here or elsewhere, is recognised by the number of the table that it makes.
-- Cost:      none for writers. Two more calls for each statement that removes events, but for the server's own.
-- Rights:    rowcast.is_flushed may be called by everybody, because it says nothing of anybody. The trigger's functions run as their
--            owner with a fixed search_path; execute is revoked from public.

alter table rowcast.epoch add column relation oid, add column removed pg_snapshot;
comment on column rowcast.epoch.relation is
  'the number of this table: a dump that is restored makes another table, also where cluster and database are the same';
comment on column rowcast.epoch.removed is
  'what pruned is for the server, this is for everybody else who removed events';
update rowcast.epoch set relation = 'rowcast.epoch'::regclass;

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

-- One row, which the planner would take for hundreds.
analyze rowcast.epoch, rowcast.uncrashed;

revoke all on all functions in schema rowcast from public;
grant execute on function rowcast.is_flushed() to public;
