-- Capture: what the generated triggers of attached tables call, and the definitions they were made from.
--
-- Guarantee: nothing here fails a writer: a value too large to send is left out and the event says so.
-- Cost:      none for a row below 16 kB; a larger one is tried and measured as text before it is sent.
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
  careful boolean not null,
  row_sql text not null,
  attached_at timestamptz not null default now()
);
comment on table rowcast.attached is 'what rowcast.attach was told, resolved: one row per source';
comment on column rowcast.attached.capture is 'the trigger functions are rowcast.capture_<this>_insert, _update and _delete';
comment on column rowcast.attached.events is 'in the order they fire: [{"on", "columns", "event", "payload"}]';
comment on column rowcast.attached.columns is 'the table''s columns when it was attached';
comment on column rowcast.attached.careful is 'a column''s type may refuse to become jsonb, so each row is tried first';
comment on column rowcast.attached.row_sql is '{row} as an SQL expression over "after", the row as jsonb';

-- The table that a source's triggers stand on now: it survives a rename, a dump and a restore.
create function rowcast.relation_of(capture text) returns regclass
language sql stable set search_path = pg_catalog, pg_temp as $$
  select t.tgrelid::regclass
  from pg_proc p join pg_trigger t on t.tgfoid = p.oid
  where p.pronamespace = 'rowcast'::regnamespace and not t.tgisinternal
    and p.proname = any (array['capture_' || capture || '_insert', 'capture_' || capture || '_update',
                               'capture_' || capture || '_delete'])
  order by t.tgrelid limit 1
$$;

-- A value as jsonb, or a stand-in for one that is large or can't be jsonb. The stand-in differs when the value
-- does, and is longer than a room or an id may be, so that it can't pass for either.
-- The EXCEPTION blocks here and below hold reads alone: they cost a writer no transaction id.
create function rowcast.bounded_value(value anyelement) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if pg_column_size(value) <= 2048 then
    return to_jsonb(value);
  end if;
  return to_jsonb(rpad(md5(value::text), 4096, '.'));
exception when others then
  begin
    return to_jsonb(rpad(md5(value::text), 4096, '.'));
  exception when others then
    return to_jsonb(rpad(pg_column_size(value)::text, 4096, '.'));
  end;
end $$;

create function rowcast.bounded_row(typed anyelement, source_row record) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  members text := (
    select string_agg(format('rowcast.bounded_value(($1).%1$I) as %1$I', attname), ', ')
    from pg_attribute a join pg_type t on t.typrelid = a.attrelid
    where t.oid = pg_typeof(typed) and attnum > 0 and not attisdropped);
  result jsonb;
begin
  -- Only a row of a named type has members to take one by one.
  typed := source_row;
  execute format('select to_jsonb(o) from (select %s) o', members) into result using typed;
  return result || '{"rowcast:careful": "bounded"}';
end $$;

-- A row that may not become jsonb as it is: jsonb ends at 256 MB, text at 1 GB, a json column may hold \u0000.
create function rowcast.careful_row(source_row record, capture text) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  result jsonb;
begin
  if pg_column_size(source_row) <= 16777216 then
    begin
      result := to_jsonb(source_row);
      if octet_length(result::text) <= 16777216 then
        return result || '{"rowcast:careful": "whole"}';
      end if;
    exception when others then
      null; -- Bounded below.
    end;
  end if;
  execute format('select rowcast.bounded_row(null::%s, $1)', rowcast.relation_of(capture)) into result using source_row;
  return result;
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
language plpgsql immutable security definer set search_path = pg_catalog, pg_temp as $$
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

-- The payload of an event that has no room, or whose row needed care. One function for both, since a
-- statement pays for each function it names, called or not.
create function rowcast.unusual(room text, data json, origin jsonb, source text, key_columns text[]) returns json
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  if (octet_length(room) between 1 and 2048) is not true then
    return json_build_object(
      'source', source,
      'key', (select json_object_agg(name, left(origin ->> name, 200)) from unnest(key_columns) as name),
      'reason', 'the room is null, empty or longer than 2048 bytes');
  -- Below 4 kB no stand-in is in it.
  elsif octet_length(data::text) <= (case origin ->> 'rowcast:careful' when 'whole' then 16777216 else 4096 end) then
    return data;
  end if;
  return rowcast.truncate_payload(data);
end $$;

revoke all on all functions in schema rowcast from public;
