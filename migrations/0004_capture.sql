-- Capture: the table of attached tables, and what their generated triggers call when a row is unusual.
--
-- An ordinary row never comes here: the trigger that 0006_generate.sql writes turns it into an event by itself. These
-- functions are for rows that may be too large, or that may not be valid as jsonb, and for rows without a room.
--
-- Guarantee: nothing here fails a writer. A value that is too large to send is left out, and the event says so.
-- Cost:      none for a row of up to 16 kB; a larger one is tried, and measured as text, before it is sent.
-- Rights:    functions have a fixed search_path and run as their caller: a trigger, which runs as the owner of this schema, or a
--            server that reads history and was granted them (docs/sql.md). Execute is revoked from public.
--
-- Sizes in bytes, here and in the later files. They are literals because a writer pays for each call of a function:
--       2048  a room's text, and a single value that is sent whole out of a row that isn't
--       4096  the text that stands in for a value that is larger: longer than any room or id may be, so it is never
--             taken for one, and a payload of up to this size has none of it in it
--      16384  a stored row that becomes jsonb without being tried first: unpacked, it can't reach jsonb's limit of 256 MB
--      65536  the ids of a payload that is too large to send; a payload's template
--   16777216  a row as text, and a payload as text: the most that is ever sent (16 MB)

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
comment on table rowcast.attached is
  'one row per attached table: the arguments of rowcast.attach, with what it chose where an argument was left out';
comment on column rowcast.attached.source is 'the table''s name when it was attached, with its schema, quoted where SQL needs that';
comment on column rowcast.attached.capture is 'the trigger functions are rowcast.capture_<this>_insert, _update and _delete';
comment on column rowcast.attached.room is 'the template of the room, such as conversation:{customer_id}';
comment on column rowcast.attached.events is 'in the order they fire: [{"on", "columns", "event", "payload"}]';
comment on column rowcast.attached.room_columns is 'the columns that the room''s template names';
comment on column rowcast.attached.columns is 'the table''s columns when it was attached';
comment on column rowcast.attached.omit is 'the columns that {row} leaves out';
comment on column rowcast.attached.order_column is 'the column that history is sorted by, before the key';
comment on column rowcast.attached.careful is 'a column''s type may refuse to become jsonb, so each row is tried first';
comment on column rowcast.attached.row_sql is '{row} as an SQL expression over "after", the row as jsonb';

-- The table that a source's triggers stand on. A trigger goes where its table goes, so this is right after a rename, and in a
-- restored dump.
create function rowcast.relation_of(capture text) returns regclass
language sql stable set search_path = pg_catalog, pg_temp as $$
  select t.tgrelid::regclass
  from pg_proc p join pg_trigger t on t.tgfoid = p.oid
  where p.pronamespace = 'rowcast'::regnamespace and not t.tgisinternal
    and p.proname = any (array['capture_' || capture || '_insert', 'capture_' || capture || '_update',
                               'capture_' || capture || '_delete'])
  order by t.tgrelid limit 1
$$;

-- A value as jsonb. One that is large, or that can't be jsonb, becomes a text of 4096 bytes that differs when the value does,
-- so that an update of the column is still seen as a change.
-- The EXCEPTION blocks here and below contain reads only, so they cost a writer no transaction id.
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

-- A row as jsonb, column by column, each through bounded_value. The member "rowcast:careful" says that this was done.
create function rowcast.bounded_row(typed anyelement, source_row record) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  members text := (
    select string_agg(format('rowcast.bounded_value(($1).%1$I) as %1$I', attname), ', ')
    from pg_attribute a join pg_type t on t.typrelid = a.attrelid
    where t.oid = pg_typeof(typed) and attnum > 0 and not attisdropped);
  result jsonb;
begin
  -- Columns can be named only in a row of a known type; `source_row` is an anonymous record.
  typed := source_row;
  execute format('select to_jsonb(o) from (select %s) o', members) into result using typed;
  return result || '{"rowcast:careful": "bounded"}';
end $$;

-- A row as jsonb that may not become jsonb just like that: jsonb ends at 256 MB and text at 1 GB, and a json column may hold
-- \u0000, which jsonb refuses. The member "rowcast:careful" says whether the row is whole or had values replaced.
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
      null; -- The row is bounded below.
    end;
  end if;
  execute format('select rowcast.bounded_row(null::%s, $1)', rowcast.relation_of(capture)) into result using source_row;
  return result;
end $$;

-- The members of a JSON object that identify something, as text: id, ...Id, ..._id, and objects that contain such members.
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

-- What is sent instead of a payload that is too large: the same shape with its ids only, and "truncated": true.
-- It runs as its owner, so that a server's role needs a grant on this function and none on those that it calls.
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
  -- For JSON that Postgres itself can't take apart: it is nested too deep, or near the limit of 1 GB.
  return '{"truncated":true}';
end $$;

-- The payload of an event that has no room, or whose row went through careful_row. One function serves both cases, because
-- a statement pays for each function that it names, called or not.
create function rowcast.unusual(room text, data json, origin jsonb, source text, key_columns text[]) returns json
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  if (octet_length(room) between 1 and 2048) is not true then
    return json_build_object(
      'source', source,
      'key', (select json_object_agg(name, left(origin ->> name, 200)) from unnest(key_columns) as name),
      'reason', 'the room is null, empty or longer than 2048 bytes');
  -- Of a bounded row, a payload of up to 4096 bytes contains no stand-in and can be sent as it is.
  elsif octet_length(data::text) <= (case origin ->> 'rowcast:careful' when 'whole' then 16777216 else 4096 end) then
    return data;
  end if;
  return rowcast.truncate_payload(data);
end $$;

revoke all on all functions in schema rowcast from public;
