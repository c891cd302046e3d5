-- Capture: writes the triggers of an attached table from its definition.
--
-- Guarantee: one trigger call and one insert into rowcast.events per statement, however many rooms. One row's events are adjacent: its
--            rooms in the order in which they were given, and in each room in the order of the rules.
--            No name of ours can be a name of theirs: an alias of ours that stands for a row is written `o.*`, which is the row
--            even where a column is called o; and the member that marks a row is longer than a column's name can be.
--            A row becomes jsonb without an error whatever columns the table has been given since it was attached.
--            A value reads the same whoever writes it: what decides how values become text is set by the function.
--            A client that knows rows by their keys shows what is there: an update that changes the key is a delete of the old key and an
--            insert of the new one, with "moved", in each room that tells of both. In another room it is an update.
--            A TRUNCATE removes rows without reading them, so nobody can say which. One event names the rooms that the table may have had
--            rows of, as patterns, and each server tells whoever is in one of them to load it again, once. A transaction has one such
--            event of a source, after all that it wrote before: whoever loads a room again does so after the commit.
-- Cost:      per row written, its JSON once (twice for an update: before and after) and each payload once. An update compares the key's
--            columns of each row before and after, some 0.3 µs for each event that it may cause.
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
--     select room,
--            'message:new',
--            case when room is not null
--                      and not origin ? 'rowcast:careful, a member with a name that no column of a table can have'
--                 then data
--                 else rowcast.unusual(room, data, origin, 'public.wa_messages', '{id}') end,
--            'public.wa_messages'
--     from (
--       select after as origin, case when octet_length(room_after) between 14 and 513 then room_after end as room,
--              row_to_json(rowcast_payload.*) as data
--       from (
--         select after, 'conversation:' || (after ->> 'customer_id') as room_after
--         from (
--           select case when rowcast.is_plain('public_wa_messages', false) and pg_column_size(t.*) <= 16384 then to_jsonb(t.*)
--                       else rowcast.styled_row(t.*, 'public_wa_messages') end as after
--           from new_rows t offset 0) t
--         where true
--       ) t
--       cross join lateral (
--         select after ->> 'id' as id, after ->> 'customer_id' as "customerId", after -> 'body' as body
--       ) rowcast_row
--       cross join lateral (
--         select rowcast_row as message, (after ->> 'customer_id') as "contactId"
--       ) rowcast_payload
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
-- Read it from the inside out: the inserted rows as jsonb, each with its room (rows_sql below); {row}, and the payload with it
-- (row_members and members_sql in 0007_values.sql); and, outermost, the events that are unusual (0008_unusual.sql). `offset 0` keeps
-- the planner from computing an expression once per use. The same call writes a trigger for updates, because an update may move a row
-- into a room. That one has each row before and after, and joins each with the events that it may cause, with a condition and a payload
-- (payload_sql) for each; so has every trigger whose rows may cause more than one event (capture_sql).

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

-- Whether the triggers set each setting that decides how a value becomes text. Every one costs each statement about 1 µs, so a table whose
-- values need none of them but the time zone goes without; when it is given a column that does, rowcast.styled_row sets them for each row.
create function rowcast.sets_style(definition rowcast.attached) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(definition.tree, true) or coalesce(definition.by_row, true)
    or exists (select from rowcast.lookups_of(definition))
    or coalesce((
      select bool_or(rowcast.is_styled(a.atttypid))
      from pg_attribute a
      where a.attnum > 0 and not a.attisdropped and a.attrelid = coalesce(rowcast.relation_of(definition.capture),
        (select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where array[nspname, relname]::text[] = parse_ident(definition.source)))), true)
$$;

-- A row of a transition table as jsonb; the size is explained in 0008_unusual.sql. `t.*` is the whole row even where a
-- column is called t, which `t` alone would not be. The row of a part has the part's own form, which decides
-- how it is taken apart.
create function rowcast.json_row_sql(definition rowcast.attached) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select format('case when rowcast.is_plain(%1$L%3$s) and pg_column_size(t.*) <= 16384 then to_jsonb(t.*) '
                'else rowcast.%4$s(t.*, %2$s) end', definition.capture,
                case when definition.tree then 'tg_relid::text' else quote_literal(definition.capture) end,
                case when not sets_style then ', false' end,
                case when sets_style then 'careful_row' else 'styled_row' end)
  from rowcast.sets_style(definition) as sets_style
$$;

-- The row of a trigger that is called for each, in place of a statement's rows. A plan that names no table is not made anew when the table is
-- altered, so it can't take the row for a plain one.
create function rowcast.own_row_sql(operation text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case operation
    when 'insert' then 'select rowcast.careful_row(new, tg_relid::text) as after'
    when 'delete' then 'select rowcast.careful_row(old, tg_relid::text) as before'
    else 'select 1 as place, rowcast.careful_row(old, tg_relid::text) as before, rowcast.careful_row(new, tg_relid::text) as after' end
$$;

-- The rows of a statement as jsonb, or the one row of a trigger that is called for each: "after", "before", or both with their place; with what
-- was looked up.
create function rowcast.found_rows_sql(definition rowcast.attached, operation text) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  json_row text := rowcast.json_row_sql(definition);
  sides text[] := case operation when 'insert' then '{after}' when 'delete' then '{before}' else '{before,after}' end;
  place text := case operation when 'update' then 'place, ' else '' end;
  result text := case
    when definition.by_row then rowcast.own_row_sql(operation) else case operation
    when 'insert' then format('select %s as after from new_rows t', json_row)
    when 'delete' then format('select %s as before from old_rows t', json_row)
    else format($sql$select place, before, after
      -- One call of the executor fills both tables, so position pairs the rows, even when keys change.
      -- FULL, because a full join never runs as a nested loop, and the plan is kept for updates of any size.
      from (select row_number() over () as place, %1$s as before from old_rows t) b
      full join (select row_number() over () as place, %1$s as after from new_rows t) a using (place)$sql$, json_row) end end;
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

-- The rows of a statement that may cause events, with their rooms. An update has each row before and after.
create function rowcast.rows_sql(definition rowcast.attached, operation text) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
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
           when definition.by_row then rowcast.own_row_sql(operation)
           else format('select %s as %s from %s t', json_row, side, transition) end,
      coalesce(rowcast.meets_sql(definition.condition, side), 'true'));
  end if;
  return format($sql$
      select *, %1$s
      from (select place, before, after, %2$s
      %3$s
      offset 0) t$sql$, array_to_string(stays, ', '), array_to_string(expressions, E',\n                   '),
    case when has_lookups then format('from (%s) t', rowcast.found_rows_sql(definition, operation))
    when definition.by_row then format('from (%s offset 0) t', rowcast.own_row_sql(operation))
    else format($sql$-- One call of the executor fills both tables, so position pairs the rows, even when keys change.
      -- FULL, because a full join never runs as a nested loop, and the plan is kept for updates of any size.
      from (select row_number() over () as place, %1$s as before from old_rows t) b
      full join (select row_number() over () as place, %1$s as after from new_rows t) a using (place)$sql$, json_row) end);
end $$;

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

-- Whether a definition needs a trigger for an operation. An update can move a row into a room or out of it, and can make a
-- condition true or false, even if no event is for updates.
create function rowcast.captures(definition rowcast.attached, operation text) returns boolean
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select definition.events @> jsonb_build_array(jsonb_build_object('on', operation))
    or operation = 'update' and (definition.room_columns <> '{}' or definition.condition is not null
      or exists (select from rowcast.rooms_of(definition) r
                 where r.condition is not null
                    or exists (select from rowcast.pieces(r.room) p where p.name is not null)))
$$;

-- The statement of a trigger whose rows cause one event each at most, of which all is said in one list of expressions: the planner makes one
-- scan of it, where a payload of its own would be a plan within the plan, which each statement pays for. Null where a name of a member could
-- be taken for one of the statement's own.
create function rowcast.one_event_sql(definition rowcast.attached, rule jsonb, suffix text, side text, cause text, joinable text, rows text)
returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  template jsonb := rule -> 'payload';
begin
  if jsonb_typeof(template) is distinct from 'object' or template = '{}' then
    return null;
  end if;
  if exists (
    select from (
      select jsonb_object_keys(template) union all select member from rowcast.row_members(definition, side)
    ) names (name)
    where name in ('after', 'before', 'rowcast_row', 'rowcast_payload') or starts_with(name, 'room_')) then
    return null;
  end if;
  return format($sql$  insert into rowcast.events (room, event, data, source)
  select room,
         %4$L,
         case when room is not null and not origin ? 'rowcast:careful, a member with a name that no column of a table can have' then data
              else rowcast.unusual(room, data, origin, %1$L, %2$L) end,
         %1$L
  from (
    select %5$s as origin, case when %3$s then room_%5$s%6$s end as room, row_to_json(rowcast_payload.*) as data
    from (%7$s
    ) t%8$s
    cross join lateral (
      select %9$s
    ) rowcast_payload%10$s
    offset 0
  ) e;$sql$,
    definition.source, definition.key_columns, regexp_replace(joinable, '\mroom\M', format('room_%s%s', side, suffix), 'g'), rule ->> 'event',
    side, suffix, rows,
    case when exists (select from jsonb_each(template) where value = '"{row}"') then format(E'\n    cross join lateral (\n      select %s\n    ) rowcast_row', (
      select string_agg(format('%s as %I', value, member), ', ' order by place) from rowcast.row_members(definition, side))) else '' end,
    rowcast.members_sql(definition, template, side, 'rowcast_row'),
    coalesce(E'\n    where ' || cause, ''));
end $$;

-- The one statement that a trigger runs.
create function rowcast.capture_sql(definition rowcast.attached, operation text) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
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
  -- The statement where there is one event.
  one text;
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
    one := rowcast.one_event_sql(definition, rule.rule, rule.suffix, rule.side,
      rowcast.cause_sql(operation, rule.rule, rule.suffix, rule.condition, rule.keeps_key), joinable, rows);
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
  if operation <> 'update' and cardinality(events) = 1 and one is not null then
    return one;
  end if;

  return format($sql$  insert into rowcast.events (room, event, data, source)
  select room,
         event,
         case when room is not null and not origin ? 'rowcast:careful, a member with a name that no column of a table can have' then data
              else rowcast.unusual(room, data, origin, %1$L, %2$L) end,
         %1$L
  from (%8$s
    select case when %7$s then e.room end as room, e.event, e.origin,%9$s
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
    regexp_replace(joinable, '\mroom\M', 'e.room', 'g'),
    case when says_moved then E'\n    select room, event, origin, '
      || E'case when moved then (left(data::text, -1) || \',"moved":true}\')::json else data end as data\n    from (' else '' end,
    case when says_moved then ' e.moved,' else '' end,
    case when says_moved then ') e' else '' end);
end $$;

-- The name of the function of a trigger.
create function rowcast.capture_name(definition rowcast.attached, operation text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select 'capture_' || definition.capture || '_' || operation
$$;

-- What a function of a tree does first. The table itself pays nothing.
create function rowcast.only_of_parts_sql(definition rowcast.attached, operation text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when definition.tree then format($sql$  if starts_with(tg_name, 'rowcast_part_') and not rowcast.is_part(tg_relid, %L::regproc) then
    return null;
  end if;
$sql$, format('rowcast.%I', rowcast.capture_name(definition, operation))) else '' end
$$;

-- The function of a trigger, as SQL to run. It touches no table. The settings are those that decide how a value becomes text,
-- so that it reads the same whoever writes it; history sets the same. jit is off because the plan is kept: after one large
-- statement every later, small one of the session would be compiled. That of a tree looks first whether the table is still a part. Names that
-- the trigger itself has win over a table's columns that are called the same.
create function rowcast.function_sql(definition rowcast.attached, operation text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select format($sql$create or replace function rowcast.%1$I() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' set jit = off%7$s%6$s as $capture$
%4$sbegin
%5$s%2$s
  return null;
end $capture$;
revoke all on function rowcast.%1$I() from public;
comment on function rowcast.%1$I() is %3$L;$sql$,
    rowcast.capture_name(definition, operation),
    rowcast.capture_sql(definition, operation),
    format('Rowcast: captures each %s of %s', operation, definition.source),
    case when definition.tree or definition.by_row then E'#variable_conflict use_variable\n' else '' end,
    rowcast.only_of_parts_sql(definition, operation),
    -- Its plan has parameters, and would be made anew for each of the first calls.
    case when definition.tree or definition.by_row then ' set plan_cache_mode = force_generic_plan' else '' end,
    case when rowcast.sets_style(definition) then $settings$ set datestyle = 'ISO, MDY'
set intervalstyle = 'postgres' set bytea_output = 'hex' set extra_float_digits = 1 set lc_monetary = 'C'
set quote_all_identifiers = off$settings$ else '' end)
$$;

-- Stores the event, or moves the one that this transaction has of the source to its end. What there is of rooms in between is sent before it,
-- and is read again: nobody was told of the earlier place, because nothing of the transaction is visible yet.
-- The setting only spares the first one the read, which a serializable transaction would pay for with conflicts. Who forges it causes a read.
-- Its plan may be made while the outbox is small, and is kept while it grows: by the indexes.
create function rowcast.tell_to_reload(source text, rooms text[], reason text) returns void
language plpgsql set search_path = pg_catalog, pg_temp set enable_seqscan = off set enable_bitmapscan = off as $$
begin
  -- A crash must not undo what listeners were told to reload for: they would go on with what is not there any more.
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'local', true);
  end if;
  if current_setting('rowcast.told_to_reload', true) <> '' then
    update rowcast.events told
    set id = default, at = clock_timestamp(),
        data = json_build_object('rooms', tell_to_reload.rooms, 'source', tell_to_reload.source, 'reason', tell_to_reload.reason)
    where told.id = (
      -- Compared as a row, and sorted by all of it, so that only the index of rooms can answer.
      select e.id from rowcast.events e
      where (e.room, e.xid) >= ('rowcast:reloads', pg_current_xact_id()) and (e.room, e.xid) <= ('rowcast:reloads', pg_current_xact_id())
        and e.source = 'rowcast.reload' and e.data ->> 'source' = tell_to_reload.source
        -- A source may be attached anew meanwhile, with other rooms.
        and (e.data -> 'rooms')::jsonb = to_jsonb(tell_to_reload.rooms)
      order by e.room desc, e.xid desc, e.id desc limit 1);
    if found then
      return;
    end if;
  end if;
  -- Nobody else writes this source: capture writes the name of a table of somebody else's, and emit writes none.
  insert into rowcast.events (room, event, data, source)
  values ('rowcast:reloads', 'reload', json_build_object('rooms', rooms, 'source', source, 'reason', reason), 'rowcast.reload');
  perform set_config('rowcast.told_to_reload', 'yes', true);
end $$;

-- What a TRUNCATE calls, as SQL to run.
create function rowcast.truncate_function_sql(definition rowcast.attached) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format($sql$create or replace function rowcast.%1$I() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $capture$
begin
%2$s  perform rowcast.tell_to_reload(%3$L, %4$L, 'truncate');
  return null;
end $capture$;
revoke all on function rowcast.%1$I() from public;
comment on function rowcast.%1$I() is %5$L;$sql$,
    rowcast.capture_name(definition, 'truncate'),
    rowcast.only_of_parts_sql(definition, 'truncate'),
    definition.source, rowcast.room_patterns(definition),
    format('Rowcast: tells of each truncate of %s', definition.source))
$$;

-- A trigger on a table of a source, as SQL to run.
create function rowcast.trigger_on_sql(definition rowcast.attached, operation text, relation text, trigger_name text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format($sql$create or replace trigger %1$I after %2$s on %3$s
%4$sexecute function rowcast.%5$I();$sql$,
    trigger_name, operation, relation,
    case when operation = 'truncate' then 'for each statement '
         when definition.by_row then 'for each row '
         else format(E'referencing %s\nfor each statement ',
           case operation when 'insert' then 'new table as new_rows' when 'delete' then 'old table as old_rows'
                          else 'old table as old_rows new table as new_rows' end) end,
    rowcast.capture_name(definition, operation))
    || case when definition.always then format(E'\nalter table %s enable always trigger %I;', relation, trigger_name) else '' end
$$;

-- A trigger with its function, as SQL to run.
create function rowcast.trigger_sql(definition rowcast.attached, operation text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case operation when 'truncate' then rowcast.truncate_function_sql(definition) else rowcast.function_sql(definition, operation) end
    || E'\n' || rowcast.trigger_on_sql(definition, operation, definition.source, 'rowcast_' || operation)
$$;

revoke all on function rowcast.sets_style, rowcast.json_row_sql, rowcast.own_row_sql, rowcast.found_rows_sql, rowcast.rows_sql, rowcast.keeps_key_sql,
  rowcast.cause_sql, rowcast.captures, rowcast.one_event_sql, rowcast.capture_sql, rowcast.capture_name, rowcast.only_of_parts_sql, rowcast.function_sql,
  rowcast.tell_to_reload, rowcast.truncate_function_sql, rowcast.trigger_on_sql, rowcast.trigger_sql from public;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
