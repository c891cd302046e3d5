-- Reloads: one for each source and transaction. And no row is stored in a room of the servers' own, where readers would pass it by.
--
-- Replaces rowcast.tell_to_reload of 0056_reload.sql, and rowcast.joinable_sql and rowcast.unusual of 0061_preview.sql: what they say of
-- themselves still holds, but for what is said here.
--
-- Guarantee: a transaction has one reload of a source, at the place of the last that was asked for: whatever it wrote before that is read by
--            whoever loads a room again, which is after the commit. No setting of a writer's keeps it from anybody.
--            No row is stored in a room of the kind rowcast:, which is the servers' own, whatever columns make up a room's kind.
-- Cost:      the second reload of a transaction, and each one after it, is one read by index and one update of the outbox. A room whose kind
--            is a column's pays one comparison for each event.
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

-- As in 0061_preview.sql, but a room of the servers' own is none.
create or replace function rowcast.joinable_sql(template text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when kind is null
    then 'strpos(room, '':'') > 1 and octet_length(substr(room, strpos(room, '':'') + 1)) between 1 and 500 and octet_length(room) <= 2048 '
         'and not starts_with(room, ''rowcast:'')'
    else format('octet_length(room) between %s and %s', octet_length(kind) + 1, least(octet_length(kind) + 500, 2048)) end
  from substring(template from '^[^{}:]*:') as kind
$$;

-- As in 0061_preview.sql, with what else keeps an event from having a room.
create or replace function rowcast.unusual(room text, data json, origin jsonb, source text, key_columns text[]) returns json
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  if (octet_length(room) between 1 and 2048) is not true then
    return json_build_object(
      'source', source,
      'key', (select json_object_agg(name, left(origin ->> name, 200)) from unnest(key_columns) as name),
      'reason', 'the room is null or not <kind>:<id>, or its id (what follows the first colon) is empty or longer than 500 bytes, '
                'or its kind is rowcast, which is the servers'' own');
  elsif octet_length(data::text) <= 16777216
        and (origin ->> 'rowcast:careful, a member with a name that no column of a table can have' = 'whole'
             or strpos(data::text, 'rowcast:stand-in:') = 0) then
    return data;
  end if;
  return rowcast.truncate_payload(data);
end $$;

select rowcast.regenerate();
-- A later migration may alter the table in the same transaction.
set constraints rowcast.remember_code immediate;
set constraints rowcast.remember_code deferred;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
