-- Generate: writes the trigger functions of a source from its definition.
--
-- Guarantee: one insert into rowcast.events per statement; a row's events are adjacent and in the order of the rules.
-- Cost:      per row written, its JSON once (twice for an update: before and after) and each payload once.
-- Rights:    generated functions run as the owner of this schema with a fixed search_path, so writers need
--            no right on it; execute is revoked from public.

-- A transition table's row as jsonb. Below 16 kB stored, no compression of Postgres's reaches a limit of jsonb.
create function rowcast.json_row_sql(definition rowcast.attached) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when definition.careful then format('rowcast.careful_row(t, %L)', definition.capture)
    else format('case when pg_column_size(t) <= 16384 then to_jsonb(t) else rowcast.careful_row(t, %L) end',
                definition.capture)
  end
$$;

-- The rows of a statement that may cause events. An update has both sides of each.
create function rowcast.rows_sql(definition rowcast.attached, operation text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  json_row text := rowcast.json_row_sql(definition);
  room_before text := rowcast.room_sql(definition.room, 'before');
  room_after text := rowcast.room_sql(definition.room, 'after');
  -- @@ gives null where a path can't be evaluated; it raises nothing.
  matches text := coalesce('(%s @@ ' || replace(quote_literal(definition.condition), '%', '%%') || ') is true', 'true');
begin
  return case operation
    when 'insert' then format($sql$
      select after, %s as room_after
      from (select %s as after from new_rows t offset 0) t
      where %s$sql$, room_after, json_row, format(matches, 'after'))
    when 'delete' then format($sql$
      select before, %s as room_before
      from (select %s as before from old_rows t offset 0) t
      where %s$sql$, room_before, json_row, format(matches, 'before'))
    else format($sql$
      select *, was_in and is_in and room_before is not distinct from room_after as stays
      from (select place, before, after, %s as was_in, %s as is_in,
                   %s as room_before,
                   %s as room_after
      -- One call of the executor fills both tables, so position pairs the rows, even when keys change.
      -- FULL, because a full join never runs as a nested loop, and the plan is kept for updates of any size.
      from (select row_number() over () as place, %s as before from old_rows t) b
      full join (select row_number() over () as place, %s as after from new_rows t) a using (place)
      offset 0) t$sql$, format(matches, 'before'), format(matches, 'after'), room_before, room_after, json_row, json_row)
  end;
end $$;

-- When an update causes the event of a rule. Leaving a room, or the condition, is a delete for those who
-- listen there; entering is an insert; a rule of updates is for rows that stay.
create function rowcast.update_condition_sql(operation text, columns text[]) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case operation
    when 'delete' then 'was_in and not stays and room_before is not null'
    when 'insert' then 'is_in and not stays'
    else 'stays and ('
      || (select string_agg(format('before -> %1$L is distinct from after -> %1$L', name), E'\n        or ' order by place)
          from unnest(columns) with ordinality as c (name, place)) || ')'
  end
$$;

-- The statement that a capture function runs.
create function rowcast.capture_sql(definition rowcast.attached, operation text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  rule record;
  payload text;
  payloads text[] := '{}';
  events text[] := '{}';
begin
  for rule in
    select e ->> 'on' as operation, e ->> 'event' as event, e -> 'payload' as payload,
           case e ->> 'on' when 'delete' then 'before' else 'after' end as side,
           array(select jsonb_array_elements_text(e -> 'columns')) as columns
    from jsonb_array_elements(definition.events) with ordinality as x (e, place)
    where e ->> 'on' = operation or operation = 'update'
    order by array_position(array['delete', 'insert', 'update'], e ->> 'on'), place
  loop
    -- Each payload is written once, however many events carry it: a writer pays for every expression.
    payload := rowcast.payload_sql(definition, rule.payload, rule.side);
    if payload <> all (payloads) then
      payloads := payloads || payload;
    end if;
    events := events || (format('      select %s as step, room_%s as room, %L as event, %s as origin, %s as payload',
        cardinality(events) + 1, rule.side, rule.event, rule.side, array_position(payloads, payload))
      || case when operation = 'update'
              then E'\n      where ' || rowcast.update_condition_sql(rule.operation, rule.columns) else '' end);
  end loop;

  return format($sql$  insert into rowcast.events (room, event, data, source)
  select case when octet_length(room) between 1 and 2048 then room end,
         event,
         case when octet_length(room) between 1 and 2048 and not origin ? 'rowcast:careful' then data
              else rowcast.unusual(room, data, origin, %1$L, %2$L) end,
         %1$L
  from (
    select e.room, e.event, e.origin,
           case e.payload
%3$s
           end as data
    from (%4$s
    ) t
    cross join lateral (
%5$s
    ) e
    %6$s
  ) e;$sql$,
    definition.source,
    definition.key_columns,
    (select string_agg(format('             when %s then %s', place, expression), E'\n' order by place)
     from unnest(payloads) with ordinality as p (expression, place)),
    rowcast.rows_sql(definition, operation),
    array_to_string(events, E'\n      union all\n'),
    -- A hash join may return its rows in another order; without one they come as they were written.
    case operation when 'update' then 'order by t.place, e.step' else 'offset 0' end);
end $$;

create function rowcast.capture_name(definition rowcast.attached, operation text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select 'capture_' || definition.capture || '_' || operation
$$;

-- timezone, so that a time reads the same whoever writes it. jit, because one large statement would have every later,
-- small one of its session compiled.
create function rowcast.trigger_sql(definition rowcast.attached, operation text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format($sql$create or replace function rowcast.%1$I() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' set jit = off as $capture$
begin
%2$s
  return null;
end $capture$;
revoke all on function rowcast.%1$I() from public;
comment on function rowcast.%1$I() is %3$L;
create or replace trigger %4$I after %5$s on %6$s
referencing %7$s
for each statement execute function rowcast.%1$I();$sql$,
    rowcast.capture_name(definition, operation),
    rowcast.capture_sql(definition, operation),
    format('Rowcast: captures each %s of %s', operation, definition.source),
    'rowcast_' || operation, operation, definition.source,
    case operation when 'insert' then 'new table as new_rows' when 'delete' then 'old table as old_rows'
                   else 'old table as old_rows new table as new_rows' end)
$$;

-- Whether a source needs a trigger for an operation: an update can move a row between rooms.
create function rowcast.captures(definition rowcast.attached, operation text) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select definition.events @> jsonb_build_array(jsonb_build_object('on', operation))
    or operation = 'update' and (definition.room_columns <> '{}' or definition.condition is not null)
$$;

revoke all on all functions in schema rowcast from public;
