-- Reserved: rooms of the kind rowcast: are the servers' own. rowcast.revoke alone writes there, and no client is ever in one.
--
-- Guarantee: what rowcast.emit or a template of rowcast.attach puts into such a room is an error at once. Servers would leave it out.
-- Cost:      one comparison for each emit.
-- Rights:    functions keep their owner, their fixed search_path, and who may call them.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

create or replace function rowcast.emit(room text, event text, data json) returns bigint
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

-- Refuses a room that is empty or reserved, that has a single brace, or that names a column that isn't there.
create or replace function rowcast.check_room(definition rowcast.attached) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  if definition.room is null or btrim(definition.room) = '' then
    perform rowcast.refuse('room is empty; accepted: text with columns in braces, such as conversation:{customer_id}');
  end if;
  if starts_with(definition.room, 'rowcast:') then
    perform rowcast.refuse(format('room "%s" is reserved, as are all of the kind rowcast:', left(definition.room, 100)));
  end if;
  if exists (select from rowcast.pieces(definition.room) where literal in ('{', '}')) then
    perform rowcast.refuse(format('room "%s" has a brace without its partner', definition.room));
  end if;
  perform rowcast.check_columns('room', definition.room_columns, definition.columns, definition.source);
end $$;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
