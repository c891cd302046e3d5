-- Generate: writes the triggers of an attached table from its definition.
--
-- Guarantee: one insert into rowcast.events per statement. One row's events are adjacent, in the order of the rules.
-- Cost:      per row written, its JSON once (twice for an update: before and after) and each payload once.
-- Rights:    generated functions run as the owner of this schema with a fixed search_path, so writers need no right on the
--            schema; execute is revoked from public.
--
-- Everything below only puts this text together. For
--
--   create table wa_messages (id bigint primary key, customer_id text not null, body text not null);
--   select rowcast.attach('wa_messages', room => 'conversation:{customer_id}', on_insert => 'message:new');
--
-- it writes this trigger for inserts, with other line breaks (a test holds the two equal):
--
--   create or replace function rowcast.capture_public_wa_messages_insert() returns trigger
--   language plpgsql security definer
--   set search_path = pg_catalog, pg_temp set timezone = 'UTC' set jit = off as $capture$
--   begin
--     insert into rowcast.events (room, event, data, source)
--     select case when octet_length(room) between 1 and 2048 then room end,
--            event,
--            case when octet_length(room) between 1 and 2048 and not origin ? 'rowcast:careful' then data
--                 else rowcast.unusual(room, data, origin, 'public.wa_messages', '{id}') end,
--            'public.wa_messages'
--     from (
--       select e.room, e.event, e.origin,
--              case e.payload
--                when 1 then (
--                  select row_to_json(o) from (
--                    select (
--                      select row_to_json(o) from (
--                        select after ->> 'id' as id, after ->> 'customer_id' as "customerId", after -> 'body' as body
--                      ) o
--                    ) as message, (after ->> 'customer_id') as "contactId"
--                  ) o)
--              end as data
--       from (
--         select after, 'conversation:' || (after ->> 'customer_id') as room_after
--         from (
--           select case when pg_column_size(t.*) <= 16384 then to_jsonb(t.*)
--                       else rowcast.careful_row(t.*, 'public_wa_messages') end as after
--           from new_rows t offset 0) t
--         where true
--       ) t
--       cross join lateral (
--         select 1 as step, room_after as room, 'message:new' as event, after as origin, 1 as payload
--       ) e
--       offset 0
--     ) e;
--     return null;
--   end $capture$;
--   revoke all on function rowcast.capture_public_wa_messages_insert() from public;
--   comment on function rowcast.capture_public_wa_messages_insert() is
--     'Rowcast: captures each insert of public.wa_messages';
--   create or replace trigger rowcast_insert after insert on public.wa_messages
--   referencing new table as new_rows
--   for each statement execute function rowcast.capture_public_wa_messages_insert();
--
-- Read it from the inside out: the inserted rows as jsonb, each with its room (rows_sql below); each row joined with the events
-- that it causes, here one (capture_sql); the payload of each event (payload_sql in 0005_template.sql); and, outermost, the
-- events that are unusual (0004_capture.sql). `offset 0` keeps the planner from computing an expression once per use.
-- The same call writes a trigger for updates, because an update may move a row into a room. That one has each row before
-- and after, and a condition for each event.

-- A row of a transition table as jsonb; the size is explained in 0004_capture.sql. `t.*` is the whole row even where a column
-- is called t, which `t` alone would not be.
create function rowcast.json_row_sql(definition rowcast.attached) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when definition.careful then format('rowcast.careful_row(t.*, %L)', definition.capture)
    else format('case when pg_column_size(t.*) <= 16384 then to_jsonb(t.*) else rowcast.careful_row(t.*, %L) end',
                definition.capture)
  end
$$;

-- The rows of a statement that may cause events, with their rooms. An update has each row before and after.
create function rowcast.rows_sql(definition rowcast.attached, operation text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  json_row text := rowcast.json_row_sql(definition);
  room_before text := rowcast.room_sql(definition.room, 'before');
  room_after text := rowcast.room_sql(definition.room, 'after');
  -- Where the path can't be evaluated, @@ gives null and raises no error.
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

-- When an update causes an event. For those who listen in a room, a row that leaves it (or no longer meets the condition) is a
-- delete, and a row that enters is an insert. The rules for updates are for rows that stay.
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

-- The one statement that a trigger runs.
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
    -- Each payload stands in the text once, however many events carry it: a writer pays for every expression.
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
    -- The full join of an update may return its rows in another order. Inserted and deleted rows come as they were written.
    case operation when 'update' then 'order by t.place, e.step' else 'offset 0' end);
end $$;

-- The name of the function of a trigger.
create function rowcast.capture_name(definition rowcast.attached, operation text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select 'capture_' || definition.capture || '_' || operation
$$;

-- A trigger with its function, as SQL to run. timezone is set so that a time reads the same whoever writes it; jit is off
-- because the plan is kept: after one large statement every later, small one of the session would be compiled.
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

-- Whether a definition needs a trigger for an operation. An update can move a row into a room or out of it, and can make the
-- condition true or false, even if no event is for updates.
create function rowcast.captures(definition rowcast.attached, operation text) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select definition.events @> jsonb_build_array(jsonb_build_object('on', operation))
    or operation = 'update' and (definition.room_columns <> '{}' or definition.condition is not null)
$$;

revoke all on all functions in schema rowcast from public;
