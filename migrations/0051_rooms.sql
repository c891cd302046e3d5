-- Rooms: one table may feed several rooms, each with events of its own, and may take columns of rows that its own rows point to.
--
-- Replaces the generator's functions of 0006_generate.sql and 0011_capture.sql: what they say of themselves still holds, but for what
-- is said here.
--
-- Guarantee: one trigger call and one insert into rowcast.events per statement, however many rooms. One row's events are adjacent: its
--            rooms in the order in which they were given, and in each room as ever.
--            What is looked up is read once per statement, by a unique key. Where the table that is looked up is gone, renamed, or may
--            not be read, nothing is found, and no writer fails: rowcast.sources says so. No code of whoever
--            owns that table runs.
-- Cost:      a table with one room and no lookup gets the trigger that it got before. A lookup is one call per statement, about 10 µs,
--            and one read by index for each of its keys.
-- Rights:    execute is revoked from public. A lookup reads as the owner of this schema.
--
-- What is looked up becomes a member of the row's JSON, by the name of the lookup: rooms, payloads, conditions and {row} take it from
-- there. For  lookups => '{"chat": {"table": "chats"}}'  on a table whose chat_id points to chats (id), the rows of an insert are
--
--   with rows_0 as materialized (select ... as after from new_rows t),
--        found_1 as materialized (
--          select rowcast.lookup_public_messages_1(array_agg(key)) as looked_up
--          from (select after ->> 'chat_id' as key from rows_0 group by 1) k),
--        rows_1 as materialized (
--          select after || jsonb_build_object('chat', (select looked_up from found_1) -> (after ->> 'chat_id')) as after from rows_0)
--   select after from rows_1
--
-- and the function that it calls reads
--
--   select jsonb_object_agg(k.key, jsonb_build_object('jid', ...))
--   from unnest(keys) as k (key) join public.chats c on c.id = k.key::bigint

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

-- A table's rooms, in the order in which they get their events. `suffix` tells the names of their columns apart.
create function rowcast.rooms_of(definition rowcast.attached)
returns table (place bigint, suffix text, room text, condition text, events jsonb)
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select place, case when place = 1 then '' else '_' || place end, r ->> 'room', r ->> 'condition', r -> 'events'
  from jsonb_array_elements(coalesce(definition.rooms,
    jsonb_build_array(jsonb_build_object('room', definition.room, 'events', definition.events)))) with ordinality as x (r, place)
$$;

-- A table's lookups, in an order in which each comes after the one whose column it needs.
create function rowcast.lookups_of(definition rowcast.attached) returns table (place bigint, name text, lookup jsonb)
language sql immutable set search_path = pg_catalog, pg_temp as $$
  with recursive found (depth, name, lookup) as (
    select 1, key, value from jsonb_each(definition.lookups)
    union all
    select found.depth + 1, needed.key, needed.value
    from found cross join jsonb_each(definition.lookups) needed
    where found.depth < 9 and exists (
      select from jsonb_array_elements_text(found.lookup -> 'column') as ours
      cross join lateral rowcast.reference(definition, ours) r
      where ours <> all (definition.columns) and r.lookup = needed.key)
  )
  select row_number() over (order by max(depth) desc, name), name, lookup from found group by name, lookup
$$;

-- The key of a lookup's row, out of ours: the text of one column, or a JSON array of several.
create function rowcast.lookup_key_sql(definition rowcast.attached, lookup jsonb, side text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when count(*) = 1 then min(part) else format('to_json(array[%s])::text', string_agg(part, ', ' order by place)) end
  from (
    select rowcast.member_sql(named.lookup, named.col, side, true) as part, place
    from jsonb_array_elements_text(lookup -> 'column') with ordinality as c (col, place)
    cross join lateral (
      select null as lookup, c.col where c.col = any (definition.columns)
      union all select r.lookup, r.col from rowcast.reference(definition, c.col) r where c.col <> all (definition.columns)
      limit 1) named
  ) parts
$$;

-- A row that was looked up, as jsonb; its table is called c. No code of its types runs: a type that is not Postgres's own is taken as
-- Postgres prints it, also where a column is given such a type later. So is json, which may hold what jsonb refuses.
create function rowcast.found_member_sql(name text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format('case when c.%1$I is distinct from null and pg_column_size(c.%1$I) <= 65536 then case when pg_typeof(c.%1$I)::oid < 16384 '
    'and pg_typeof(c.%1$I)::oid not in (''json''::regtype, ''json[]''::regtype) then to_jsonb(c.%1$I) '
    'else to_jsonb(format(''%%s'', c.%1$I)) end end', name)
$$;

create function rowcast.found_sql(lookup jsonb) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format('jsonb_build_object(%s)', string_agg(format('%L, %s', name, rowcast.found_member_sql(name)), ', ' order by name))
  from jsonb_object_keys(lookup -> 'columns') as name
$$;

-- Which row a key means.
create function rowcast.lookup_join_sql(lookup jsonb, key text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select string_agg(format('c.%I = %s::%s', col,
      case when jsonb_array_length(lookup -> 'key') = 1 then key else format('(%s::jsonb ->> %s)', key, place - 1) end,
      lookup -> 'types' ->> (place::int - 1)), ' and ' order by place)
  from jsonb_array_elements_text(lookup -> 'key') with ordinality as k (col, place)
$$;

-- Whether a read of the table c (of pg_class) runs nobody's code: it is a table and no view, and the types of the key are Postgres's own, or
-- domains over those. Policies of row security are code, too: they are off, which is an error where there are any. A repeatable read
-- transaction may not see that a column was altered, but that the table was rewritten.
create function rowcast.no_code_sql(lookup jsonb) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format($sql$c.relkind = 'r' and c.relfilenode = pg_relation_filenode(c.oid) and not exists (
      select from pg_attribute a join pg_type t on t.oid = a.atttypid
      where a.attrelid = c.oid and a.attname = any (%L) and t.oid >= 16384 and not (t.typtype = 'd' and t.typbasetype < 16384))$sql$,
    array(select jsonb_array_elements_text(lookup -> 'key')))
$$;

-- What a lookup finds where a column of its table is gone: the others. Its table is locked, and runs no code.
create function rowcast.look_up_what_is_left(lookup jsonb, keys text[]) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp set row_security = off as $$
declare
  result jsonb;
begin
  lookup := lookup || jsonb_build_object('columns', (
    select coalesce(jsonb_object_agg(c.key, c.value), '{}') from jsonb_each(lookup -> 'columns') c
    where exists (select from pg_attribute where attrelid = (lookup ->> 'table')::regclass and attname = c.key and not attisdropped)));
  execute format('select jsonb_object_agg(k.key, %s) from unnest($1) as k (key) join %s c on %s',
    rowcast.found_sql(lookup), lookup ->> 'table', rowcast.lookup_join_sql(lookup, 'k.key')) into result using keys;
  return result;
exception
  when lock_not_available or deadlock_detected or serialization_failure then
    raise;
  when others then
    return null;
end $$;

-- The functions of a table's lookups, as SQL to run, without those that it has no more. What a lock, a deadlock or a conflict does is
-- the writer's own.
create function rowcast.lookup_functions_sql(definition rowcast.attached) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select string_agg(statement, E'\n\n' order by place) || E'\n\n' from (
    select place, format($sql$create or replace function rowcast.%1$I(keys text[]) returns jsonb
language plpgsql strict set row_security = off as $lookup$
begin
  lock table %3$s in access share mode;
  if not (select %7$s from pg_class c where c.oid = %8$L::regclass) then
    return null;
  end if;
  return (
    select jsonb_object_agg(k.key, %2$s)
    from unnest(keys) as k (key)
    join %3$s c on %4$s);
exception
  when lock_not_available or deadlock_detected or serialization_failure then
    raise;
  when undefined_column then
    return rowcast.look_up_what_is_left(%6$L, keys);
  when others then
    return null;
end $lookup$;
revoke all on function rowcast.%1$I(text[]) from public;
comment on function rowcast.%1$I(text[]) is %5$L;$sql$,
      'lookup_' || definition.capture || '_' || place, rowcast.found_sql(lookup), lookup ->> 'table',
      rowcast.lookup_join_sql(lookup, 'k.key'),
      format('Rowcast: looks up %s for %s', lookup ->> 'table', definition.source), lookup, rowcast.no_code_sql(lookup),
      lookup ->> 'table') as statement
    from rowcast.lookups_of(definition)
    union all
    select 100, format('drop function rowcast.%I(text[]);', proname)
    from pg_proc
    where pronamespace = 'rowcast'::regnamespace
      and proname ~ ('^lookup_' || definition.capture || '_[0-9]$')
      and substring(proname from '[0-9]$')::int > (select count(*) from rowcast.lookups_of(definition))
  ) statements
$$;

-- The rows of a statement as jsonb: "after", "before", or both with their place; with what was looked up.
create function rowcast.found_rows_sql(definition rowcast.attached, operation text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  json_row text := rowcast.json_row_sql(definition);
  sides text[] := case operation when 'insert' then '{after}' when 'delete' then '{before}' else '{before,after}' end;
  place text := case operation when 'update' then 'place, ' else '' end;
  result text := case operation
    when 'insert' then format('select %s as after from new_rows t', json_row)
    when 'delete' then format('select %s as before from old_rows t', json_row)
    else format($sql$select place, before, after
      -- One call of the executor fills both tables, so position pairs the rows, even when keys change.
      -- FULL, because a full join never runs as a nested loop, and the plan is kept for updates of any size.
      from (select row_number() over () as place, %1$s as before from old_rows t) b
      full join (select row_number() over () as place, %1$s as after from new_rows t) a using (place)$sql$, json_row) end;
  lookup record;
begin
  result := format('with rows_0 as materialized (%s)', result);
  for lookup in select l.place, l.name, l.lookup from rowcast.lookups_of(definition) l order by l.place loop
    result := result || format($sql$, found_%1$s as materialized (
        select rowcast.%2$I(array_agg(key)) as looked_up from (%3$s) k
      ), rows_%1$s as materialized (
        select %4$s%5$s from rows_%6$s
      )$sql$, lookup.place, 'lookup_' || definition.capture || '_' || lookup.place,
      (select string_agg(format('select %s as key from rows_%s', rowcast.lookup_key_sql(definition, lookup.lookup, side), lookup.place - 1),
                         ' union ' order by nth) || case when cardinality(sides) = 1 then ' group by 1' else '' end
       from unnest(sides) with ordinality as s (side, nth)),
      place,
      (select string_agg(format('%1$s || jsonb_build_object(%2$L, (select looked_up from found_%3$s) -> (%4$s)) as %1$s', side, lookup.name,
                                lookup.place, rowcast.lookup_key_sql(definition, lookup.lookup, side)), ', ' order by nth)
       from unnest(sides) with ordinality as s (side, nth)),
      lookup.place - 1);
  end loop;
  return result || format(' select %s%s from rows_%s', place, array_to_string(sides, ', '), (select count(*) from rowcast.lookups_of(definition)));
end $$;

-- Whether a row meets a condition. Where the path can't be evaluated, @@ gives null and raises no error.
create function rowcast.meets_sql(condition text, side text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format('(%s @@ %L) is true', side, condition) where condition is not null
$$;

-- The rows of a statement that may cause events, with their rooms. An update has each row before and after.
create or replace function rowcast.rows_sql(definition rowcast.attached, operation text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  json_row text := rowcast.json_row_sql(definition);
  has_lookups boolean := exists (select from rowcast.lookups_of(definition));
  side text := case operation when 'delete' then 'before' else 'after' end;
  transition text := case operation when 'delete' then 'old_rows' else 'new_rows' end;
  room record;
  expressions text[] := '{}';
  stays text[] := '{}';
begin
  for room in select r.* from rowcast.rooms_of(definition) r order by r.place loop
    definition.room := room.room;
    if operation <> 'update' then
      expressions := expressions || format('%s as room_%s%s', rowcast.room_sql(definition, side), side, room.suffix);
    else
      expressions := expressions || format(E'%1$s as was_in%2$s, %3$s as is_in%2$s,\n                   %4$s as room_before%2$s,\n                   %5$s as room_after%2$s',
        coalesce(nullif(concat_ws(' and ', rowcast.meets_sql(definition.condition, 'before'), rowcast.meets_sql(room.condition, 'before')), ''), 'true'),
        room.suffix,
        coalesce(nullif(concat_ws(' and ', rowcast.meets_sql(definition.condition, 'after'), rowcast.meets_sql(room.condition, 'after')), ''), 'true'),
        rowcast.room_sql(definition, 'before'), rowcast.room_sql(definition, 'after'));
      stays := stays || format('was_in%1$s and is_in%1$s and room_before%1$s is not distinct from room_after%1$s as stays%1$s', room.suffix);
    end if;
  end loop;
  if operation <> 'update' then
    return format($sql$
      select %1$s, %2$s
      from (%3$s offset 0) t
      where %4$s$sql$, side, array_to_string(expressions, ', '),
      case when has_lookups then rowcast.found_rows_sql(definition, operation)
           else format('select %s as %s from %s t', json_row, side, transition) end,
      coalesce(rowcast.meets_sql(definition.condition, side), 'true'));
  end if;
  return format($sql$
      select *, %1$s
      from (select place, before, after, %2$s
      %3$s
      offset 0) t$sql$, array_to_string(stays, ', '), array_to_string(expressions, E',\n                   '),
    case when has_lookups then format('from (%s) t', rowcast.found_rows_sql(definition, operation))
    else format($sql$-- One call of the executor fills both tables, so position pairs the rows, even when keys change.
      -- FULL, because a full join never runs as a nested loop, and the plan is kept for updates of any size.
      from (select row_number() over () as place, %1$s as before from old_rows t) b
      full join (select row_number() over () as place, %1$s as after from new_rows t) a using (place)$sql$, json_row) end);
end $$;

-- When an event is caused; null for always. For those who listen in a room, a row that leaves it (or no longer meets the condition) is a
-- delete, and a row that enters is an insert. The rules for updates are for rows that stay.
create function rowcast.cause_sql(operation text, rule jsonb, suffix text, condition text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select nullif(concat_ws(' and ',
    case when operation <> 'update' then rowcast.meets_sql(condition, side)
      when rule ->> 'on' = 'delete' then format('was_in%1$s and not stays%1$s and room_before%1$s is not null', suffix)
      when rule ->> 'on' = 'insert' then format('is_in%1$s and not stays%1$s', suffix)
      else format('stays%s and (%s)', suffix, (
        select string_agg(format('before -> %1$L is distinct from after -> %1$L', name), E'\n        or ' order by place)
        from jsonb_array_elements_text(rule -> 'columns') with ordinality as c (name, place))) end,
    rowcast.meets_sql(rule ->> 'condition', side)), '')
  from (select case rule ->> 'on' when 'delete' then 'before' else 'after' end as side) s
$$;

-- Whether `room` is one that a client may join, for all rooms of a table.
create function rowcast.joinable_sql(definition rowcast.attached) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when count(distinct test) = 1 then min(test) else rowcast.joinable_sql('{any}') end
  from (select rowcast.joinable_sql(r.room) as test from rowcast.rooms_of(definition) r) tests
$$;

-- The one statement that a trigger runs.
create or replace function rowcast.capture_sql(definition rowcast.attached, operation text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  rule record;
  payload text;
  payloads text[] := '{}';
  events text[] := '{}';
  rows text := rowcast.rows_sql(definition, operation);
  -- Whether a row that moved from one room to another says so: by a member of the payloads that are ours.
  says_moved boolean := false;
  moved text;
  joinable text := rowcast.joinable_sql(definition);
begin
  for rule in
    select r.room, r.suffix, r.condition, e as rule, e ->> 'event' as event, e -> 'payload' as payload,
           case e ->> 'on' when 'delete' then 'before' else 'after' end as side
    from rowcast.rooms_of(definition) r cross join jsonb_array_elements(r.events) with ordinality as x (e, nth)
    where e ->> 'on' = operation or operation = 'update'
    order by r.place, array_position(array['delete', 'insert', 'update'], e ->> 'on'), nth
  loop
    definition.room := rule.room;
    -- Each payload stands in the text once, however many events carry it: a writer pays for every expression.
    payload := rowcast.payload_sql(definition, rule.payload, rule.side);
    if payload <> all (payloads) then
      payloads := payloads || payload;
    end if;
    moved := null;
    if operation = 'update' then
      moved := ', false as moved';
      if rule.rule ->> 'on' <> 'update' and (rule.payload = '{"message": "{row}", "contactId": "{contactId}"}'
          or rule.payload ?& '{messageId,contactId}' and rule.payload - '{messageId,contactId}'::text[] = '{}') then
        says_moved := true;
        moved := format(', was_in%1$s and is_in%1$s as moved', rule.suffix);
      end if;
    end if;
    events := events || (format('      select %s as step, room_%s%s as room, %L as event, %s as origin, %s as payload',
        cardinality(events) + 1, rule.side, rule.suffix, rule.event, rule.side, array_position(payloads, payload)) || coalesce(moved, '')
      || coalesce(E'\n      where ' || rowcast.cause_sql(operation, rule.rule, rule.suffix, rule.condition), ''));
  end loop;

  return format($sql$  insert into rowcast.events (room, event, data, source)
  select case when %7$s then room end,
         event,
         case when %7$s and not origin ? 'rowcast:careful, a member with a name that no column of a table can have' then data
              else rowcast.unusual(case when %7$s then room end, data, origin, %1$L, %2$L) end,
         %1$L
  from (%8$s
    select e.room, e.event, e.origin,%9$s
           case e.payload
%3$s
           end as data
    from (%4$s
    ) t
    cross join lateral (
%5$s
    ) e
    %6$s%10$s
  ) e;$sql$,
    definition.source,
    definition.key_columns,
    (select string_agg(format('             when %s then %s', place, expression), E'\n' order by place)
     from unnest(payloads) with ordinality as p (expression, place)),
    rows,
    replace(array_to_string(events, E'\n      union all\n'), case when says_moved then '' else ', false as moved' end, ''),
    -- The full join of an update may return its rows in another order. Inserted and deleted rows come as they were written.
    case operation when 'update' then 'order by t.place, e.step' else 'offset 0' end,
    joinable,
    case when says_moved then E'\n    select room, event, origin, '
      || E'case when moved then (left(data::text, -1) || \',"moved":true}\')::json else data end as data\n    from (' else '' end,
    case when says_moved then ' e.moved,' else '' end,
    case when says_moved then ') e' else '' end);
end $$;

-- Whether a definition needs a trigger for an operation. An update can move a row into a room or out of it, and can make a
-- condition true or false, even if no event is for updates.
create or replace function rowcast.captures(definition rowcast.attached, operation text) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select definition.events @> jsonb_build_array(jsonb_build_object('on', operation))
    or operation = 'update' and (definition.room_columns <> '{}' or definition.condition is not null
      or exists (select from rowcast.rooms_of(definition) r
                 where r.condition is not null
                    or exists (select from rowcast.pieces(r.room) p where p.name is not null)))
$$;

-- The template of the primary key, as payloads write it; null where there is none.
create function rowcast.key_template(definition rowcast.attached) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select string_agg(rowcast.placeholder(name), ':' order by place) from unnest(definition.key_columns) with ordinality as k (name, place)
$$;

-- The members of a row as history shows it, and what each shows: a column of the table's, or, where `col` is null, the key. `template` is
-- what the events have as "message".
create function rowcast.shown_members(definition rowcast.attached, template jsonb) returns table (member text, col text)
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select m.member, m.col from rowcast.row_members(definition, 'after') m
  where template is null and (m.col is not null or m.member = 'id')
  union all
  select key, named.col
  from jsonb_each(template) left join lateral (
    select r.col from rowcast.placeholders(value) p cross join lateral rowcast.reference(definition, p.name) r
    where p.alone and r.lookup is null limit 1) named on true
  where jsonb_typeof(template) = 'object' and jsonb_typeof(value) = 'string'
    and (named.col is not null or value #>> '{}' = rowcast.key_template(definition))
$$;

-- What history reads: each room that message:new goes to. One expression makes the row for events and for history; where the events have
-- another "message" than {row}, history has that. {at} is null there: when a row was written isn't known any more.
create function rowcast.feeds_of(definition rowcast.attached) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  feed record;
  template jsonb;
  key text[];
  sorted text[];
  feeds jsonb := '[]';
  lookup record;
  lookups jsonb := '[]';
begin
  -- What is looked up, as parts of a query over r.after, which has what was looked up before.
  for lookup in select l.* from rowcast.lookups_of(definition) l order by l.place loop
    lookups := lookups || jsonb_build_array(jsonb_build_object(
      'no_code', rowcast.no_code_sql(lookup.lookup), 'name', lookup.name, 'table', lookup.lookup ->> 'table', 'key', lookup.lookup -> 'key', 'types', lookup.lookup -> 'types',
      'own', case when (lookup.lookup -> 'column') <@ to_jsonb(definition.columns) then lookup.lookup -> 'column' end,
      'members', (select jsonb_object_agg(name, rowcast.found_member_sql(name)) from jsonb_object_keys(lookup.lookup -> 'columns') as name),
      'join', rowcast.lookup_join_sql(lookup.lookup, '(' || rowcast.lookup_key_sql(definition, lookup.lookup, 'r.after') || ')')));
  end loop;
  for feed in
    select r.place, r.room, r.condition, jsonb_agg(e order by nth) as rules
    from rowcast.rooms_of(definition) r cross join jsonb_array_elements(r.events) with ordinality as x (e, nth)
    where e ->> 'on' = 'insert' and e ->> 'event' = 'message:new'
    group by r.place, r.room, r.condition order by r.place
  loop
    definition.room := feed.room;
    template := feed.rules -> 0 -> 'payload' -> 'message';
    if jsonb_typeof(template) <> 'object' then
      template := null;
    end if;
    key := coalesce(
      (select array[min(m.member)] from rowcast.shown_members(definition, template) m
       where m.col is null or definition.key_columns = array[m.col] having count(*) > 0),
      (select array_agg(found.member order by k.place)
       from unnest(definition.key_columns) with ordinality as k (name, place)
       left join lateral (select min(m.member) as member from rowcast.shown_members(definition, template) m where m.col = k.name) found on true
       having bool_and(found.member is not null)), '{}');
    -- As far as the members go. A word sorts in another way than what it stands for.
    sorted := array(
      select member from (
        select min(m.member) as member, min(s.place) as place, bool_and(bool_and(m.member is not null)) over (order by min(s.place)) as known
        from unnest(coalesce(definition.order_columns, array_remove(array[definition.order_column], null)) || definition.key_columns)
          with ordinality as s (name, place)
        left join rowcast.shown_members(definition, template) m
          on m.col = s.name and definition.words -> s.name is null and definition.defaults -> s.name is null
        group by s.name
      ) sorts where known order by place);
    feeds := feeds || jsonb_build_array(jsonb_build_object(
      'room', feed.room,
      'columns', (
        select coalesce(jsonb_agg(jsonb_build_object('placeholder', p.name, 'lookup', n.lookup, 'column', n.col,
                 'is_plain', definition.words -> rowcast.told_name(n.lookup, n.col) is null
                             and definition.defaults -> rowcast.told_name(n.lookup, n.col) is null)), '[]')
        from rowcast.pieces(feed.room) p cross join lateral rowcast.reference(definition, p.name) n),
      'room_sql', rowcast.room_sql(definition, 'after'),
      'belongs_sql', coalesce(nullif(concat_ws(' and ', rowcast.meets_sql(definition.condition, 'after'), rowcast.meets_sql(feed.condition, 'after'),
        (select '(' || string_agg(rowcast.meets_sql(rule ->> 'condition', 'after'), ' or ') || ')'
         from jsonb_array_elements(feed.rules) as rule having bool_and(rule ? 'condition'))), ''), 'true'),
      'row_sql', case when template is null then rowcast.row_sql(definition, 'after')
        else replace(rowcast.payload_sql(definition, template, 'after'), rowcast.placeholder_sql(definition, 'at', 'after'), 'null::text') end,
      'key_sql', rowcast.key_sql(definition, 'after'),
      'key', key, 'order', sorted, 'lookups', lookups,
      'id_column', (select min(m.col) from rowcast.shown_members(definition, template) m where m.member = 'id' and key <> '{id}')));
  end loop;
  return feeds;
end $$;

-- As in 0013_regenerate.sql, with what history reads and what is looked up.
create or replace function rowcast.regenerate() returns void
language plpgsql set search_path = pg_catalog, pg_temp set quote_all_identifiers = off as $$
declare
  definition rowcast.attached;
  operation text;
  lookups text;
begin
  for definition in select a.* from rowcast.attached a order by a.source loop
    definition.forms := coalesce(definition.forms, rowcast.forms_of(coalesce(rowcast.relation_of(definition.capture),
      (select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where array[nspname, relname]::text[] = parse_ident(definition.source)))));
    update rowcast.attached a
    set forms = definition.forms, row_sql = rowcast.row_sql(definition, 'after'), feeds = rowcast.feeds_of(definition)
    where a.source = definition.source;
    lookups := rowcast.lookup_functions_sql(definition);
    if lookups is not null then
      execute lookups;
    end if;
    foreach operation in array array['insert', 'update', 'delete'] loop
      if exists (select from pg_proc where pronamespace = 'rowcast'::regnamespace
                 and proname = rowcast.capture_name(definition, operation)) then
        execute rowcast.function_sql(definition, operation);
      end if;
    end loop;
  end loop;
end $$;

-- A row that was written by an earlier version, such as that of a dry run, says nothing of these.
create function rowcast.complete_source() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  new.forms := coalesce(new.forms, rowcast.forms_of((
    select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where array[nspname, relname]::text[] = parse_ident(new.source))));
  new.row_sql := rowcast.row_sql(new, 'after');
  new.feeds := rowcast.feeds_of(new);
  return new;
end $$;

create trigger complete before insert on rowcast.attached
for each row when (new.feeds is null) execute function rowcast.complete_source();

-- Nothing calls these any more.
drop function rowcast.room_sql(text, text);
drop function rowcast.contact_sql(text, text);
drop function rowcast.update_condition_sql(text, text[]);

revoke all on function rowcast.rooms_of, rowcast.lookups_of, rowcast.lookup_key_sql, rowcast.found_member_sql, rowcast.found_sql, rowcast.lookup_join_sql,
  rowcast.no_code_sql, rowcast.look_up_what_is_left, rowcast.lookup_functions_sql, rowcast.found_rows_sql, rowcast.meets_sql, rowcast.cause_sql, rowcast.joinable_sql(rowcast.attached),
  rowcast.key_template, rowcast.shown_members, rowcast.feeds_of, rowcast.complete_source from public;

select rowcast.regenerate();

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
