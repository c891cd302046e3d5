-- Define: completes the arguments of rowcast.attach to a row of rowcast.attached, the definition of a source.
--
-- Guarantee: a message:status of a table that has no message:new needs a payload: whose messageId it should carry can't be known.
-- Cost:      runs when a table is attached.
-- Rights:    as attach, whose caller must be able to read what is looked up; execute is revoked from public.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

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

-- The definition of a table: what follows from the catalog and from the arguments, which are checked here. `specs` has those that are about
-- rooms.
create function rowcast.define(
  relation regclass, specs jsonb, rooms jsonb, condition text, omit text[], key_case text, order_column text, order_columns text[],
  lookups jsonb, words jsonb, defaults jsonb, as_text text[], timezone text, by_row boolean, always boolean
) returns rowcast.attached
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  definition rowcast.attached;
  resolved jsonb;
  twice text;
begin
  perform rowcast.check_source(relation, by_row, always);
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
  definition.by_row := by_row;
  definition.always := always;
  definition.tree := (select relkind = 'p' from pg_class where oid = relation) or exists (select from rowcast.parts_of(relation));
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

revoke all on function rowcast.needed_lookups, rowcast.resolve_events, rowcast.resolve_rooms, rowcast.guessed_order,
  rowcast.define from public;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
