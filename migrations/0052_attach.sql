-- Attach: with several rooms, lookups, words, defaults, texts, a zone, and several order columns.
--
-- Replaces rowcast.attach of 0008_attach.sql and what it calls: what they say of themselves still holds, but for what is said here.
--
-- Guarantee: whatever could be attached can be attached with the same arguments, but for a message:status of a table that has no
--            message:new, which needs a payload: whose messageId it should carry can't be known.
--            What was guessed is told in a NOTICE, and so is an order that a random key decides.
-- Rights:    as in 0008_attach.sql, and whoever attaches must be able to read what is looked up. Who might attach still may.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

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
  perform rowcast.check_references(definition, 'room', array(select name from rowcast.pieces(definition.room) where name is not null), '{}');
end $$;

-- Refuses a payload that is too large, or whose placeholders or keys can't become SQL: a key becomes a column's alias, which has
-- 1 to 63 bytes.
create or replace function rowcast.check_payload(definition rowcast.attached, event text, payload jsonb) returns void
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

-- A member of an argument that is one name or several, as an array of names.
create function rowcast.names_of(argument text, value jsonb) returns text[]
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  if jsonb_typeof(value) = 'string' then
    return array[value #>> '{}'];
  elsif jsonb_typeof(value) = 'array' and value <> '[]' and not jsonb_path_exists(value, 'strict $[*] ? (@.type() != "string")') then
    return array(select jsonb_array_elements_text(value));
  end if;
  perform rowcast.refuse(format('%s is %s; accepted: a column''s name, or an array of them', argument, value));
end $$;

-- The lookups, checked, each with what the catalog says. Their columns are all that there are.
create function rowcast.resolve_lookups(definition rowcast.attached, relation regclass, lookups jsonb) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  named record;
  what text;
  theirs regclass;
  keys text[];
  ours text[];
  found record;
  resolved jsonb := '{}';
  pair record;
begin
  if jsonb_typeof(lookups) <> 'object' or (select count(*) from jsonb_object_keys(lookups)) not between 1 and 8 then
    perform rowcast.refuse('lookups is not understood; accepted: an object of 1 to 8 lookups, such as {"chat": {"table": "chats"}}');
  end if;
  for named in select key as name, value as lookup from jsonb_each(lookups) loop
    what := format('the lookup "%s"', named.name);
    if named.name !~ '^[A-Za-z_][A-Za-z0-9_]{0,39}$' or named.name = any (definition.columns)
       or exists (select from unnest(definition.columns) as col
                  where rowcast.wire_name(definition, col) in (named.name, rowcast.wire_name(definition, named.name)))
       or rowcast.wire_name(definition, named.name) = 'id' then
      perform rowcast.refuse(format('%s has a name that a column has, or that is no plain word; accepted: another one', what));
    end if;
    if jsonb_typeof(named.lookup) <> 'object' or named.lookup - '{table,column,key,row}'::text[] <> '{}'
       or jsonb_typeof(named.lookup -> 'table') is distinct from 'string' then
      perform rowcast.refuse(format('%s is not understood; accepted: {"table", "column", "key", "row"}', what));
    end if;
    theirs := rowcast.relation_named(definition, what, named.lookup ->> 'table');
    select format('%I.%I', nspname, relname) as name, n.nspname, relkind, relpersistence, row_security_active(c.oid) as is_hidden into found
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = theirs;
    if found.relkind <> 'r' or found.relpersistence = 't' then
      perform rowcast.refuse(format('%s: %s is no ordinary table; accepted: ordinary tables', what, found.name));
    end if;
    if not has_schema_privilege(found.nspname, 'usage') or not has_table_privilege(theirs, 'select') then
      perform rowcast.refuse(format('%s: %s may not read %s', what, current_user, found.name),
        format('grant usage on schema %I to %I; grant select on %s to %2$I;', found.nspname, current_user, found.name));
    end if;
    if found.is_hidden then
      perform rowcast.refuse(format('%s: row security may hide rows of %s from %s', what, found.name, current_user),
        format('alter role %I bypassrls;', current_user));
    end if;
    perform rowcast.check_reader(theirs);
    -- Their key: a unique one, all of which is there.
    keys := case when named.lookup ? 'key' then rowcast.names_of(what || '''s "key"', named.lookup -> 'key') else array(
      select attname::text from pg_index i cross join unnest(i.indkey) with ordinality as k (attnum, place)
      join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
      where i.indrelid = theirs and i.indisprimary order by place) end;
    if keys = '{}' or not exists (
      select from pg_index i
      where i.indrelid = theirs and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
        and (select array_agg(attname::text order by attname) from pg_attribute
             where attrelid = theirs and attnum = any ((i.indkey::int2[])[0 : i.indnkeyatts - 1]))
            = (select array_agg(k order by k) from unnest(keys) as k)) then
      perform rowcast.refuse(format('%s: %s has no unique key (%s); accepted: the columns of its primary key, or of a unique index without a condition',
        what, found.name, array_to_string(keys, ', ')));
    end if;
    -- Our columns: those that were given, or those of the only foreign key to it.
    if named.lookup ? 'column' then
      ours := rowcast.names_of(what || '''s "column"', named.lookup -> 'column');
    else
      select array_agg(our order by array_position(keys, their)) into ours
      from (
        select c.oid, a.attname::text as our, b.attname::text as their, count(*) over () as columns
        from pg_constraint c cross join unnest(c.conkey, c.confkey) as k (our, their)
        join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.our
        join pg_attribute b on b.attrelid = c.confrelid and b.attnum = k.their
        where c.contype = 'f' and c.conrelid = relation and c.confrelid = theirs
      ) pairs having count(distinct oid) = 1 and bool_and(their = any (keys));
    end if;
    if cardinality(ours) is distinct from cardinality(keys) then
      perform rowcast.refuse(format('%s needs "column": which of the columns of %s have (%s) of %s', what, definition.source,
        array_to_string(keys, ', '), found.name));
    end if;
    resolved := resolved || jsonb_build_object(named.name, jsonb_build_object(
      'table', found.name, 'column', ours, 'key', keys,
      'row', case when named.lookup ? 'row' then rowcast.names_of(what || '''s "row"', named.lookup -> 'row') else '{}' end,
      'types', (select jsonb_agg(rowcast.key_type(what, format('%s of %s', attname, found.name), atttypid) order by array_position(keys, attname::text))
                from pg_attribute where attrelid = theirs and attname = any (keys)),
      'columns', (select jsonb_object_agg(attname, rowcast.form_of(atttypid)) from pg_attribute
                  where attrelid = theirs and attnum > 0 and not attisdropped and atttypid not in ('json'::regtype, 'json[]'::regtype))));
  end loop;
  definition.lookups := resolved;
  for named in select key as name, value as lookup from jsonb_each(resolved) loop
    what := format('the lookup "%s"', named.name);
    perform rowcast.check_references(definition, what || '''s "column"', array(select jsonb_array_elements_text(named.lookup -> 'column')), '{}');
    perform rowcast.check_columns(what || '''s "row"', array(select jsonb_array_elements_text(named.lookup -> 'row')),
      array(select jsonb_object_keys(named.lookup -> 'columns')), named.lookup ->> 'table');
    -- A key of ours becomes one of theirs by its text.
    for pair in
      select c.name as our, named.lookup -> 'types' ->> (c.place::int - 1) as type, r.lookup,
             coalesce((select atttypid from pg_attribute where attrelid = relation and attname = c.name and r.lookup is null),
                      (select atttypid from pg_attribute
                       where attrelid = to_regclass(resolved -> r.lookup ->> 'table') and attname = r.col)) as own_type
      from jsonb_array_elements_text(named.lookup -> 'column') with ordinality as c (name, place)
      cross join lateral (
        select null as lookup, c.name as col where c.name = any (definition.columns)
        union all select x.lookup, x.col from rowcast.reference(definition, c.name) x where c.name <> all (definition.columns) limit 1) r
    loop
      if (rowcast.key_type(what, pair.our, pair.own_type) in ('text', 'uuid') or pair.type in ('text', 'uuid'))
         and rowcast.key_type(what, pair.our, pair.own_type) <> pair.type then
        perform rowcast.refuse(format('%s: %s is %s, and the key of %s is %s; accepted: the same type', what, pair.our,
          rowcast.key_type(what, pair.our, pair.own_type), named.lookup ->> 'table', pair.type));
      end if;
    end loop;
    if (select count(*) from rowcast.lookups_of(definition)) <> (select count(*) from jsonb_object_keys(resolved))
       or exists (select from rowcast.lookups_of(definition) l cross join jsonb_array_elements_text(l.lookup -> 'column') as own_name
                  cross join lateral rowcast.reference(definition, own_name) r
                  join rowcast.lookups_of(definition) needed on needed.name = r.lookup
                  where own_name <> all (definition.columns) and needed.place >= l.place) then
      perform rowcast.refuse('lookups need each other; accepted: one that needs columns of another, which needs none of its');
    end if;
  end loop;
  return resolved;
end $$;

-- The table that an argument names: with its schema, or in the schema of the table that is attached.
create function rowcast.relation_named(definition rowcast.attached, argument text, name text) returns regclass
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  parts text[];
  relation regclass;
begin
  begin
    parts := parse_ident(name);
  exception when others then
    perform rowcast.refuse(format('%s: "%s" is no name of a table', argument, name));
  end;
  if cardinality(parts) = 1 then
    parts := (parse_ident(definition.source))[1] || parts;
  end if;
  select c.oid into relation from pg_class c join pg_namespace n on n.oid = c.relnamespace where array[nspname, relname]::text[] = parts;
  if relation is null then
    perform rowcast.refuse(format('%s: there is no table %s', argument, array_to_string(parts, '.')),
      'A name without a schema is looked for in the schema of the table that is attached.');
  end if;
  return relation;
end $$;

-- The type by which a key is compared: text can always become it.
create function rowcast.key_type(argument text, name text, type oid) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  base oid := type;
begin
  while (select typbasetype from pg_type where oid = base) <> 0 loop
    base := (select typbasetype from pg_type where oid = base);
  end loop;
  if base in ('text'::regtype, 'varchar'::regtype) then
    return 'text';
  elsif base not in ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype, 'uuid'::regtype) then
    perform rowcast.refuse(format('%s: %s is %s; accepted: smallint, integer, bigint, uuid, text, varchar', argument, name,
      format_type(type, null)));
  end if;
  return format_type(base, null);
end $$;

-- The columns that rooms, payloads, conditions and {row} need of a lookup, without the others.
create function rowcast.needed_lookups(definition rowcast.attached) returns jsonb
language sql immutable set search_path = pg_catalog, pg_temp as $$
  with names (name) as (
    select p.name from rowcast.rooms_of(definition) r cross join rowcast.pieces(r.room) p where p.name is not null
    union select p.name from rowcast.rooms_of(definition) r cross join jsonb_array_elements(r.events) e cross join rowcast.placeholders(e -> 'payload') p
    union select n from rowcast.rooms_of(definition) r cross join jsonb_array_elements(r.events) e
      cross join unnest(array[r.condition, definition.condition, e ->> 'condition']) as c (condition)
      cross join lateral rowcast.named_by(definition, c.condition) n
    union select col from jsonb_each(definition.lookups) l cross join jsonb_array_elements_text(l.value -> 'column') as col
      where col <> all (definition.columns)
    union select l.key || '.' || col from jsonb_each(definition.lookups) l cross join jsonb_array_elements_text(l.value -> 'row') as col
  ), needed as (
    select distinct r.lookup, r.col from names cross join lateral rowcast.reference(definition, names.name) r where r.lookup is not null
  )
  select jsonb_object_agg(l.key, l.value || jsonb_build_object('columns', coalesce(
    (select jsonb_object_agg(n.col, l.value -> 'columns' -> n.col) from needed n where n.lookup = l.key), '{}')))
  from jsonb_each(definition.lookups) l
  where exists (select from needed n where n.lookup = l.key)
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

-- The payload of an event for which none was given, as Rowcast's own clients expect it: the row; for message:status the
-- status; for a delete the id.
create function rowcast.default_payload(definition rowcast.attached, operation text, event text, columns text[], has_messages boolean)
returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  if operation <> 'delete' and event = 'message:status' and (operation = 'insert' or not has_messages) then
    perform rowcast.refuse(format('message:status of %s needs a payload: whose messageId it carries can''t be guessed', definition.source),
      'Such as: "payload": {"messageId": "{message_id}", "status": "{status}", "contactId": "{contactId}", "at": "{at}"}');
  end if;
  return rowcast.default_payload(definition, operation, event, columns);
end $$;

-- The events of one room, checked, each with its payload, in the order they fire: on_insert and on_delete, then the rules as they were
-- given, then on_update, for the columns that no rule names. `spec` has the room's arguments.
create function rowcast.resolve_events(definition rowcast.attached, spec jsonb, argument text, has_messages boolean) returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  rule jsonb;
  operation text;
  event text;
  columns text[];
  claimed text[] := '{}';
  update_columns text[] := case when jsonb_typeof(spec -> 'update_columns') = 'array'
    then array(select jsonb_array_elements_text(spec -> 'update_columns')) end;
  rules jsonb := coalesce(nullif(spec -> 'rules', 'null'), '[]');
  simple jsonb := jsonb_strip_nulls(jsonb_build_array(
    jsonb_build_object('on', 'insert', 'event', spec -> 'on_insert'), jsonb_build_object('on', 'delete', 'event', spec -> 'on_delete')));
  resolved jsonb := '[]';
begin
  if jsonb_typeof(rules) <> 'array' then
    perform rowcast.refuse(format('%srules is a JSON %s; accepted: an array of {"on", "columns", "event", "payload", "condition"}', argument,
      jsonb_typeof(rules)));
  end if;
  for rule in select r from jsonb_array_elements(simple) as r where r ? 'event'
              union all select r from jsonb_array_elements(rules) as r
  loop
    if jsonb_typeof(rule) <> 'object' or rule - '{on,columns,event,payload,condition}'::text[] <> '{}' then
      perform rowcast.refuse(format(
        'the rule %s is not understood; accepted: an object with "on", "columns", "event", "payload" and "condition"', rule));
    end if;
    operation := rule ->> 'on';
    event := rule ->> 'event';
    if operation is null or operation not in ('insert', 'update', 'delete') then
      perform rowcast.refuse(format('the rule %s has no such "on"; accepted: "insert", "update", "delete"', rule));
    end if;
    perform rowcast.check_event_name('rowcast.attach', event);
    if operation = 'update' then
      if jsonb_typeof(rule -> 'columns') is distinct from 'array' or rule -> 'columns' = '[]' then
        perform rowcast.refuse(format('the rule for %s needs "columns", an array of column names', event),
          'An event for any other change is on_update.');
      end if;
      columns := array(select jsonb_array_elements_text(rule -> 'columns'));
      perform rowcast.check_columns(format('the rule for %s', event), columns, definition.columns, definition.source);
      claimed := claimed || columns;
    elsif rule ? 'columns' then
      perform rowcast.refuse(format('the rule for %s has "columns", which only a rule on update has', event));
    end if;
    if rule ->> 'condition' is not null then
      rule := rule || jsonb_build_object('condition',
        rowcast.checked_condition(definition, format('the condition of the rule for %s', event), rule ->> 'condition'));
    else
      rule := rule - 'condition';
    end if;
    resolved := resolved || jsonb_build_array(rule);
  end loop;

  if spec ->> 'on_update' is not null then
    perform rowcast.check_event_name('rowcast.attach', spec ->> 'on_update');
    perform rowcast.check_columns(argument || 'update_columns', update_columns, definition.columns, definition.source);
    columns := coalesce(update_columns,
      array(select name from unnest(definition.columns) as name where name <> all (claimed)));
    if columns = '{}' then
      perform rowcast.refuse(argument || 'on_update has no column left to watch: rules or update_columns leave none');
    end if;
    resolved := resolved || jsonb_build_array(jsonb_build_object('on', 'update', 'columns', columns, 'event', spec ->> 'on_update'));
  elsif update_columns is not null then
    perform rowcast.refuse(argument || 'update_columns is given without on_update');
  end if;
  if resolved = '[]' then
    perform rowcast.refuse(argument || 'there is no event; give at least one of on_insert, on_update, on_delete, rules');
  end if;

  return (
    select jsonb_agg(r || jsonb_build_object('payload', coalesce(nullif(r -> 'payload', 'null'), nullif(spec -> 'payload', 'null'),
      rowcast.default_payload(definition, r ->> 'on', r ->> 'event',
        (select array_agg(name) from jsonb_array_elements_text(r -> 'columns') as name), has_messages))) order by place)
    from jsonb_array_elements(resolved) with ordinality as x (r, place));
end $$;

-- The rooms of a definition, checked, each with its events. `first` has the arguments of attach itself, which are those of the first room,
-- if it has one; its payload holds for the others, too.
create function rowcast.resolve_rooms(definition rowcast.attached, first jsonb, rooms jsonb) returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  spec jsonb;
  nth bigint;
  argument text;
  is_first boolean := first -> 'room' <> 'null';
  has_messages boolean := jsonb_path_exists(jsonb_build_array(first, rooms),
    '$.** ? (@.type() == "object" && (@.on_insert == "message:new" || @.on == "insert" && @.event == "message:new"))');
  resolved jsonb := '[]';
begin
  if rooms is not null and jsonb_typeof(rooms) <> 'array' then
    perform rowcast.refuse(format('rooms is a JSON %s; accepted: an array of rooms, each with "room" and events', jsonb_typeof(rooms)));
  end if;
  if not is_first and coalesce(jsonb_array_length(rooms), 0) > 0 then
    if first - '{room,payload}'::text[] <> jsonb_build_object('on_insert', null, 'on_update', null, 'on_delete', null, 'update_columns', null, 'rules', null) then
      perform rowcast.refuse('there are events, and no room for them; give room, or give each of rooms its events');
    end if;
  end if;
  for spec, nth in
    select first, 0::bigint where is_first or coalesce(jsonb_array_length(rooms), 0) = 0
    union all select r, place from jsonb_array_elements(coalesce(rooms, '[]')) with ordinality as x (r, place)
    order by 2
  loop
    argument := case when nth > 0 then format('room %s of rooms: ', nth) else '' end;
    if jsonb_typeof(spec) <> 'object'
       or spec - '{room,on_insert,on_update,on_delete,update_columns,rules,condition,payload}'::text[] <> '{}' then
      perform rowcast.refuse(format('%snot understood; accepted: an object with "room", "on_insert", "on_update", "on_delete", "update_columns", '
        '"rules", "condition" and "payload"', argument));
    end if;
    definition.room := spec ->> 'room';
    perform rowcast.check_room(definition);
    if spec -> 'payload' <> 'null' then
      perform rowcast.check_payload(definition, case when nth > 0 then definition.room else 'this table' end, spec -> 'payload');
    elsif nth > 0 and first -> 'payload' <> 'null' then
      spec := spec || jsonb_build_object('payload', first -> 'payload');
    end if;
    resolved := resolved || jsonb_build_array(jsonb_strip_nulls(jsonb_build_object('room', definition.room,
      'condition', case when spec ->> 'condition' is not null
        then rowcast.checked_condition(definition, argument || 'condition', spec ->> 'condition') end))
      || jsonb_build_object('events', rowcast.resolve_events(definition, spec, argument, has_messages)));
  end loop;
  if jsonb_array_length(resolved) > 8 then
    perform rowcast.refuse('rooms are too many; accepted: 8');
  end if;
  if (select count(distinct r ->> 'room') from jsonb_array_elements(resolved) as r) < jsonb_array_length(resolved) then
    perform rowcast.refuse('a room is given twice; accepted: one room with all of its rules');
  end if;
  return resolved;
end $$;

-- The column by which a table's history is probably sorted: a point in time, by its name; null where none looks like it. The names on
-- top are those that were known first.
create function rowcast.guessed_order(relation regclass, columns text[]) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select attname
  from pg_attribute
  cross join lateral (
    select case when lower(attname) in ('created_at', 'createdat') then -1
      when lower(attname) in ('created', 'inserted_at', 'sent_at', 'received_at', 'occurred_at') then 0
      else array_position(array['createdat', 'insertedat', 'sentat', 'receivedat', 'occurredat', 'createdon', 'createdtime', 'creationtime',
        'datecreated', 'createdts', 'inserted', 'sent', 'senton', 'senttime', 'datesent', 'sentts', 'received', 'receivedon', 'occurred',
        'occurredon', 'messagetimestamp', 'messagetime', 'timestamp', 'ts', 'datetime', 'eventtime', 'postedat', 'posted', 'addedat',
        'epoch', 'messagedate', 'time', 'at', 'date', 'day'], replace(lower(attname), '_', '')) end as place) known
  where attrelid = relation and attname = any (columns) and known.place is not null
    and (atttypid in ('timestamptz'::regtype, 'timestamp'::regtype)
         -- Seconds since some moment, or a day.
         or atttypid in ('bigint'::regtype, 'integer'::regtype, 'numeric'::regtype, 'float8'::regtype) and known.place <= 30
         or atttypid = 'date'::regtype)
  order by atttypid not in ('timestamptz'::regtype, 'timestamp'::regtype), known.place, attnum limit 1
$$;

-- The definition of a table: what follows from the catalog and from the arguments, which are checked here. `specs` has those that are
-- about rooms.
create function rowcast.define(
  relation regclass, specs jsonb, rooms jsonb, condition text, omit text[], key_case text, order_column text, order_columns text[],
  lookups jsonb, words jsonb, defaults jsonb, as_text text[], timezone text
) returns rowcast.attached
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  definition rowcast.attached;
  resolved jsonb;
  twice text;
begin
  perform rowcast.check_source(relation);
  select format('%I.%I', nspname, relname), nspname || '_' || relname into definition.source, definition.capture
  from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = relation;
  -- The name of the trigger functions: schema_table where that is a short, plain name and no other table's, else with a hash.
  -- A table that is attached again keeps the name it had.
  if definition.capture !~ '^[a-z0-9_]{1,40}$'
     or exists (select from rowcast.attached a where a.capture = definition.capture and a.source <> definition.source) then
    definition.capture := left(regexp_replace(definition.capture, '[^a-z0-9_]', '_', 'g'), 31)
      || '_' || left(md5(definition.source), 8);
  end if;
  definition.capture := coalesce(
    (select a.capture from rowcast.attached a where a.source = definition.source), definition.capture);
  -- Virtual generated columns have no value in a trigger.
  definition.columns := array(select attname from pg_attribute
    where attrelid = relation and attnum > 0 and not attisdropped and attgenerated <> 'v' order by attnum);
  definition.forms := rowcast.forms_of(relation);
  definition.key_columns := array(
    select attname from pg_index i
    cross join unnest(i.indkey) with ordinality as k (attnum, place)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where i.indrelid = relation and i.indisprimary order by place);
  definition.key_case := key_case;
  if key_case is null or key_case not in ('camel', 'as_is') then
    perform rowcast.refuse(format('key_case is "%s"; accepted: camel, as_is', key_case));
  end if;
  if timezone is not null then
    begin
      perform now() at time zone timezone;
    exception when others then
      perform rowcast.refuse(format('timezone is "%s"; accepted: a name of pg_timezone_names', timezone));
    end;
  end if;
  definition.timezone := timezone;
  if lookups is not null then
    definition.lookups := rowcast.resolve_lookups(definition, relation, lookups);
  end if;
  definition.words := words;
  definition.defaults := defaults;
  definition.as_text := as_text;
  perform rowcast.check_told(definition);
  definition.omit := coalesce(omit, '{}');
  perform rowcast.check_columns('omit', definition.omit, definition.columns, definition.source);
  if condition is not null then
    definition.condition := rowcast.checked_condition(definition, 'condition', condition);
  end if;

  resolved := rowcast.resolve_rooms(definition, specs, rooms);
  definition.room := resolved -> 0 ->> 'room';
  definition.events := (
    select jsonb_agg(e order by place, nth)
    from jsonb_array_elements(resolved) with ordinality as x (r, place) cross join jsonb_array_elements(r -> 'events') with ordinality as y (e, nth));
  if jsonb_array_length(resolved) > 1 or resolved -> 0 ? 'condition' then
    definition.rooms := resolved;
  end if;
  definition.room_columns := array(
    select distinct n.col from rowcast.rooms_of(definition) r cross join rowcast.pieces(r.room) p
    cross join lateral rowcast.reference(definition, p.name) n where n.lookup is null);
  for resolved in select e from jsonb_array_elements(definition.events) as e loop
    perform rowcast.check_payload(definition, resolved ->> 'event', resolved -> 'payload');
  end loop;
  if (select count(*) from jsonb_object_keys(definition.lookups)) > (select count(*) from jsonb_object_keys(rowcast.needed_lookups(definition))) then
    perform rowcast.refuse('a lookup is not used; accepted: one that a room, a payload, a condition or its own "row" names');
  end if;
  definition.lookups := rowcast.needed_lookups(definition);

  select string_agg(name, ' and ') into twice from unnest(definition.columns) as name where name <> all (definition.omit)
  group by rowcast.wire_name(definition, name) having count(*) > 1 limit 1;
  if twice is not null then
    perform rowcast.refuse(format('%s would have one key; omit one, or give key_case => ''as_is''', twice));
  end if;
  if definition.columns <@ definition.omit then
    perform rowcast.refuse('omit leaves no column');
  end if;
  if order_column is not null and order_columns is not null then
    perform rowcast.refuse('order_column and order_columns are both given; accepted: one of them');
  end if;
  order_columns := coalesce(order_columns, array[order_column]);
  if order_columns = '{}' or cardinality(order_columns) > 8 then
    perform rowcast.refuse('order_columns is empty or too long; accepted: 1 to 8 columns');
  end if;
  order_columns := nullif(order_columns, array[null::text]);
  perform rowcast.check_columns(case when cardinality(order_columns) > 1 then 'order_columns' else 'order_column' end,
    order_columns, definition.columns, definition.source);
  definition.order_column := coalesce(order_columns[1], rowcast.guessed_order(relation, definition.columns),
    case when cardinality(definition.key_columns) = 1 then definition.key_columns[1] end);
  if cardinality(order_columns) > 1 then
    definition.order_columns := order_columns;
  end if;
  definition.careful := rowcast.needs_care(relation);
  definition.row_sql := rowcast.row_sql(definition, 'after');
  definition.feeds := rowcast.feeds_of(definition);
  definition.attached_at := now();
  return definition;
end $$;

-- What a NOTICE says of a history whose order was guessed, or is decided by a key that says nothing of time; null for nothing.
create function rowcast.doubtful_order(definition rowcast.attached, relation regclass, was_given boolean) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case
    when definition.feeds = '[]' then null
    when not was_given and definition.order_column is null then format(
      'history of %s is sorted by its key alone (%s): give order_columns', definition.source, array_to_string(definition.key_columns, ', '))
    when not was_given and definition.order_column = any (definition.key_columns) then case when random.col is not null then format(
      'history of %s is sorted by %s, which is %s and may be random: give order_columns', definition.source, random.col, random.type) end
    when not was_given then format('history of %s is sorted by %s, a guess by its name%s: say so by order_columns => ''{%2$s}'', or give others',
      definition.source, definition.order_column,
      case when random.col is not null then format('; where that is equal, by %s, which is %s and may be random', random.col, random.type) else '' end)
    when random.col is not null then format(
      'where %s is equal, history of %s is sorted by %s, which is %s and may be random: give one more of order_columns, which grows',
      array_to_string(coalesce(definition.order_columns, array[definition.order_column]), ', '), definition.source, random.col, random.type)
    when definition.key_columns = '{}' then format('history of %s has one page: the table has no primary key', definition.source) end
  from (select) one
  left join lateral (
    select a.attname as col, format_type(a.atttypid, null) as type
    from pg_attribute a
    where a.attrelid = relation and a.attname = any (definition.key_columns) and a.attname <> all (coalesce(definition.order_columns, '{}'))
      and a.atttypid in ('uuid'::regtype, 'text'::regtype, 'varchar'::regtype)
      -- No two rows are equal where one of the columns is unique.
      and not exists (
        select from pg_index i join pg_attribute o on o.attrelid = relation and o.attnum = i.indkey[0]
        where i.indrelid = relation and i.indisunique and i.indpred is null and i.indexprs is null and i.indnkeyatts = 1
          and o.attname = any (coalesce(definition.order_columns, array[definition.order_column])) and o.attname <> all (definition.key_columns))
    order by a.attnum limit 1
  ) random on true
$$;

-- All that attaching runs, as text: the functions of its lookups, the triggers that the definition needs, without those it doesn't, and
-- its row.
create or replace function rowcast.attach_sql(definition rowcast.attached) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(rowcast.lookup_functions_sql(definition), '')
    || string_agg(case when rowcast.captures(definition, operation) then rowcast.trigger_sql(definition, operation)
    else format('drop function if exists rowcast.%I() cascade;', rowcast.capture_name(definition, operation)) end,
    E'\n\n' order by place)
    || format(E'\n\ndelete from rowcast.attached where source = %L;\n'
              'insert into rowcast.attached select * from jsonb_populate_record(null::rowcast.attached, %L);',
              definition.source, to_jsonb(definition))
  from unnest('{insert,update,delete}'::text[]) with ordinality as o (operation, place)
$$;

-- Who may call attach may call the one that takes more.
select set_config('rowcast.attachers', coalesce(string_agg(format('grant execute on function rowcast.attach to %s%s',
    case when a.grantee = 0 then 'public' else a.grantee::regrole::text end, case when a.is_grantable then ' with grant option' else '' end), '; '), ''), true)
from pg_proc p cross join aclexplode(p.proacl) a
where p.pronamespace = 'rowcast'::regnamespace and p.proname = 'attach' and a.privilege_type = 'EXECUTE' and a.grantee <> p.proowner;

drop function rowcast.attach(regclass, text, text, text, text, text[], jsonb, jsonpath, jsonb, text[], text, text, boolean);
drop function rowcast.define(regclass, text, text, text[], text, text);
drop function rowcast.resolve_events(rowcast.attached, text, text, text, text[], jsonb, jsonb);
drop function rowcast.check_condition(rowcast.attached);

create function rowcast.attach(
  source regclass,
  room text default null,
  on_insert text default null,
  on_update text default null,
  on_delete text default null,
  update_columns text[] default null,
  rules jsonb default null,
  condition jsonpath default null,
  payload jsonb default null,
  omit text[] default '{}',
  key_case text default 'camel',
  order_column text default null,
  dry_run boolean default false,
  rooms jsonb default null,
  lookups jsonb default null,
  words jsonb default null,
  defaults jsonb default null,
  as_text text[] default null,
  order_columns text[] default null,
  timezone text default null
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp set quote_all_identifiers = off as $$
#variable_conflict use_variable
declare
  definition rowcast.attached;
  other record;
  statements text := '';
  doubt text;
  -- What is dropped that isn't there would be told.
  loud text := current_setting('client_min_messages');
  limited boolean := current_setting('lock_timeout') <> '0';
begin
  if source is null then
    perform rowcast.refuse('source is null; accepted: the name of a table');
  end if;
  definition := rowcast.define(source, jsonb_build_object('room', room, 'on_insert', on_insert, 'on_update', on_update, 'on_delete', on_delete,
    'update_columns', update_columns, 'rules', rules, 'payload', payload), rooms, condition::text, omit, key_case, order_column, order_columns,
    lookups, words, defaults, as_text, timezone);

  -- A table may have been renamed since it was attached, and another table may have its old name.
  for other in select a.source, a.capture, rowcast.relation_of(a.capture) as relation from rowcast.attached a loop
    if other.source = definition.source and other.relation <> source then
      perform rowcast.refuse(format('the definition of %s belongs to %s, which was renamed', other.source, other.relation),
        format('select rowcast.detach(%L);', other.relation));
    elsif other.relation = source and other.source <> definition.source then
      statements := format(E'select rowcast.detach(%L);\n\n', other.source);
    end if;
  end loop;
  statements := statements || rowcast.attach_sql(definition);
  if to_jsonb(definition)::text ~ '\$(capture|lookup)\$' then
    perform rowcast.refuse('an argument or a column contains $capture$ or $lookup$, which quote the generated code');
  end if;

  doubt := rowcast.doubtful_order(definition, source, order_column is not null or order_columns is not null);
  if doubt is not null then
    raise notice 'rowcast.attach: %', doubt;
  end if;
  if not dry_run then
    if not limited then
      perform set_config('lock_timeout', '5s', true);
    end if;
    perform set_config('client_min_messages', 'warning', true);
    begin
      execute statements;
    exception when lock_not_available then
      raise exception 'rowcast.attach: % could not be locked within %: a transaction that wrote to it is still open',
        definition.source, current_setting('lock_timeout') using errcode = '55P03', hint = 'Try again, or set lock_timeout.';
    end;
    perform set_config('client_min_messages', loud, true);
    if not limited then
      perform set_config('lock_timeout', '0', true);
    end if;
  end if;
  return statements;
end $$;
comment on function rowcast.attach is 'makes changes of a table events; returns the SQL it ran, or with dry_run would run';

-- As in 0009_sources.sql; the functions of lookups go, too. It is for who may attach: a role that can't read a table can't end its
-- events either. Of a table that is gone whoever may call this takes the definition away.
create or replace function rowcast.detach(source text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp set client_min_messages = warning set quote_all_identifiers = off as $$
declare
  definition rowcast.attached;
  name text;
  -- The argument as SQL reads a name: {schema, table} or {table}.
  parts text[] := parse_ident(source);
  limited boolean := current_setting('lock_timeout') <> '0';
  -- As in 0036_readers.sql.
  caller text := case current_setting('role') when 'none' then session_user else current_setting('role') end;
  relation regclass;
begin
  -- By the name that the table was attached with, or by the one that it has now. A name without a schema is enough where only
  -- one attached table is called so.
  select a.* into definition from rowcast.attached a
  where parts in (parse_ident(a.source), parse_ident(rowcast.relation_of(a.capture)::text))
     or cardinality(parts) = 1
        and array[a.source] = array(
          select b.source from rowcast.attached b
          where parts[1] in ((parse_ident(b.source))[2], (parse_ident(rowcast.relation_of(b.capture)::text))[2]))
  order by parse_ident(a.source) = parts desc limit 1;
  if definition.source is null then
    return format('%s was not attached', detach.source);
  end if;
  relation := rowcast.relation_of(definition.capture);
  if relation is not null and not has_table_privilege(caller, relation, 'select') then
    raise exception 'rowcast.detach: % may not read %, and so not detach it', caller, definition.source
      using errcode = '42501', hint = format('Let its owner detach it, or: grant select on %s to %I;', definition.source, caller);
  end if;
  if not limited then
    perform set_config('lock_timeout', '5s', true);
  end if;
  begin
    foreach name in array array['insert', 'update', 'delete'] loop
      execute format('drop function if exists rowcast.%I() cascade', rowcast.capture_name(definition, name));
    end loop;
  exception when lock_not_available then
    raise exception 'rowcast.detach: % could not be locked within %: a transaction that used it is still open',
      definition.source, current_setting('lock_timeout') using errcode = '55P03', hint = 'Try again, or set lock_timeout.';
  end;
  for name in select proname from pg_proc where pronamespace = 'rowcast'::regnamespace and proname ~ ('^lookup_' || definition.capture || '_[0-9]$') loop
    execute format('drop function rowcast.%I(text[])', name);
  end loop;
  if not limited then
    perform set_config('lock_timeout', '0', true);
  end if;
  delete from rowcast.attached a where a.source = definition.source;
  return format('%s is detached', definition.source);
end $$;

revoke all on function rowcast.known_names, rowcast.check_references, rowcast.checked_condition, rowcast.named_by, rowcast.names_of,
  rowcast.resolve_lookups, rowcast.relation_named, rowcast.key_type, rowcast.needed_lookups, rowcast.check_told, rowcast.resolve_events,
  rowcast.default_payload(rowcast.attached, text, text, text[], boolean), rowcast.resolve_rooms, rowcast.guessed_order, rowcast.define,
  rowcast.doubtful_order, rowcast.attach from public;

do $$
begin
  if current_setting('rowcast.attachers') <> '' then
    execute current_setting('rowcast.attachers');
  end if;
end $$;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
