-- Attach: turns a definition into triggers on a source, and takes them away again.
--
-- Guarantee: attaching changes no row and holds its lock for moments; a wrong argument is an error here,
--            never later in a writer's transaction.
-- Cost:      one SHARE ROW EXCLUSIVE lock on the source, waited for at most lock_timeout (5 s if unset).
-- Rights:    the functions' owner needs TRIGGER on the source; execute is revoked from public.

create function rowcast.check_event_name(caller text, event text) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  if event is null or event = '' or length(event) > 100 then
    raise exception '%: event name "%" must have 1 to 100 characters', caller, left(event, 100) using errcode = '22023';
  end if;
  if event in ('connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener')
     or event like 'rowcast:%' or event like 'typing:%' then
    raise exception '%: event name "%" is reserved; not accepted are Socket.IO''s connect, connect_error, disconnect, disconnecting, newListener, removeListener, and rowcast:*, typing:*',
      caller, event using errcode = '22023';
  end if;
end $$;

-- One row of a transition table as jsonb.
create function rowcast.capture_row_sql(definition rowcast.attached, alias text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format('to_jsonb(%s)', alias)
$$;

-- Where rows become events. Inserts and deletes have one side; an update has both, paired by position.
create function rowcast.rows_sql(definition rowcast.attached, operation text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  room text := 'case when octet_length(%1$s) <= 2048 then %1$s end';
  room_before text := format(room, rowcast.room_sql(definition.room, 'before'));
  room_after text := format(room, rowcast.room_sql(definition.room, 'after'));
  matches text := coalesce('%s @@ ' || quote_literal(definition.condition), 'true');
begin
  case operation
    when 'insert' then
      return format($sql$
    select row_number() over () as place, after, %s as room
    from (select %s as after from new_rows t offset 0) t
    where %s$sql$, room_after, rowcast.capture_row_sql(definition, 't'), format(matches, 'after'));
    when 'delete' then
      return format($sql$
    select row_number() over () as place, before, %s as room
    from (select %s as before from old_rows t offset 0) t
    where %s$sql$, room_before, rowcast.capture_row_sql(definition, 't'), format(matches, 'before'));
    else
      return format($sql$
    select place, before, after, %s as room_before, %s as room_after,
           (%s) is true as was_in, (%s) is true as is_in
    from (select row_number() over () as place, %s as before from old_rows t) b
    -- Both tables are filled by the same call of the executor, so position pairs them, even when keys change.
    -- FULL, because a full join is never run as a nested loop: the plan is kept for tables of any size.
    full join (select row_number() over () as place, %s as after from new_rows t) a using (place)
    offset 0$sql$,
        room_before, room_after, format(matches, 'before'), format(matches, 'after'),
        rowcast.capture_row_sql(definition, 't'), rowcast.capture_row_sql(definition, 't'));
  end case;
end $$;

-- One SELECT for each event that a row can cause, in the order they fire.
create function rowcast.events_sql(definition rowcast.attached, operation text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  branches text[] := '{}';
  rule record;
  room text;
  side text;
  condition text;
begin
  for rule in
    select e ->> 'on' as operation, e ->> 'event' as event, e -> 'payload' as payload,
           array(select jsonb_array_elements_text(e -> 'columns')) as columns
    from jsonb_array_elements(definition.events) with ordinality as x (e, place)
    where e ->> 'on' = operation or operation = 'update'
    order by case e ->> 'on' when 'delete' then 1 when 'insert' then 2 else 3 end, place
  loop
    side := case rule.operation when 'delete' then 'before' else 'after' end;
    room := case when operation = 'update' then 'room_' || side else 'room' end;
    condition := case
      when operation <> 'update' then null
      when rule.operation = 'delete' then 'was_in and room_before is not null and not (is_in and room_after is not distinct from room_before)'
      when rule.operation = 'insert' then 'is_in and not (was_in and room_before is not distinct from room_after)'
      else 'was_in and is_in and room_before is not distinct from room_after and ('
        || (select string_agg(format('before -> %L is distinct from after -> %L', name, name), ' or ')
            from unnest(rule.columns) as name) || ')'
    end;
    branches := branches || format(E'    select %s as step, %s as room, %L as event, %s as data, %s as origin%s',
      cardinality(branches) + 1, room, rule.event, rowcast.payload_sql(definition, rule.payload, side), side,
      E'\n    where ' || condition);
  end loop;
  return array_to_string(branches, E'\n    union all\n');
end $$;

create function rowcast.capture_sql(definition rowcast.attached, operation text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format($sql$insert into rowcast.events (room, event, data, source)
  select e.room, e.event,
         case when e.room is null then json_build_object(
                'source', %1$L, 'key', json_build_object(%2$s),
                'reason', 'the room is null or longer than 2048 bytes')
              else e.data end,
         %1$L
  from (%3$s
  ) t
  cross join lateral (
%4$s
  ) e
  order by t.place, e.step$sql$,
    definition.source,
    (select string_agg(format('%1$L, origin ->> %1$L', name), ', ') from unnest(definition.key_columns) as name),
    rowcast.rows_sql(definition, operation),
    rowcast.events_sql(definition, operation))
$$;

create function rowcast.attach_sql(definition rowcast.attached) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  operation text;
  fires boolean;
  statements text[] := '{}';
begin
  foreach operation in array array['insert', 'update', 'delete'] loop
    fires := definition.events @> jsonb_build_array(jsonb_build_object('on', operation)) or operation = 'update';
    statements := statements || case when fires then
      format($sql$create or replace function rowcast.%1$I() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $capture$
begin
  %2$s;
  return null;
end $capture$;
revoke all on function rowcast.%1$I() from public;
comment on function rowcast.%1$I() is %3$L;
create or replace trigger %4$I after %5$s on %6$s
referencing %7$s for each statement execute function rowcast.%1$I();$sql$,
        'capture_' || definition.capture || '_' || operation, rowcast.capture_sql(definition, operation),
        'Rowcast capture of ' || definition.source, 'rowcast_' || operation, operation, definition.source,
        case operation when 'insert' then 'new table as new_rows' when 'delete' then 'old table as old_rows'
                       else 'old table as old_rows new table as new_rows' end)
    else
      format('drop function if exists rowcast.%I() cascade;', 'capture_' || definition.capture || '_' || operation)
    end;
  end loop;
  return array_to_string(statements || format(
    'delete from rowcast.attached where source = %L;
insert into rowcast.attached select * from jsonb_populate_record(null::rowcast.attached, %L);',
    definition.source, to_jsonb(definition) - 'attached_at' || '{"attached_at": "now"}'), E'\n\n');
end $$;

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
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  definition rowcast.attached;
  statements text;
  claimed text[];
  events jsonb := coalesce(rules, '[]');
begin
  select format('%I.%I', n.nspname, c.relname), regexp_replace(n.nspname || '_' || c.relname, '[^a-z0-9_]', '_', 'g')
  into definition.source, definition.capture
  from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = attach.source;
  definition.room := room;
  definition.condition := condition::text;
  definition.omit := omit;
  definition.key_case := key_case;
  definition.attached_at := now();
  definition.columns := array(
    select attname from pg_attribute
    where attrelid = attach.source and attnum > 0 and not attisdropped and attgenerated <> 'v' order by attnum);
  definition.key_columns := array(
    select a.attname from pg_index i cross join unnest(i.indkey) with ordinality as k (attnum, place)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where i.indrelid = attach.source and i.indisprimary order by k.place);
  definition.room_columns := array(select name from rowcast.pieces(room) where name is not null);
  definition.order_column := coalesce(order_column,
    (select name from unnest(definition.columns) as name where name = 'created_at'), definition.key_columns[1]);
  claimed := array(select jsonb_array_elements_text(rule -> 'columns') from jsonb_array_elements(events) as rule);
  events := case when on_insert is null then '[]' else jsonb_build_array(jsonb_build_object('on', 'insert', 'event', on_insert)) end
    || case when on_delete is null then '[]' else jsonb_build_array(jsonb_build_object('on', 'delete', 'event', on_delete)) end
    || events
    || case when on_update is null then '[]' else jsonb_build_array(jsonb_build_object('on', 'update', 'event', on_update, 'columns',
         coalesce(update_columns, array(select name from unnest(definition.columns) as name where name <> all (claimed))))) end;
  definition.events := (
    select jsonb_agg(rule || jsonb_build_object('payload', coalesce(rule -> 'payload', payload, rowcast.default_payload(
      definition, rule ->> 'on', rule ->> 'event',
      (select array_agg(name) from jsonb_array_elements_text(rule -> 'columns') as name)))) order by place)
    from jsonb_array_elements(events) with ordinality as e (rule, place));
  definition.row_sql := rowcast.row_sql(definition, 'after');
  statements := rowcast.attach_sql(definition);
  if not dry_run then
    execute statements;
  end if;
  return statements;
end $$;

create function rowcast.detach(source text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  definition rowcast.attached;
  operation text;
begin
  delete from rowcast.attached a where a.source = detach.source returning * into definition;
  if definition is null then
    return format('%s was not attached', detach.source);
  end if;
  foreach operation in array array['insert', 'update', 'delete'] loop
    execute format('drop function if exists rowcast.%I() cascade', 'capture_' || definition.capture || '_' || operation);
  end loop;
  return format('%s is detached', definition.source);
end $$;

create view rowcast.sources as
select source, room, order_column, events, '{}'::text[] as problems, attached_at from rowcast.attached;

revoke all on all functions in schema rowcast from public;
