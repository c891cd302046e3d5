-- Check: what rowcast.attach and rowcast.emit refuse, each with one line that says what is accepted.
--
-- Guarantee: a wrong argument is an error when a table is attached, never later in a writer's transaction.
--            Attaching, also again, shows nothing that the role which calls could not read itself. That role is the one that was set
--            (SET ROLE), or else the one that logged in: the owner of this schema, as whom attach runs, may read more.
-- Cost:      runs when a table is attached; emit checks its event's name.
-- Rights:    functions are called by rowcast.attach and rowcast.emit alone; execute is revoked from public.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

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

-- What may stand in braces, for a message: the columns, those that were looked up, and `others`.
create function rowcast.known_names(definition rowcast.attached, others text[]) returns text[]
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select definition.columns || others || array(
    select l.key || '.' || col from jsonb_each(definition.lookups) l cross join jsonb_object_keys(l.value -> 'columns') as col)
$$;

-- Refuses names that mean nothing; `argument` says where they stand.
create function rowcast.check_references(definition rowcast.attached, argument text, names text[], others text[]) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  unknown text[] := array(
    select name from unnest(names) as name
    where name is null or name <> all (others) and not exists (select from rowcast.reference(definition, name)));
begin
  if unknown <> '{}' then
    perform rowcast.check_columns(argument, unknown, rowcast.known_names(definition, others), definition.source);
  end if;
end $$;

-- Refuses a table of which the caller can't read every column and every row.
create function rowcast.check_reader(relation regclass) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  caller text := case current_setting('role') when 'none' then session_user else current_setting('role') end;
  source record;
begin
  select format('%I.%I', nspname, relname) as name, n.oid as namespace, nspname,
         relrowsecurity and not rolsuper and not rolbypassrls
           and (relforcerowsecurity or not pg_has_role(caller, relowner, 'usage')) as is_hidden
  into source
  from pg_class c join pg_namespace n on n.oid = relnamespace left join pg_roles on rolname = caller where c.oid = relation;
  if not has_schema_privilege(caller, source.namespace, 'usage') then
    perform rowcast.refuse(format('%s may not use schema %I, and so not attach %s', caller, source.nspname, source.name),
      format('grant usage on schema %I to %I;', source.nspname, caller));
  end if;
  if not has_table_privilege(caller, relation, 'select') and exists (
      select from pg_attribute where attrelid = relation and attnum > 0 and not attisdropped
                                 and not has_column_privilege(caller, relation, attnum, 'select')) then
    perform rowcast.refuse(format('%s may not read %s, and so not attach it', caller, source.name),
      format('grant select on %s to %I;', source.name, caller));
  end if;
  if source.is_hidden is not false then
    perform rowcast.refuse(format('row security may hide rows of %s from %s, and an attached table sends them all', source.name, caller),
      'Attach it as the table''s owner, or as a role that has BYPASSRLS.');
  end if;
end $$;

-- Refuses what a trigger can't be put on, what the role may not put one on, and what the caller may not read.
create function rowcast.check_source(relation regclass, by_row boolean, always boolean) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  source record;
  kind text;
  above text := (select i.inhparent::regclass::text from pg_inherits i where i.inhrelid = relation limit 1);
  barred text;
  bare text := (select string_agg(p.name, ', ') from rowcast.parts_of(relation) p where not has_table_privilege(p.part, 'trigger'));
begin
  select format('%I.%I', nspname, relname) as name, nspname, relkind, relpersistence, relispartition, relowner
  into source from pg_class c join pg_namespace n on n.oid = relnamespace where c.oid = relation;
  kind := case
    when source.relkind = 'v' then 'a view'
    when source.relkind = 'm' then 'a materialized view'
    when source.relkind = 'f' then 'a foreign table'
    when source.relkind not in ('r', 'p') then 'not a table'
    when source.relpersistence = 't' then 'a temporary table'
    when source.nspname = 'rowcast' then 'one of Rowcast''s own tables'
    when source.nspname in ('pg_catalog', 'information_schema') then 'a system table'
  end;
  if kind is not null then
    perform rowcast.refuse(format('%s is %s; accepted: ordinary and partitioned tables', source.name, kind));
  end if;
  if not by_row and above is not null then
    perform rowcast.refuse(format('%s is %s %s, through which its rows can be written, too; accepted: that table, or capture => ''row''', source.name,
      case when source.relispartition then 'a partition of' else 'a table that inherits from' end, above));
  end if;
  barred := (select p.name from rowcast.parts_of(relation) p where p.kind not in ('r', 'p') limit 1);
  if not by_row and barred is not null then
    perform rowcast.refuse(format('%s has the part %s, a foreign table, which no trigger of a statement can tell the rows of; accepted: '
      'capture => ''row''', source.name, barred));
  end if;
  if not has_schema_privilege(source.nspname, 'usage') then
    perform rowcast.refuse(format('%s may not use schema %I', current_user, source.nspname),
      format('grant usage on schema %I to %I;', source.nspname, current_user));
  end if;
  if not has_table_privilege(relation, 'trigger') then
    perform rowcast.refuse(format('%s may not create triggers on %s', current_user, source.name),
      format('grant trigger on %s to %I;', source.name, current_user));
  end if;
  if bare is not null then
    perform rowcast.refuse(format('%s may not create triggers on %s', current_user, bare), format('grant trigger on %s to %I;', bare, current_user));
  end if;
  -- Only an owner may say that a trigger fires always.
  if always and not pg_has_role(source.relowner, 'usage') then
    perform rowcast.refuse(format('always needs the owner of %s, and %s is not', source.name, current_user),
      format('grant %I to %I;', pg_get_userbyid(source.relowner), current_user));
  end if;
  perform rowcast.check_reader(relation);
end $$;

-- Refuses a room that is empty or reserved, that has a single brace, that names a column that isn't there, or that no client could join:
-- those are <kind>:<id>. Where a column has to bring the kind, a NOTICE says so.
create function rowcast.check_room(definition rowcast.attached) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  names text[] := array(select name from rowcast.pieces(definition.room) where name is not null);
  accepted constant text := 'accepted: <kind>:<id>, such as conversation:{customer_id}';
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
  perform rowcast.check_references(definition, 'room', names, '{}');
  if names = '{}' and (definition.room !~ '^[^:]+:.' or octet_length(definition.room) > 2048
                       or octet_length(substr(definition.room, strpos(definition.room, ':') + 1)) > 500)
     or starts_with(definition.room, ':') then
    perform rowcast.refuse(format('room "%s" is none that a client could join; %s', left(definition.room, 100), accepted));
  end if;
  if not exists (select from rowcast.pieces(definition.room) where strpos(literal, ':') > 0) then
    if not exists (select from unnest(names) as name where rowcast.may_have_colon(definition, name)) then
      perform rowcast.refuse(format('room "%s" is none that a client could join: it has no kind; %s', definition.room, accepted));
    end if;
    raise notice 'rowcast.attach: %', rowcast.doubtful_room(definition.room);
  end if;
end $$;

-- Refuses a payload that is too large, or whose placeholders or keys can't become SQL: a key becomes a column's alias, which has
-- 1 to 63 bytes.
create function rowcast.check_payload(definition rowcast.attached, event text, payload jsonb) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  argument text := format('the payload of %s', event);
  bad_key text := (
    select member #>> '{}' from jsonb_path_query(payload, 'strict $.** ? (@.type() == "object").keyvalue().key') as member
    where octet_length(member #>> '{}') not between 1 and 63 limit 1);
begin
  if jsonb_typeof(payload) <> 'object' then
    perform rowcast.refuse(format('%s is a JSON %s; accepted: an object', argument, jsonb_typeof(payload)));
  end if;
  if octet_length(payload::text) > 65536 or (select count(*) from rowcast.placeholders(payload)) > 50 then
    perform rowcast.refuse(format('%s is too large; accepted: 64 kB and 50 placeholders', argument));
  end if;
  if bad_key is not null then
    perform rowcast.refuse(format('%s has the key "%s"; accepted: keys of 1 to 63 bytes', argument, bad_key));
  end if;
  if exists (select from rowcast.placeholders(payload) where name = 'row' and not alone) then
    perform rowcast.refuse(format('%s has {row} inside a text; accepted: "{row}" by itself', argument));
  end if;
  perform rowcast.check_references(definition, argument,
    array(select name from rowcast.placeholders(payload)), '{row,room,contactId,at}');
end $$;

-- A condition as Postgres writes it. Refuses one that is no predicate, or that reads a column that isn't there: it would silently match
-- nothing.
create function rowcast.checked_condition(definition rowcast.attached, argument text, condition text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  -- Tried on a made-up row: a predicate gives one of true, false and null; any other path gives a value of the row or nothing.
  sample jsonb := (select jsonb_object_agg(name, 'sample') from unnest(definition.columns) as name) || coalesce(
    (select jsonb_object_agg(l.key, (select jsonb_object_agg(col, 'sample') from jsonb_object_keys(l.value -> 'columns') as col))
     from jsonb_each(definition.lookups) l), '{}');
  results jsonb;
begin
  begin
    condition := condition::jsonpath::text;
  exception when others then
    perform rowcast.refuse(format('%s %s is no jsonpath: %s', argument, condition, sqlerrm));
  end;
  results := jsonb_path_query_array(sample, condition::jsonpath, silent => true);
  if results <> all (array['[true]', '[false]', '[null]']::jsonb[]) then
    perform rowcast.refuse(format('%s %s is not a predicate; accepted: one such as $.direction == "inbound"', argument, condition));
  end if;
  perform rowcast.check_references(definition, argument, array(select name from rowcast.named_by(definition, condition) as name), '{}');
  return condition;
end $$;

-- The columns that a condition names. A path writes a name as JSON does, with escapes.
create function rowcast.named_by(definition rowcast.attached, condition text) returns setof text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when first <> all (definition.columns) and definition.lookups ? first and second is not null then first || '.' || second
              else first end
  from (
    select ('"' || name[1] || '"')::jsonb #>> '{}' as first, ('"' || name[2] || '"')::jsonb #>> '{}' as second
    from regexp_matches(condition, '\$\."((?:[^"\\]|\\.)*)"(?:\."((?:[^"\\]|\\.)*)")?', 'g') as name
  ) names
$$;

-- Refuses words, defaults and texts that are not understood.
create function rowcast.check_told(definition rowcast.attached) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  told record;
begin
  if jsonb_typeof(definition.words) <> 'object'
     or jsonb_path_exists(definition.words, 'strict $.* ? (@.type() != "object")', silent => true)
     or jsonb_path_exists(definition.words, 'strict $.*.* ? (@.type() == "object" || @.type() == "array" || @.type() == "null")', silent => true) then
    perform rowcast.refuse(format('words is %s; accepted: {"column": {"value": "word"}}', definition.words));
  end if;
  if jsonb_typeof(definition.defaults) <> 'object' or jsonb_path_exists(definition.defaults, '$.* ? (@ == null)') then
    perform rowcast.refuse(format('defaults is %s; accepted: {"column": value}', definition.defaults));
  end if;
  for told in
    select 'words' as argument, key as name from jsonb_each(definition.words)
    union all select 'defaults', key from jsonb_each(definition.defaults)
    union all select 'as_text', unnest(definition.as_text)
  loop
    perform rowcast.check_references(definition, told.argument, array[told.name], '{}');
    if (select manner is not null from rowcast.reference(definition, told.name)) then
      perform rowcast.refuse(format('%s names "%s"; accepted: the column by itself', told.argument, told.name));
    end if;
    if told.argument <> 'as_text' and told.name = any (definition.key_columns) then
      perform rowcast.refuse(format('%s names "%s", which is of the primary key; accepted: other columns', told.argument, told.name));
    end if;
  end loop;
end $$;

revoke all on function rowcast.refuse, rowcast.check_event_name, rowcast.check_columns, rowcast.known_names, rowcast.check_references,
  rowcast.check_reader, rowcast.check_source, rowcast.check_room, rowcast.check_payload, rowcast.checked_condition, rowcast.named_by,
  rowcast.check_told from public;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
