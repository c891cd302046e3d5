-- Check: what rowcast.attach and rowcast.emit refuse, each with one line that says what is accepted.
--
-- Guarantee: a wrong argument is an error when a table is attached, never later in a writer's transaction.
-- Cost:      runs when a table is attached; emit checks its event's name.
-- Rights:    functions are called by rowcast.attach and rowcast.emit alone; execute is revoked from public.

create function rowcast.refuse(message text, hint text default null) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  if hint is null then
    raise exception 'rowcast.attach: %', message using errcode = '22023';
  end if;
  raise exception 'rowcast.attach: %', message using errcode = '22023', hint = hint;
end $$;

-- `caller` is the function that the message names. The reserved names are those of Socket.IO itself and of Rowcast's own events.
create function rowcast.check_event_name(caller text, event text) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  if event is null or btrim(event) = '' or length(event) > 100 then
    raise exception '%: event name "%" is not accepted: it must have 1 to 100 characters', caller, left(event, 100)
      using errcode = '22023';
  end if;
  if event in ('connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener')
     or event like 'rowcast:%' or event like 'typing:%' then
    raise exception '%: event name "%" is reserved, as are %', caller, event,
      'connect, connect_error, disconnect, disconnecting, newListener, removeListener, rowcast:* and typing:*'
      using errcode = '22023';
  end if;
end $$;

-- Refuses a name that is not among `known`, the columns of the source; `argument` says where the name was found.
create function rowcast.check_columns(argument text, names text[], known text[], source text) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  unknown text := (select name from unnest(names) as name where name is null or name <> all (known) limit 1);
begin
  if exists (select from unnest(names) as name where name is null or name <> all (known)) then
    perform rowcast.refuse(format('%s names "%s", which is not a column of %s; accepted: %s',
      argument, unknown, source, array_to_string(known, ', ')));
  end if;
end $$;

-- Refuses what a statement trigger with transition tables can't be put on, and what the role may not put one on.
create function rowcast.check_source(relation regclass) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  source record;
  kind text;
begin
  select format('%I.%I', nspname, relname) as name, nspname, relkind, relpersistence, relispartition,
         exists (select from pg_inherits where relation in (inhrelid, inhparent)) as inherits
  into source from pg_class c join pg_namespace n on n.oid = relnamespace where c.oid = relation;
  kind := case
    when source.relkind = 'p' then 'a partitioned table'
    when source.relispartition then 'a partition'
    when source.relkind = 'v' then 'a view'
    when source.relkind = 'm' then 'a materialized view'
    when source.relkind = 'f' then 'a foreign table'
    when source.relkind <> 'r' then 'not a table'
    when source.relpersistence = 't' then 'a temporary table'
    when source.inherits then 'part of an inheritance tree'
    when source.nspname = 'rowcast' then 'one of Rowcast''s own tables'
    when source.nspname in ('pg_catalog', 'information_schema') then 'a system table'
  end;
  if kind is not null then
    perform rowcast.refuse(format('%s is %s; accepted: ordinary tables', source.name, kind));
  end if;
  if not has_schema_privilege(source.nspname, 'usage') then
    perform rowcast.refuse(format('%s may not use schema %I', current_user, source.nspname),
      format('grant usage on schema %I to %I;', source.nspname, current_user));
  end if;
  if not has_table_privilege(relation, 'trigger') then
    perform rowcast.refuse(format('%s may not create triggers on %s', current_user, source.name),
      format('grant trigger on %s to %I;', source.name, current_user));
  end if;
end $$;

-- Refuses a room that is empty, that has a single brace, or that names a column that isn't there.
create function rowcast.check_room(definition rowcast.attached) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  if definition.room is null or btrim(definition.room) = '' then
    perform rowcast.refuse('room is empty; accepted: text with columns in braces, such as conversation:{customer_id}');
  end if;
  if exists (select from rowcast.pieces(definition.room) where literal in ('{', '}')) then
    perform rowcast.refuse(format('room "%s" has a brace without its partner', definition.room));
  end if;
  perform rowcast.check_columns('room', definition.room_columns, definition.columns, definition.source);
end $$;

-- Refuses a payload that is too large, or whose placeholders or keys can't become SQL: a key becomes a column's alias, and
-- Postgres cuts names at 63 bytes.
create function rowcast.check_payload(definition rowcast.attached, event text, payload jsonb) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  argument text := format('the payload of %s', event);
  long_key text := (
    select member #>> '{}' from jsonb_path_query(payload, 'strict $.** ? (@.type() == "object").keyvalue().key') as member
    where octet_length(member #>> '{}') > 63 limit 1);
begin
  if jsonb_typeof(payload) <> 'object' then
    perform rowcast.refuse(format('%s is a JSON %s; accepted: an object', argument, jsonb_typeof(payload)));
  end if;
  if octet_length(payload::text) > 65536 or (select count(*) from rowcast.placeholders(payload)) > 50 then
    perform rowcast.refuse(format('%s is too large; accepted: 64 kB and 50 placeholders', argument));
  end if;
  if long_key is not null then
    perform rowcast.refuse(format('%s has the key "%s"; accepted: keys of at most 63 bytes', argument, long_key));
  end if;
  if exists (select from rowcast.placeholders(payload) where name = 'row' and not alone) then
    perform rowcast.refuse(format('%s has {row} inside a text; accepted: "{row}" by itself', argument));
  end if;
  perform rowcast.check_columns(argument,
    array(select name from rowcast.placeholders(payload) where name not in ('row', 'room', 'contactId', 'at')),
    definition.columns || '{row,room,contactId,at}', definition.source);
end $$;

-- Refuses a condition that is no predicate, or that reads a column that isn't there: it would silently match nothing.
create function rowcast.check_condition(definition rowcast.attached) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  -- Tried on a made-up row: a predicate gives one of true, false and null; any other path gives a value of the row or nothing.
  sample jsonb := (select jsonb_object_agg(name, 'sample') from unnest(definition.columns) as name);
  results jsonb := jsonb_path_query_array(sample, definition.condition::jsonpath, silent => true);
begin
  if results <> all (array['[true]', '[false]', '[null]']::jsonb[]) then
    perform rowcast.refuse(format('condition %s is not a predicate; accepted: one such as $.direction == "inbound"',
      definition.condition));
  end if;
  perform rowcast.check_columns('condition',
    array(select name[1] from regexp_matches(definition.condition, '\$\."((?:[^"\\]|\\.)*)"', 'g') as name),
    definition.columns, definition.source);
end $$;

revoke all on all functions in schema rowcast from public;
