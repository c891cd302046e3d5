-- Attach: puts the generated triggers on a table.
--
-- rowcast.attach, at the end, checks its arguments, completes them to a row of rowcast.attached (the definition), lets
-- 0006_generate.sql write the triggers for it, and runs that text.
--
-- Guarantee: attaching changes no row, and is done wholly or not at all. Attaching again replaces.
-- Cost:      one SHARE ROW EXCLUSIVE lock on the table (ACCESS EXCLUSIVE when a trigger is removed). It is waited for at
--            most lock_timeout, 5 s if that is unset, and writers wait behind it meanwhile.
-- Rights:    runs as the owner of this schema, who needs TRIGGER on the table; execute is revoked from public.

-- The events of a definition, checked, each with its payload, in the order they fire: on_insert and on_delete, then the rules
-- as they were given, then on_update, for the columns that no rule names.
create function rowcast.resolve_events(
  definition rowcast.attached, on_insert text, on_update text, on_delete text,
  update_columns text[], rules jsonb, payload jsonb
) returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  rule jsonb;
  operation text;
  event text;
  columns text[];
  claimed text[] := '{}';
  simple jsonb := jsonb_strip_nulls(jsonb_build_array(
    jsonb_build_object('on', 'insert', 'event', on_insert), jsonb_build_object('on', 'delete', 'event', on_delete)));
  resolved jsonb := '[]';
begin
  if rules is not null and jsonb_typeof(rules) <> 'array' then
    perform rowcast.refuse(format('rules is a JSON %s; accepted: an array of {"on", "columns", "event", "payload"}',
      jsonb_typeof(rules)));
  end if;
  for rule in select r from jsonb_array_elements(simple) as r where r ? 'event'
              union all select r from jsonb_array_elements(coalesce(rules, '[]')) as r
  loop
    if jsonb_typeof(rule) <> 'object' or rule - '{on,columns,event,payload}'::text[] <> '{}' then
      perform rowcast.refuse(format(
        'the rule %s is not understood; accepted: an object with "on", "columns", "event" and "payload"', rule));
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
    resolved := resolved || jsonb_build_array(rule);
  end loop;

  if on_update is not null then
    perform rowcast.check_event_name('rowcast.attach', on_update);
    perform rowcast.check_columns('update_columns', update_columns, definition.columns, definition.source);
    columns := coalesce(update_columns,
      array(select name from unnest(definition.columns) as name where name <> all (claimed)));
    if columns = '{}' then
      perform rowcast.refuse('on_update has no column left to watch: rules or update_columns leave none');
    end if;
    resolved := resolved || jsonb_build_array(jsonb_build_object('on', 'update', 'columns', columns, 'event', on_update));
  elsif update_columns is not null then
    perform rowcast.refuse('update_columns is given without on_update');
  end if;
  if resolved = '[]' then
    perform rowcast.refuse('there is no event; give at least one of on_insert, on_update, on_delete, rules');
  end if;

  return (
    select jsonb_agg(r || jsonb_build_object('payload', coalesce(nullif(r -> 'payload', 'null'), payload,
      rowcast.default_payload(definition, r ->> 'on', r ->> 'event',
        (select array_agg(name) from jsonb_array_elements_text(r -> 'columns') as name)))) order by place)
    from jsonb_array_elements(resolved) with ordinality as x (r, place));
end $$;

-- Whether a row of the table may fail to become jsonb: a json column can hold what jsonb refuses, and a type that is not
-- Postgres's own may have a cast to json that raises an error.
create function rowcast.needs_care(relation regclass) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(bool_or(base.typname in ('json', '_json')
    or base.typtype <> 'e' and base.typnamespace <> 'pg_catalog'::regnamespace), false)
  from pg_attribute a
  join pg_type t on t.oid = a.atttypid
  join pg_type element on element.oid = case when t.typlen = -1 and t.typelem <> 0 then t.typelem else t.oid end
  join pg_type base on base.oid = coalesce(nullif(element.typbasetype, 0), element.oid)
  where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
$$;

-- The definition of a table, but for its events: what follows from the catalog and from the arguments, which are checked here.
create function rowcast.define(
  relation regclass, room text, condition text, omit text[], key_case text, order_column text
) returns rowcast.attached
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  definition rowcast.attached;
  twice text;
begin
  perform rowcast.check_source(relation);
  select format('%I.%I', nspname, relname), nspname || '_' || relname into definition.source, definition.capture
  from pg_class c join pg_namespace n on n.oid = relnamespace where c.oid = relation;
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
  definition.key_columns := array(
    select attname from pg_index i
    cross join unnest(i.indkey) with ordinality as k (attnum, place)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where i.indrelid = relation and i.indisprimary order by place);
  definition.room := room;
  definition.room_columns := array(select distinct name from rowcast.pieces(room) where name is not null);
  perform rowcast.check_room(definition);
  definition.condition := condition;
  if condition is not null then
    perform rowcast.check_condition(definition);
  end if;
  definition.omit := coalesce(omit, '{}');
  perform rowcast.check_columns('omit', definition.omit, definition.columns, definition.source);
  definition.key_case := key_case;
  if key_case is null or key_case not in ('camel', 'as_is') then
    perform rowcast.refuse(format('key_case is "%s"; accepted: camel, as_is', key_case));
  end if;
  select string_agg(name, ' and ') into twice from unnest(definition.columns) as name where name <> all (definition.omit)
  group by rowcast.wire_name(definition, name) having count(*) > 1 limit 1;
  if twice is not null then
    perform rowcast.refuse(format('%s would have one key; omit one, or give key_case => ''as_is''', twice));
  end if;
  if definition.columns <@ definition.omit then
    perform rowcast.refuse('omit leaves no column');
  end if;
  perform rowcast.check_columns('order_column', case when order_column is null then '{}' else array[order_column] end,
    definition.columns, definition.source);
  definition.order_column := coalesce(order_column,
    (select attname from pg_attribute
     where attrelid = relation and attname = any (definition.columns)
       and atttypid in ('timestamptz'::regtype, 'timestamp'::regtype)
       and lower(attname) in ('created_at', 'createdat', 'created', 'inserted_at', 'sent_at', 'received_at', 'occurred_at')
     order by lower(attname) not in ('created_at', 'createdat'), attnum limit 1),
    case when cardinality(definition.key_columns) = 1 then definition.key_columns[1] end);
  definition.careful := rowcast.needs_care(relation);
  definition.row_sql := rowcast.row_sql(definition, 'after');
  definition.attached_at := now();
  return definition;
end $$;

-- All that attaching runs, as text: the triggers that the definition needs, without those it doesn't, and its row.
create function rowcast.attach_sql(definition rowcast.attached) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select string_agg(case when rowcast.captures(definition, operation) then rowcast.trigger_sql(definition, operation)
    else format('drop function if exists rowcast.%I() cascade;', rowcast.capture_name(definition, operation)) end,
    E'\n\n' order by place)
    || format(E'\n\ndelete from rowcast.attached where source = %L;\n'
              'insert into rowcast.attached select * from jsonb_populate_record(null::rowcast.attached, %L);',
              definition.source, to_jsonb(definition))
  from unnest('{insert,update,delete}'::text[]) with ordinality as o (operation, place)
$$;

create function rowcast.attach(
  source regclass,
  room text,
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
  dry_run boolean default false
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp set client_min_messages = warning as $$
#variable_conflict use_variable
declare
  definition rowcast.attached;
  other record;
  event record;
  statements text := '';
  limited boolean := current_setting('lock_timeout') <> '0';
begin
  if source is null then
    perform rowcast.refuse('source is null; accepted: the name of a table');
  end if;
  definition := rowcast.define(source, room, condition::text, omit, key_case, order_column);
  if payload is not null then
    perform rowcast.check_payload(definition, 'this table', payload);
  end if;
  definition.events := rowcast.resolve_events(definition, on_insert, on_update, on_delete, update_columns, rules, payload);
  for event in select e ->> 'event' as name, e -> 'payload' as payload from jsonb_array_elements(definition.events) as e loop
    perform rowcast.check_payload(definition, event.name, event.payload);
  end loop;

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
  if strpos(to_jsonb(definition)::text, '$capture$') > 0 then
    perform rowcast.refuse('an argument or a column contains $capture$, which quotes the generated code');
  end if;

  if not dry_run then
    if not limited then
      perform set_config('lock_timeout', '5s', true);
    end if;
    begin
      execute statements;
    exception when lock_not_available then
      raise exception 'rowcast.attach: % could not be locked within %: a transaction that wrote to it is still open',
        definition.source, current_setting('lock_timeout') using errcode = '55P03', hint = 'Try again, or set lock_timeout.';
    end;
    if not limited then
      perform set_config('lock_timeout', '0', true);
    end if;
  end if;
  return statements;
end $$;
comment on function rowcast.attach is 'makes changes of a table events; returns the SQL it ran, or with dry_run would run';

revoke all on all functions in schema rowcast from public;
