-- Emit: events that a back end makes itself: stored ones (emit), and the transient one that somebody types (typing).
--
-- Guarantee: an emitted event exists if and only if the transaction that emitted it committed.
-- Cost:      emit is one insert. typing is a NOTIFY, and transactions that notify wait for each other when they commit.
-- Rights:    functions run as their owner with a fixed search_path; execute is revoked from public.

-- Stores an event. The bounds on room and data are those of capture; see 0004_capture.sql.
create function rowcast.emit(room text, event text, data json) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  new_id bigint;
begin
  if room is null or room = '' or octet_length(room) > 2048 then
    raise exception 'rowcast.emit: room is %; it must be 1 to 2048 bytes',
      case when room is null then 'null' else octet_length(room) || ' bytes' end using errcode = '22023';
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
comment on function rowcast.emit(text, text, json) is 'stores an event for a room, in this transaction; returns its id';

-- For a jsonb value, and for a literal, which Postgres would not take for json by itself.
create function rowcast.emit(room text, event text, data jsonb) returns bigint
language sql security definer set search_path = pg_catalog, pg_temp
as $$ select rowcast.emit(room, event, data::json) $$;

create function rowcast.emit(room text, event text, data text) returns bigint
language sql security definer set search_path = pg_catalog, pg_temp
as $$ select rowcast.emit(room, event, data::json) $$;

-- Says that a contact types, or has stopped. Servers hear of it by the notification alone; no row is written.
create function rowcast.typing(contact_id text, typing boolean default true) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- A notification ends at 8,000 bytes. 500 characters stay below that in any encoding, however JSON escapes them.
  if contact_id is null or contact_id = '' or length(contact_id) > 500 then
    raise exception 'rowcast.typing: contact_id is %; it must be 1 to 500 characters',
      case when contact_id is null then 'null' else length(contact_id) || ' characters' end using errcode = '22023';
  end if;
  perform pg_notify('rowcast_typing', json_build_object('contactId', contact_id, 'typing', coalesce(typing, true))::text);
end $$;
comment on function rowcast.typing(text, boolean) is 'tells the room''s sockets that the contact types; never stored';

revoke all on all functions in schema rowcast from public;
