-- Emit: what a back end tells itself: stored events (emit), that rows went or came without an event of their own (reload), and the
-- transient event that somebody types (typing).
--
-- Guarantee: an emitted event exists if and only if the transaction that emitted it committed. A room that no client may join, or that is
--            the servers' own, is an error at once.
--            A reload is told to every client in a room that the table may have had rows of: once, in the order of the events, those who were
--            away as well, as soon as they ask for what they missed. Offsets from before it are no good in such a room.
--            Typing ends with the answer: servers are told when typing began, so that an answer that they had before ends it all the same.
--            The notification and the event of one transaction come on two ways, in either order.
-- Cost:      emit and reload are one insert (a transaction's later reloads of a source are one update), however many rooms are told to reload. typing is a NOTIFY, and transactions that notify wait for
--            each other when they commit; its tag costs 20 µs.
-- Rights:    functions run as their owner with a fixed search_path, reload for whoever may read the table; execute is revoked from public.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

-- Stores an event. The bounds on data are explained in 0008_unusual.sql, those on the room in 0010_rooms.sql.
create function rowcast.emit(room text, event text, data json) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  new_id bigint;
begin
  if room is null or room = '' or octet_length(room) > 2048 then
    raise exception 'rowcast.emit: room is %; it must be 1 to 2048 bytes',
      case when room is null then 'null' else octet_length(room) || ' bytes' end using errcode = '22023';
  end if;
  if starts_with(room, 'rowcast:') then
    raise exception 'rowcast.emit: room "%" is reserved, as are all of the kind rowcast:', left(room, 100) using errcode = '22023';
  end if;
  if strpos(room, ':') < 2 then
    raise exception 'rowcast.emit: room "%" is none that a client could join; accepted: <kind>:<id>, such as conversation:42', left(room, 100)
      using errcode = '22023';
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

-- For a jsonb value, and for a literal, which Postgres would not take for json by itself.
create function rowcast.emit(room text, event text, data jsonb) returns bigint
language sql security definer set search_path = pg_catalog, pg_temp
as $$ select rowcast.emit(room, event, data::json) $$;

create function rowcast.emit(room text, event text, data text) returns bigint
language sql security definer set search_path = pg_catalog, pg_temp
as $$ select rowcast.emit(room, event, data::json) $$;
comment on function rowcast.emit(text, text, json) is 'stores an event for a room, in this transaction; returns its id';

-- Says that a contact types, or has stopped. Servers hear of it by the notification alone, which has a tag (0003_secret.sql); no row is written.
create function rowcast.typing(contact_id text, typing boolean default true) returns void
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
    perform pg_notify('rowcast_typing', rowcast.signed('rowcast_typing',
      json_build_object('contactId', contact_id, 'typing', coalesce(typing, true),
                        'at', (extract(epoch from clock_timestamp()) * 1000000)::bigint)::text));
  end if;
end $$;
comment on function rowcast.typing(text, boolean) is 'tells the room''s sockets that the contact types; never stored';

create function rowcast.reload(source text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set quote_all_identifiers = off as $$
declare
  definition rowcast.attached := rowcast.definition_of(source);
  -- As in rowcast.check_reader.
  caller text := case current_setting('role') when 'none' then session_user else current_setting('role') end;
  relation regclass := rowcast.relation_of(definition.capture);
begin
  if definition.source is null then
    raise exception 'rowcast.reload: % is not attached', coalesce(source, 'null') using errcode = '22023';
  end if;
  if relation is not null and not has_table_privilege(caller, relation, 'select') then
    raise exception 'rowcast.reload: % may not read %', caller, definition.source
      using errcode = '42501', hint = format('grant select on %s to %I;', definition.source, caller);
  end if;
  perform rowcast.tell_to_reload(definition.source, rowcast.room_patterns(definition), 'by rowcast.reload');
end $$;
comment on function rowcast.reload is 'tells whoever listens in the rooms of an attached table to load them again';

revoke all on function rowcast.emit(text, text, json), rowcast.emit(text, text, jsonb), rowcast.emit(text, text, text), rowcast.typing,
  rowcast.reload from public;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
