-- Keys: a row whose key changes is another one for whoever shows it. And a lookup is planned once, not for each statement.
--
-- Replaces rowcast.capture_sql, rowcast.cause_sql and rowcast.lookup_functions_sql of 0051_rooms.sql: what they say of themselves still holds,
-- but for what is said here.
--
-- Guarantee: a client that knows rows by their keys shows what is there: an update that changes the key is a delete of the old key and an
--            insert of the new one, with "moved", in each room that tells of both. In another room it is an update, as ever.
-- Cost:      an update compares the key's columns of each row before and after, some 0.3 µs for each event that it may cause. Inserts and
--            deletes pay nothing. A lookup costs a statement some 50 µs, and each of its keys one read by index, 2 µs.
-- Rights:    as there.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

-- Whether a row keeps its key, where a room tells of rows that come and go; null where nobody asks.
create function rowcast.keeps_key_sql(definition rowcast.attached, events jsonb) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select string_agg(format('before -> %1$L is not distinct from after -> %1$L', name), ' and ' order by place)
  from unnest(definition.key_columns) with ordinality as k (name, place)
  where events @> '[{"on": "insert"}, {"on": "delete"}]'
$$;

-- When an event is caused; null for always. For those who listen in a room, a row that leaves it (or no longer meets the condition) is a
-- delete, and a row that enters is an insert. The rules for updates are for rows that stay, and keep their key.
create function rowcast.cause_sql(operation text, rule jsonb, suffix text, condition text, keeps_key text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select nullif(concat_ws(' and ',
    case when operation <> 'update' then rowcast.meets_sql(condition, side)
      when rule ->> 'on' = 'delete' then format('was_in%1$s and not (%2$s) and room_before%1$s is not null', suffix, stays)
      when rule ->> 'on' = 'insert' then format('is_in%1$s and not (%2$s)', suffix, stays)
      else format('%s and (%s)', stays, (
        select string_agg(format('before -> %1$L is distinct from after -> %1$L', name), E'\n        or ' order by place)
        from jsonb_array_elements_text(rule -> 'columns') with ordinality as c (name, place))) end,
    rowcast.meets_sql(rule ->> 'condition', side)), '')
  from (select case rule ->> 'on' when 'delete' then 'before' else 'after' end as side,
               concat_ws(' and ', 'stays' || suffix, keeps_key) as stays) s
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
    select r.room, r.suffix, r.condition, rowcast.keeps_key_sql(definition, r.events) as keeps_key, e as rule, e ->> 'event' as event, e -> 'payload' as payload,
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
      || coalesce(E'\n      where ' || rowcast.cause_sql(operation, rule.rule, rule.suffix, rule.condition, rule.keeps_key), ''));
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

-- The functions of a table's lookups, as SQL to run, without those that it has no more. What a lock, a deadlock or a conflict does is
-- the writer's own. Its plans are made once for a connection, and read by the key's index whatever the statistics say: else Postgres plans anew
-- for each statement, which costs five times what the read does.
create or replace function rowcast.lookup_functions_sql(definition rowcast.attached) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select string_agg(statement, E'\n\n' order by place) || E'\n\n' from (
    select place, format($sql$create or replace function rowcast.%1$I(keys text[]) returns jsonb
language plpgsql strict set row_security = off set plan_cache_mode = force_generic_plan
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $lookup$
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

drop function rowcast.cause_sql(text, jsonb, text, text);

revoke all on function rowcast.keeps_key_sql, rowcast.cause_sql from public;

select rowcast.regenerate();
-- A later migration may alter the table in the same transaction.
set constraints rowcast.remember_code immediate;
set constraints rowcast.remember_code deferred;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
