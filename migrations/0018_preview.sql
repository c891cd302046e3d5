-- Preview: what attaching a table would do, shown without doing it.
--
-- Guarantee: rowcast.preview changes nothing: it writes no row, takes no number of a sequence, notifies nobody, and locks the table no more
--            than a read does. Its examples are made by the expressions of the trigger, out of rows that are there.
-- Cost:      none for writers.
-- Rights:    preview runs as the owner of this schema, and refuses what attach refuses, so it shows nothing that the caller could not read.
--            Execute is revoked from public, and granted with attach.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

-- A call of rowcast.attach, without a semicolon. `arguments` has a member for each parameter that is given, called as the parameter: lists as
-- arrays, whatever takes JSON as it is, everything else as text.
create function rowcast.attach_call(source text, arguments jsonb) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  parameter record;
  call text := format('select rowcast.attach(%L', source);
  known text[] := '{}';
  unknown text;
begin
  if jsonb_typeof(arguments) is distinct from 'object' then
    perform rowcast.refuse('the arguments are no object; accepted: {"room": "conversation:{customer_id}", "on_insert": "message:new"}');
  end if;
  for parameter in
    select a.name, format_type(a.type, null) as type, arguments -> a.name as value, jsonb_typeof(arguments -> a.name) as kind
    from pg_proc p cross join unnest(p.proargnames, p.proargtypes::oid[]) with ordinality as a (name, type, place)
    where p.pronamespace = 'rowcast'::regnamespace and p.proname = 'attach' and a.place <= p.pronargs
      and a.name not in ('source', 'dry_run')
    order by a.place
  loop
    known := known || parameter.name;
    continue when coalesce(parameter.kind, 'null') = 'null';
    case parameter.type
      when 'text[]' then
        if parameter.kind <> 'array' or jsonb_path_exists(parameter.value, 'strict $[*] ? (@.type() != "string")') then
          perform rowcast.refuse(format('%s is %s; accepted: an array of texts', parameter.name, parameter.value));
        end if;
        call := call || format(', %I => %L', parameter.name, array(select jsonb_array_elements_text(parameter.value))::text);
      when 'jsonb' then
        call := call || format(', %I => %L', parameter.name, parameter.value::text);
      when 'boolean' then
        if parameter.kind <> 'boolean' then
          perform rowcast.refuse(format('%s is %s; accepted: true, false', parameter.name, parameter.value));
        end if;
        call := call || format(', %I => %s', parameter.name, parameter.value);
      else
        if parameter.kind <> 'string' then
          perform rowcast.refuse(format('%s is %s; accepted: a text', parameter.name, parameter.value));
        end if;
        call := call || format(', %I => %L', parameter.name, parameter.value #>> '{}');
    end case;
  end loop;
  select key into unknown from jsonb_object_keys(arguments) as key where key <> all (known) limit 1;
  if unknown is not null then
    perform rowcast.refuse(format('there is no argument "%s"; accepted: %s', unknown, array_to_string(known, ', ')));
  end if;
  return call || ')';
end $$;

-- An example of each event that a definition has: out of the first rows by the key, backwards, that would cause it. A row that doesn't meet the
-- conditions, or has no room, causes none. However its triggers are called, the rows are read as those of one statement on one table. The
-- settings are those of the triggers.
create function rowcast.examples(definition rowcast.attached, relation regclass) returns json
language plpgsql set search_path = pg_catalog, pg_temp set timezone = 'UTC' set jit = off set datestyle = 'ISO, MDY'
set intervalstyle = 'postgres' set bytea_output = 'hex' set extra_float_digits = 1 set lc_monetary = 'C'
set quote_all_identifiers = off as $$
declare
  rule record;
  branches text[] := '{}';
  lookups text := rowcast.lookup_functions_sql(definition);
  query text;
  result json;
begin
  definition := jsonb_populate_record(definition, '{"tree": false, "by_row": false}');
  for rule in
    select r.place, r.room, r.condition, e as rule, case e ->> 'on' when 'delete' then 'before' else 'after' end as side
    from rowcast.rooms_of(definition) r cross join jsonb_array_elements(r.events) with ordinality as x (e, nth)
    order by r.place, array_position('{insert,update,delete}'::text[], e ->> 'on'), nth
  loop
    definition.room := rule.room;
    branches := branches || format($sql$
      select %1$s as step, %2$L::jsonb as rule, t.room, case when t.room is not null then %3$s end as data
      from (select) one left join (
        select * from (select place, before, after, %4$s as room from found where %5$s offset 0) r
        where %6$s order by place limit 1
      ) t on true$sql$,
      cardinality(branches) + 1, rule.rule, rowcast.payload_sql(definition, rule.rule -> 'payload', rule.side),
      rowcast.room_sql(definition, rule.side),
      coalesce(nullif(concat_ws(' and ', rowcast.meets_sql(definition.condition, rule.side), rowcast.meets_sql(rule.condition, rule.side),
        rowcast.meets_sql(rule.rule ->> 'condition', rule.side)), ''), 'true'),
      rowcast.joinable_sql(rule.room));
  end loop;
  query := format($sql$
    with new_rows as materialized (
      select %1$s from %2$s t where pg_column_size(t.*) <= 65536 %3$s limit 100
    ), found as materialized (
      select row_number() over () as place, after, after as before from (%4$s) x
    )
    select json_build_object('rows', (select count(*) from found), 'examples', (
      select json_agg(json_build_object('on', rule -> 'on', 'columns', rule -> 'columns', 'event', rule -> 'event', 'room', room, 'data', data)
                      order by step)
      from (%5$s) e))$sql$,
    (select string_agg(format('%I', name), ', ' order by place) from unnest(definition.columns) with ordinality as c (name, place)),
    (select format('%I.%I', nspname, relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = relation),
    -- By Postgres's own types alone: comparing others may run code of whoever made them.
    (select 'order by ' || string_agg(format('t.%I desc', attname), ', ' order by array_position(definition.key_columns, attname::text))
     from pg_attribute where attrelid = relation and attname = any (definition.key_columns) having bool_and(atttypid < 16384)),
    case when exists (select from rowcast.lookups_of(definition)) then rowcast.found_rows_sql(definition, 'insert')
         else format('select %s as after from new_rows t', rowcast.json_row_sql(definition)) end,
    array_to_string(branches, ' union all '));
  -- The lookups' functions are made for this alone. What a block with an exception has done is undone.
  if lookups is null then
    execute query into result;
  else
    begin
      execute lookups;
      execute query into result;
      raise exception using errcode = 'RC001';
    exception when sqlstate 'RC001' then
      null;
    end;
  end if;
  return result;
end $$;

-- What attaching would do: the call, the SQL that it runs, what it is in doubt about, the definition and the one that is attached now, and
-- where asked for an example of each event, or why there is none.
create function rowcast.preview(source regclass, arguments jsonb, with_examples boolean default true) returns json
language plpgsql security definer set search_path = pg_catalog, pg_temp set quote_all_identifiers = off as $$
#variable_conflict use_variable
declare
  name text := (select format('%I.%I', nspname, relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = source);
  call text;
  statements text;
  definition rowcast.attached;
  unread text;
  examples json;
begin
  if name is null then
    perform rowcast.refuse('source is null; accepted: the name of a table');
  end if;
  call := rowcast.attach_call(name, arguments);
  execute left(call, -1) || ', dry_run => true)' into statements;
  -- The definition is the last thing that the statements insert. A line can't begin like this within a literal of JSON.
  execute 'select (d).* from (select jsonb_populate_record(null::rowcast.attached, '
    || substring(statements from '.*\ninsert into rowcast\.attached select \* from jsonb_populate_record\(null::rowcast\.attached, (.*)\);$')
    || ') as d) x' into definition;
  if not has_table_privilege(source, 'select') then
    unread := format('%s, who owns the schema rowcast, may not read %s: grant select on %2$s to %1$I', current_user, name);
  elsif row_security_active(source) then
    unread := format('row security may hide rows of %s from %s, who owns the schema rowcast', name, current_user);
  elsif not rowcast.plans_no_code(source) then
    unread := format('an index, a constraint or a statistic of %s runs code of somebody who is no superuser, and would run it as %s, who owns the schema rowcast',
                     name, current_user);
  elsif with_examples then
    examples := rowcast.examples(definition, source);
  end if;
  return json_build_object(
    'source', name, 'call', call || ';', 'sql', statements,
    'notices', (
      select coalesce(json_agg(notice), '[]') from (
        select rowcast.doubtful_room(r.room) as notice from rowcast.rooms_of(definition) r
        union all
        select rowcast.doubts(definition, source, coalesce(nullif(arguments -> 'order_column', 'null'),
                                                           nullif(arguments -> 'order_columns', 'null')) is not null)
      ) notices where notice is not null),
    'definition', to_jsonb(definition),
    'attached', (
      select to_jsonb(a) from rowcast.attached a
      where a.source = name or rowcast.relation_of(a.capture) = source order by a.source = name desc limit 1),
    'unread', unread, 'rows', examples -> 'rows', 'examples', examples -> 'examples');
end $$;
comment on function rowcast.preview is 'what rowcast.attach would do with these arguments, and an example of each event; changes nothing';

revoke all on function rowcast.attach_call, rowcast.examples, rowcast.preview from public;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
