-- Reloads: one for each source and transaction.
--
-- Replaces rowcast.tell_to_reload of 0056_reload.sql: what it says of itself still holds, but for what is said here.
--
-- Guarantee: a transaction has one reload of a source, at the place of the last that was asked for: whatever it wrote before that is read by
--            whoever loads a room again, which is after the commit. No setting of a writer's keeps it from anybody.
-- Cost:      the second reload of a transaction, and each one after it, is one read by index and one update of the outbox.
-- Rights:    functions run as their owner with a fixed search_path; execute is revoked from public.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

-- Stores the event, or moves the one that this transaction has of the source to its end. What there is of rooms in between is sent before it,
-- and is read again: nobody was told of the earlier place, because nothing of the transaction is visible yet.
-- The setting only spares the first one the read, which a serializable transaction would pay for with conflicts. Who forges it causes a read.
-- Its plan may be made while the outbox is small, and is kept while it grows: by the indexes.
create or replace function rowcast.tell_to_reload(source text, rooms text[], reason text) returns void
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off as $$
begin
  -- A crash must not undo what listeners were told to reload for: they would go on with what is not there any more.
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'local', true);
  end if;
  if current_setting('rowcast.told_to_reload', true) <> '' then
    update rowcast.events told
    set id = default, at = clock_timestamp(),
        data = json_build_object('rooms', tell_to_reload.rooms, 'source', tell_to_reload.source, 'reason', tell_to_reload.reason)
    where told.id = (
      -- Compared as a row, and sorted by all of it, so that only the index of rooms can answer.
      select e.id from rowcast.events e
      where (e.room, e.xid) >= ('rowcast:reloads', pg_current_xact_id()) and (e.room, e.xid) <= ('rowcast:reloads', pg_current_xact_id())
        and e.source = 'rowcast.reload' and e.data ->> 'source' = tell_to_reload.source
        -- A source may be attached anew meanwhile, with other rooms.
        and (e.data -> 'rooms')::jsonb = to_jsonb(tell_to_reload.rooms)
      order by e.room desc, e.xid desc, e.id desc limit 1);
    if found then
      return;
    end if;
  end if;
  -- Nobody else writes this source: capture writes the name of a table of somebody else's, and emit writes none.
  insert into rowcast.events (room, event, data, source)
  values ('rowcast:reloads', 'reload', json_build_object('rooms', rooms, 'source', source, 'reason', reason), 'rowcast.reload');
  perform set_config('rowcast.told_to_reload', 'yes', true);
end $$;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
