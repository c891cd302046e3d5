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
