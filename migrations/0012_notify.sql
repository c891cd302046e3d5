-- Notify: a full NOTIFY queue fails nobody, and a room that no client may join is refused by emit.
--
-- Postgres keeps notifications in one queue for the whole cluster, until each session that listens has read them. One that
-- listens and stays in a transaction lets the queue fill up, and then every transaction that has issued a NOTIFY fails when it
-- commits. So ours are left out while the queue is half full: readers look without one, every ROWCAST_POLL.
--
-- Guarantee: an error of the notification itself, and a queue that was half full, fail no writer. What is left: a transaction
--            that notified while there was room, and commits after the queue has become full.
-- Cost:      only where a NOTIFY would be issued, which costs more.
-- Rights:    as in 0001_outbox.sql and 0010_emit.sql.

create or replace function rowcast.wake() returns trigger
language plpgsql as $$
declare
  has_room boolean := true;
begin
  -- This transaction has inserted no event (the count is its own, kept unless track_counts is off): wake nobody.
  if pg_catalog.pg_stat_get_xact_tuples_inserted(tg_relid) operator(pg_catalog.=) 0
     and pg_catalog.current_setting('track_counts')::pg_catalog.bool then
    return null;
  end if;
  -- The lock can't be had while a reader sleeps, nor for the moment in which another writer makes these same two calls.
  -- The second try saves a needless NOTIFY in the latter case.
  if not ((pg_catalog.pg_try_advisory_lock(1919903602, 1) and pg_catalog.pg_advisory_unlock(1919903602, 1))
       or (pg_catalog.pg_try_advisory_lock(1919903602, 1) and pg_catalog.pg_advisory_unlock(1919903602, 1))) then
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
  end if;
  return null;
end $$;

-- Says that a contact types, or has stopped. Servers hear of it by the notification alone; no row is written.
create or replace function rowcast.typing(contact_id text, typing boolean default true) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  has_room boolean := true;
begin
  -- A notification ends at 8,000 bytes. 500 characters stay below that in any encoding, however JSON escapes them.
  if contact_id is null or contact_id = '' or length(contact_id) > 500 then
    raise exception 'rowcast.typing: contact_id is %; it must be 1 to 500 characters',
      case when contact_id is null then 'null' else length(contact_id) || ' characters' end using errcode = '22023';
  end if;
  begin
    has_room := pg_notification_queue_usage() < 0.5;
  exception when others then
    null; -- Somebody has revoked the function: then nobody knows.
  end;
  if has_room then
    perform pg_notify('rowcast_typing', json_build_object('contactId', contact_id, 'typing', coalesce(typing, true))::text);
  end if;
end $$;

-- Stores an event. The bounds on data are those of capture, see 0004_capture.sql; those on the room are in 0011_capture.sql.
create or replace function rowcast.emit(room text, event text, data json) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  new_id bigint;
begin
  if room is null or room = '' or octet_length(room) > 2048 then
    raise exception 'rowcast.emit: room is %; it must be 1 to 2048 bytes',
      case when room is null then 'null' else octet_length(room) || ' bytes' end using errcode = '22023';
  end if;
  if octet_length(substr(room, strpos(room, ':') + 1)) not between 1 and 500 then
    raise exception 'rowcast.emit: the room''s id (what follows the first colon) is % bytes; it must be 1 to 500',
      octet_length(substr(room, strpos(room, ':') + 1)) using errcode = '22023';
  end if;
  perform rowcast.check_event_name('rowcast.emit', event);
  if data is null then
    raise exception 'rowcast.emit: data is null; pass JSON, ''null'' for a JSON null' using errcode = '22023';
  end if;
  if octet_length(data::text) > 16777216 then
    raise exception 'rowcast.emit: data is % bytes; at most 16777216 are accepted', octet_length(data::text)
      using errcode = '22023';
  end if;
  insert into rowcast.events (room, event, data) values (emit.room, emit.event, emit.data) returning id into new_id;
  return new_id;
end $$;
