-- Capture: what the generated triggers of attached tables call, and the definitions they were made from.
--
-- Guarantee: nothing here fails a writer: a value too large to send is left out and the event says so.
-- Cost:      none for a row below 16 kB; a larger one is measured as text before it is sent.
-- Rights:    functions run as their owner with a fixed search_path; execute is revoked from public.

create table rowcast.attached (
  source text primary key,
  capture text not null unique,
  room text not null,
  events jsonb not null,
  condition text,
  key_columns text[] not null,
  room_columns text[] not null,
  columns text[] not null,
  omit text[] not null,
  key_case text not null,
  order_column text,
  row_sql text not null,
  attached_at timestamptz not null default now()
);
comment on table rowcast.attached is 'what rowcast.attach was told, resolved: one row per source';
comment on column rowcast.attached.capture is 'the trigger functions are rowcast.capture_<this>_insert, _update and _delete';
comment on column rowcast.attached.events is 'in the order they fire: [{"on", "columns", "event", "payload"}]';
comment on column rowcast.attached.columns is 'the table''s columns when it was attached';
comment on column rowcast.attached.row_sql is '{row} as an SQL expression over "after", the row as jsonb';

-- The table that a source's triggers stand on now: it survives a rename, a dump and a restore.
create function rowcast.relation_of(capture text) returns regclass
language sql stable set search_path = pg_catalog, pg_temp as $$
  select t.tgrelid::regclass
  from pg_proc p join pg_trigger t on t.tgfoid = p.oid
  where p.pronamespace = 'rowcast'::regnamespace and not t.tgisinternal
    and p.proname in ('capture_' || capture || '_insert', 'capture_' || capture || '_update', 'capture_' || capture || '_delete')
  order by t.tgrelid limit 1
$$;

-- A value as jsonb, or a stand-in for one beyond `most` bytes. The stand-in differs when the value does,
-- and is longer than a room or an id may be, so that it can't pass for either.
-- The EXCEPTION blocks here and below hold reads alone: they cost a writer no transaction id.
create function rowcast.bounded_value(value anyelement, most int) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  whole jsonb;
begin
  begin
    whole := to_jsonb(value);
    if octet_length(whole::text) <= most then
      return whole;
    end if;
    return to_jsonb(rpad(md5(whole::text), 4096, '.'));
  exception when others then
    return to_jsonb(rpad(md5(value::text), 4096, '.'));
  end;
exception when others then
  return to_jsonb(rpad('unreadable', 4096, '.'));
end $$;

create function rowcast.bounded_row(typed anyelement, source_row record) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  name text;
  value jsonb;
  room_left int := 16777216;
  result jsonb := '{"rowcast:large": "bounded"}';
begin
  typed := source_row;
  for name in
    select attname from pg_attribute a join pg_type t on t.typrelid = a.attrelid
    where t.oid = pg_typeof(typed) and attnum > 0 and not attisdropped order by attlen < 0, attnum
  loop
    execute format('select rowcast.bounded_value(($1).%I, $2)', name) into value using typed, room_left;
    room_left := greatest(room_left - octet_length(value::text), 0);
    result := result || jsonb_build_object(name, value);
  end loop;
  return result;
end $$;

-- A row that is large enough for Postgres's own limits to matter: jsonb ends at 256 MB, text at 1 GB.
create function rowcast.large_row(source_row record, capture text) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  whole jsonb;
begin
  begin
    whole := to_jsonb(source_row);
    if octet_length(whole::text) <= 16777216 then
      return whole || '{"rowcast:large": "whole"}';
    end if;
  exception when others then
    null; -- Beyond a limit: bounded below.
  end;
  execute format('select rowcast.bounded_row(null::%s, $1)', rowcast.relation_of(capture)) into whole using source_row;
  return whole;
end $$;

-- The members of an object that name something: id, ...Id, ..._id, and objects that hold such members.
create function rowcast.only_ids(data json) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  member record;
  nested text;
  kept text[] := '{}';
begin
  for member in select key, value, json_typeof(value) as type from json_each(data) loop
    if member.type = 'object' then
      nested := rowcast.only_ids(member.value);
      if nested <> '{}' then
        kept := kept || (to_json(member.key) || ':' || nested);
      end if;
    elsif member.type <> 'array' and member.key ~ '(^id|Id|_id)$' and octet_length(member.value::text) <= 2048 then
      kept := kept || (to_json(member.key) || ':' || member.value);
    end if;
  end loop;
  return '{' || array_to_string(kept, ',') || '}';
end $$;

-- What is sent instead of a payload that is too large: the same shape, ids only, "truncated": true.
create function rowcast.truncate_payload(data json) returns json
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  ids text;
begin
  if json_typeof(data) = 'object' then
    ids := rowcast.only_ids(data);
  end if;
  if octet_length(ids) between 3 and 65536 then
    return '{"truncated":true,' || substr(ids, 2);
  end if;
  return '{"truncated":true}';
exception when others then
  -- Reached for JSON that Postgres itself can't take apart: nested too deep, or near its 1 GB limit.
  return '{"truncated":true}';
end $$;

-- The payload of an event that has no room, or whose row is large. One function for both, since a
-- statement pays for each function it names, called or not.
create function rowcast.unusual(room text, data json, origin jsonb, source text, key_columns text[]) returns json
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  if room is null then
    return json_build_object(
      'source', source,
      'key', (select json_object_agg(name, left(origin ->> name, 200)) from unnest(key_columns) as name),
      'reason', 'the room is null or longer than 2048 bytes');
  elsif origin ->> 'rowcast:large' = 'whole' and octet_length(data::text) <= 16777216 then
    return data;
  end if;
  return rowcast.truncate_payload(data);
end $$;

revoke all on all functions in schema rowcast from public;
