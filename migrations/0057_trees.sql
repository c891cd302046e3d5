-- Trees: partitioned tables with their partitions, inheritance, a trigger for each row, and one that always fires.
--
-- A partitioned table's own triggers see every row of a statement that names it, in whatever partition the row is, or comes to be. A
-- statement that names a partition fires that one's triggers alone, so each part has some of its own: they call the functions of the
-- table that was attached, which look whether the part is still one.
--
-- Guarantee: a row is captured once, whichever table of the tree a statement names. A row that an update moves from one partition to
--            another is one update, with `capture => 'row'` a delete and an insert, as Postgres tells a trigger for each row.
--            A partition that is detached is let go by the transaction that detaches it. One that comes is captured at once where
--            statements name the parent; where they name the partition, once rowcast.follow_tables was called. If it has rows by
--            then, the source's listeners are told to reload: some of these rows may have caused no event.
-- Cost:      a table that is no tree pays nothing. A statement that names a partition pays about 30 µs to know that it is still one.
--            With `capture => 'row'` each row is a call of its trigger and an insert into rowcast.events by itself.
-- Rights:    functions run as their owner with a fixed search_path; execute is revoked from public. Who serves may call
--            rowcast.follow_tables, which does nothing that attach did not say.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

-- What an earlier migration of the same transaction has left to its end is done now: the table can't be altered before.
set constraints rowcast.remember_code immediate;
set constraints rowcast.remember_code deferred;
alter table rowcast.attached add column tree boolean, add column by_row boolean, add column always boolean;
comment on column rowcast.attached.tree is 'whether it has parts: partitions, or tables that inherit from it';
comment on column rowcast.attached.by_row is 'whether its triggers are called for each row';
comment on column rowcast.attached.always is 'whether its triggers fire whatever session_replication_role says';

-- The table that has a source's triggers: not its parts, which have some by another name, or copies that Postgres makes for each row. An oid
-- as text is that table: who knows the table of a row passes it where a source's name is accepted.
create or replace function rowcast.relation_of(capture text) returns regclass
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when capture ~ '^[0-9]+$' then capture::oid::regclass else (
    select t.tgrelid::regclass
    from pg_proc p join pg_trigger t on t.tgfoid = p.oid
    where p.pronamespace = 'rowcast'::regnamespace and not t.tgisinternal and t.tgparentid = 0 and not starts_with(t.tgname, 'rowcast_part_')
      and p.proname = any (array['capture_' || capture || '_insert', 'capture_' || capture || '_update',
                                 'capture_' || capture || '_delete'])
    -- TimescaleDB copies triggers to its chunks by itself.
    order by (select c.relnamespace::regnamespace::text = '_timescaledb_internal' from pg_class c where c.oid = t.tgrelid), t.tgrelid limit 1) end
$$;

-- Whether each row of a source's table becomes jsonb without an error, and without code of anybody's. As in 0035_confined.sql. A partition has
-- the types of its parent, what inherits may have more; and a repeatable read transaction may not see that one of several was altered.
create or replace function rowcast.is_plain(capture text) returns boolean
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  relation oid;
  is_one boolean;
  plain boolean;
begin
  select max(t.tgrelid), count(distinct t.tgrelid) = 1 and bool_and(t.kind = 'r'),
         bool_and(a.atttypid < 16384 and a.atttypid not in ('json'::regtype, 'json[]'::regtype))
  into relation, is_one, plain
  from (
    select distinct t.tgrelid, c.relkind as kind
    from pg_proc p
    join pg_trigger t on t.tgfoid = p.oid and not t.tgisinternal
    join pg_class c on c.oid = t.tgrelid
    where p.pronamespace = 'rowcast'::regnamespace
      and p.proname in ('capture_' || capture || '_insert', 'capture_' || capture || '_update', 'capture_' || capture || '_delete')
      and not (c.relispartition and (t.tgparentid <> 0 or starts_with(t.tgname, 'rowcast_part_')))
  ) t
  join pg_attribute a on a.attrelid = t.tgrelid and a.attnum > 0 and not a.attisdropped;
  return plain is true and (current_setting('transaction_isolation') = 'read committed' or is_one and exists (
    select from pg_class c
    where c.oid = relation and c.relfilenode = pg_relation_filenode(c.oid)
      and has_column_privilege(c.oid, (c.relnatts + 1)::smallint, 'select') is null));
exception when others then
  return false;
end $$;

-- The parts of a table, those of its parts included. One of these at least is a partition, or all inherit. What TimescaleDB makes is its own
-- matter: it copies triggers by itself.
create function rowcast.parts_of(relation oid) returns table (part oid, name text, kind "char", is_partition boolean)
language sql stable set search_path = pg_catalog, pg_temp as $$
  with recursive below (relation) as (
    select inhrelid from pg_inherits where inhparent = parts_of.relation and not inhdetachpending
    union
    select i.inhrelid from below join pg_inherits i on i.inhparent = below.relation where not i.inhdetachpending
  )
  select c.oid, format('%I.%I', n.nspname, c.relname), c.relkind, c.relispartition
  from below join pg_class c on c.oid = below.relation join pg_namespace n on n.oid = c.relnamespace
  where n.nspname <> '_timescaledb_internal'
  order by 2
$$;

-- Whether a table is a part of the table whose own trigger calls a function: one of those above it. In PL/pgSQL, which keeps its plans.
create function rowcast.is_part(relation oid, function oid) returns boolean
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  above oid;
begin
  for above in select i.inhparent from pg_inherits i where i.inhrelid = relation and not i.inhdetachpending loop
    if exists (select from pg_trigger t where t.tgrelid = above and t.tgfoid = function and not starts_with(t.tgname, 'rowcast_part_'))
       or rowcast.is_part(above, function) then
      return true;
    end if;
  end loop;
  return false;
end $$;

-- A row of a transition table as jsonb; the size is explained in 0004_capture.sql. The row of a part has the part's own form, which decides
-- how it is taken apart.
create or replace function rowcast.json_row_sql(definition rowcast.attached) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format('case when rowcast.is_plain(%1$L) and pg_column_size(t.*) <= 16384 then to_jsonb(t.*) '
                'else rowcast.careful_row(t.*, %2$s) end', definition.capture,
                case when definition.tree then 'tg_relid::text' else quote_literal(definition.capture) end)
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

-- The rows of a statement as jsonb, as in 0051_rooms.sql, or the one row of a trigger that is called for each.
create or replace function rowcast.found_rows_sql(definition rowcast.attached, operation text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
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

-- What a function of a tree does first. The table itself pays nothing.
create function rowcast.only_of_parts_sql(definition rowcast.attached, operation text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when definition.tree then format($sql$  if starts_with(tg_name, 'rowcast_part_') and not rowcast.is_part(tg_relid, %L::regproc) then
    return null;
  end if;
$sql$, format('rowcast.%I', rowcast.capture_name(definition, operation))) else '' end
$$;

-- The function of a trigger, as SQL to run, as in 0011_capture.sql. That of a tree looks first whether the table is still a part. Names that
-- the trigger itself has win over a table's columns that are called the same.
create or replace function rowcast.function_sql(definition rowcast.attached, operation text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format($sql$create or replace function rowcast.%1$I() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' set jit = off set datestyle = 'ISO, MDY'
set intervalstyle = 'postgres' set bytea_output = 'hex' set extra_float_digits = 1 set lc_monetary = 'C'
set quote_all_identifiers = off%6$s as $capture$
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
    case when definition.tree or definition.by_row then ' set plan_cache_mode = force_generic_plan' else '' end)
$$;

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
create or replace function rowcast.trigger_sql(definition rowcast.attached, operation text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case operation when 'truncate' then rowcast.truncate_function_sql(definition) else rowcast.function_sql(definition, operation) end
    || E'\n' || rowcast.trigger_on_sql(definition, operation, definition.source, 'rowcast_' || operation)
$$;

-- The triggers of a part. Those that are called for each row Postgres itself gives to partitions.
create function rowcast.part_operations(definition rowcast.attached, is_partition boolean) returns text[]
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select array(
    select operation from unnest('{insert,update,delete,truncate}'::text[]) as operation
    where operation = 'truncate' or not (is_partition and definition.by_row is true) and rowcast.captures(definition, operation))
$$;

create function rowcast.part_sql(definition rowcast.attached, name text, is_partition boolean) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select string_agg(rowcast.trigger_on_sql(definition, operation, name, 'rowcast_part_' || operation), E'\n' order by place)
  from unnest(rowcast.part_operations(definition, is_partition)) with ordinality as o (operation, place)
$$;

-- Takes a source's triggers off every table that has some.
create function rowcast.drop_functions_sql(definition rowcast.attached) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select string_agg(format(E'drop function if exists rowcast.%I() cascade;\n', rowcast.capture_name(definition, operation)), '' order by place) || E'\n'
  from unnest('{insert,update,delete,truncate}'::text[]) with ordinality as o (operation, place)
$$;

-- All that attaching runs, as text: the functions of its lookups, the triggers that the definition needs, without those it doesn't, those of
-- its parts, and its row.
create or replace function rowcast.attach_sql(definition rowcast.attached) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(rowcast.lookup_functions_sql(definition), '')
    || string_agg(case when operation = 'truncate' or rowcast.captures(definition, operation) then rowcast.trigger_sql(definition, operation)
    else format('drop function if exists rowcast.%I() cascade;', rowcast.capture_name(definition, operation)) end,
    E'\n\n' order by place)
    || coalesce((
      -- Written once, and not for each of many parts.
      select E'\n\n' || string_agg(replace(t.template, chr(1), p.name), E'\n' order by p.name)
      from pg_class c join pg_namespace n on n.oid = c.relnamespace cross join rowcast.parts_of(c.oid) p
      join (select is_partition, rowcast.part_sql(definition, chr(1), is_partition) as template from (values (true), (false)) as w (is_partition)
            offset 0) t using (is_partition)
      where definition.tree and array[n.nspname, c.relname]::text[] = parse_ident(definition.source) and p.kind in ('r', 'p')), '')
    || format(E'\n\ndelete from rowcast.attached where source = %L;\n'
              'insert into rowcast.attached select * from jsonb_populate_record(null::rowcast.attached, %L);',
              definition.source, to_jsonb(definition))
  from unnest('{insert,update,delete,truncate}'::text[]) with ordinality as o (operation, place)
$$;

-- Refuses what a trigger can't be put on, what the role may not put one on, and what the caller may not read.
create function rowcast.check_source(relation regclass, by_row boolean, always boolean) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  source record;
  kind text;
  above text := (select i.inhparent::regclass::text from pg_inherits i where i.inhrelid = relation limit 1);
  barred text;
  bare text := (select string_agg(p.name, ', ') from rowcast.parts_of(relation) p where not has_table_privilege(p.part, 'trigger'));
begin
  select format('%I.%I', nspname, relname) as name, nspname, relkind, relpersistence, relispartition, relowner
  into source from pg_class c join pg_namespace n on n.oid = relnamespace where c.oid = relation;
  kind := case
    when source.relkind = 'v' then 'a view'
    when source.relkind = 'm' then 'a materialized view'
    when source.relkind = 'f' then 'a foreign table'
    when source.relkind not in ('r', 'p') then 'not a table'
    when source.relpersistence = 't' then 'a temporary table'
    when source.nspname = 'rowcast' then 'one of Rowcast''s own tables'
    when source.nspname in ('pg_catalog', 'information_schema') then 'a system table'
  end;
  if kind is not null then
    perform rowcast.refuse(format('%s is %s; accepted: ordinary and partitioned tables', source.name, kind));
  end if;
  if not by_row and above is not null then
    perform rowcast.refuse(format('%s is %s %s, through which its rows can be written, too; accepted: that table, or capture => ''row''', source.name,
      case when source.relispartition then 'a partition of' else 'a table that inherits from' end, above));
  end if;
  barred := (select p.name from rowcast.parts_of(relation) p where p.kind not in ('r', 'p') limit 1);
  if not by_row and barred is not null then
    perform rowcast.refuse(format('%s has the part %s, a foreign table, which no trigger of a statement can tell the rows of; accepted: '
      'capture => ''row''', source.name, barred));
  end if;
  if not has_schema_privilege(source.nspname, 'usage') then
    perform rowcast.refuse(format('%s may not use schema %I', current_user, source.nspname),
      format('grant usage on schema %I to %I;', source.nspname, current_user));
  end if;
  if not has_table_privilege(relation, 'trigger') then
    perform rowcast.refuse(format('%s may not create triggers on %s', current_user, source.name),
      format('grant trigger on %s to %I;', source.name, current_user));
  end if;
  if bare is not null then
    perform rowcast.refuse(format('%s may not create triggers on %s', current_user, bare), format('grant trigger on %s to %I;', bare, current_user));
  end if;
  -- Only an owner may say that a trigger fires always.
  if always and not pg_has_role(source.relowner, 'usage') then
    perform rowcast.refuse(format('always needs the owner of %s, and %s is not', source.name, current_user),
      format('grant %I to %I;', pg_get_userbyid(source.relowner), current_user));
  end if;
  perform rowcast.check_reader(relation);
end $$;


-- The definition of a table, as in 0052_attach.sql.
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

-- Who may call attach may call the one that takes more.
select set_config('rowcast.attachers', coalesce(string_agg(format('grant execute on function rowcast.attach to %s%s',
    case when a.grantee = 0 then 'public' else a.grantee::regrole::text end, case when a.is_grantable then ' with grant option' else '' end), '; '), ''), true)
from pg_proc p cross join aclexplode(p.proacl) a
where p.pronamespace = 'rowcast'::regnamespace and p.proname = 'attach' and a.privilege_type = 'EXECUTE' and a.grantee <> p.proowner;

drop function rowcast.attach(regclass, text, text, text, text, text[], jsonb, jsonpath, jsonb, text[], text, text, boolean, jsonb, jsonb, jsonb,
  jsonb, text[], text[], text);
drop function rowcast.define(regclass, jsonb, jsonb, text, text[], text, text, text[], jsonb, jsonb, jsonb, text[], text);
drop function rowcast.check_source(regclass);

-- As in 0052_attach.sql. A table that took the name of one that was renamed takes its definition over, and a table takes over its parts.
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
  timezone text default null,
  capture text default 'statement',
  always boolean default false
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp set quote_all_identifiers = off set jit = off as $$
#variable_conflict use_variable
declare
  definition rowcast.attached;
  other record;
  statements text := '';
  doubt text;
  -- What is dropped that isn't there would be told.
  loud text := current_setting('client_min_messages');
  limited boolean := current_setting('lock_timeout') <> '0';
  -- As in 0036_readers.sql.
  caller text := case current_setting('role') when 'none' then session_user else current_setting('role') end;
begin
  if source is null then
    perform rowcast.refuse('source is null; accepted: the name of a table');
  end if;
  if capture is null or capture not in ('statement', 'row') then
    perform rowcast.refuse(format('capture is "%s"; accepted: statement, row', capture));
  end if;
  definition := rowcast.define(source, jsonb_build_object('room', room, 'on_insert', on_insert, 'on_update', on_update, 'on_delete', on_delete,
    'update_columns', update_columns, 'rules', rules, 'payload', payload), rooms, condition::text, omit, key_case, order_column, order_columns,
    lookups, words, defaults, as_text, timezone, capture = 'row', coalesce(always, false));

  -- A table may have been renamed since it was attached, and another table may have its old name.
  for other in
    select a.source, a.capture, rowcast.relation_of(a.capture) as relation, a.by_row is true as by_row, a.tree is true as tree
    from rowcast.attached a
  loop
    if other.source = definition.source and other.relation <> source then
      -- The tables were swapped: the definition moves to the one that has the name now.
      if not has_table_privilege(caller, other.relation, 'select') then
        perform rowcast.refuse(format('the definition of %s belongs to %s, which was renamed and which %s may not read', other.source,
          other.relation, caller), format('select rowcast.detach(%L);', other.relation));
      end if;
      raise notice 'rowcast.attach: % was attached as %, and is captured no more', other.relation, other.source;
      statements := rowcast.drop_functions_sql(definition) || statements;
    elsif other.source = definition.source and (other.by_row <> definition.by_row or other.tree <> definition.tree) then
      statements := rowcast.drop_functions_sql(definition) || statements;
    elsif other.relation = source and other.source <> definition.source then
      statements := format(E'select rowcast.detach(%L);\n\n', other.source) || statements;
    elsif other.relation in (select p.part from rowcast.parts_of(source) p) then
      raise notice 'rowcast.attach: % was attached by itself, and is captured as a part of % instead', other.source, definition.source;
      statements := format(E'select rowcast.detach(%L);\n\n', other.source) || statements;
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

-- As in 0052_attach.sql.
create or replace function rowcast.detach(source text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp set client_min_messages = warning set quote_all_identifiers = off as $$
declare
  definition rowcast.attached;
  name text;
  limited boolean := current_setting('lock_timeout') <> '0';
  -- As in 0036_readers.sql.
  caller text := case current_setting('role') when 'none' then session_user else current_setting('role') end;
  relation regclass;
begin
  definition := rowcast.definition_of(source);
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
    foreach name in array array['insert', 'update', 'delete', 'truncate'] loop
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

-- What is to be done so that a source is captured as it was attached: on parts that came, on those that are parts no more, and, where it was
-- attached by an earlier version, on the table itself. `is_new` says that the part may have rows that were not captured.
create function rowcast.unfollowed(definition rowcast.attached, relation oid) returns table (part oid, name text, statements text, is_new boolean)
language sql stable set search_path = pg_catalog, pg_temp as $$
  with ours as materialized (
    select t.tgrelid, t.tgname::text, substring(p.proname from '[a-z]+$') as operation
    from pg_proc p join pg_trigger t on t.tgfoid = p.oid and not t.tgisinternal
    where p.pronamespace = 'rowcast'::regnamespace
      and p.proname in (select 'capture_' || definition.capture || '_' || operation from unnest('{insert,update,delete,truncate}'::text[]) as operation)
  ), parts as materialized (
    select p.* from rowcast.parts_of(unfollowed.relation) p
  ), wanted as materialized (
    select is_partition, rowcast.part_operations(definition, is_partition) as operations from (values (true), (false)) as w (is_partition)
  ), had as materialized (
    select tgrelid, array_agg(operation) as operations from ours where starts_with(tgname, 'rowcast_part_') group by tgrelid
  )
  select c.oid, format('%I.%I', n.nspname, c.relname), rowcast.truncate_function_sql(definition) || E'\n'
           || rowcast.trigger_on_sql(definition, 'truncate', format('%I.%I', n.nspname, c.relname), 'rowcast_truncate'), false
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.oid = unfollowed.relation and not exists (select from ours where ours.tgrelid = c.oid and ours.operation = 'truncate')
  union all
  select p.part, p.name, rowcast.part_sql(definition, p.name, p.is_partition), true
  from parts p join wanted w using (is_partition) left join had on had.tgrelid = p.part
  where definition.tree and p.kind in ('r', 'p') and not w.operations <@ coalesce(had.operations, '{}')
  union all
  -- Only an owner may drop a trigger. Where it stays, it does nothing.
  select c.oid, format('%I.%I', n.nspname, c.relname),
         string_agg(format('drop trigger %I on %I.%I;', ours.tgname, n.nspname, c.relname), ' '), false
  from ours join pg_class c on c.oid = ours.tgrelid join pg_namespace n on n.oid = c.relnamespace
  where starts_with(ours.tgname, 'rowcast_part_') and c.oid not in (select part from parts) and pg_has_role(c.relowner, 'usage')
  group by c.oid, n.nspname, c.relname
$$;

-- Looks after the parts of all sources, as servers do every few seconds. Returns what it has done, a line for each table, for the log: at most
-- twenty, so that the locks which it takes are short. A table that is locked is left for the next time.
create function rowcast.follow_tables() returns setof text
language plpgsql security definer set search_path = pg_catalog, pg_temp set client_min_messages = warning
set quote_all_identifiers = off set jit = off set lock_timeout = '100ms' as $$
declare
  definition rowcast.attached;
  relation regclass;
  todo record;
  was_written boolean;
  tables integer := 0;
begin
  -- One at a time: (1919903602, 3) is this lock's own number.
  if not pg_try_advisory_xact_lock(1919903602, 3) then
    return;
  end if;
  for definition in select a.* from rowcast.attached a order by a.source loop
    relation := rowcast.relation_of(definition.capture);
    continue when relation is null;
    for todo in select u.* from rowcast.unfollowed(definition, relation) u loop
      if tables >= 20 then
        return;
      end if;
      begin
        execute todo.statements;
        was_written := false;
        if todo.is_new then
          -- Whether anything was ever written to it: a TRUNCATE gives it another file.
          was_written := (select pg_relation_size(c.oid) > 0 or c.relfilenode <> c.oid from pg_class c
                       where c.oid = todo.part and c.relkind = 'r') is true;
          if was_written then
            perform rowcast.tell_to_reload(definition.source, rowcast.room_patterns(definition), format('%s is a part of it now', todo.name));
          end if;
        end if;
        tables := tables + 1;
        return next format(case when not todo.is_new then '%s: the triggers of %s are as they should be'
          when was_written then '%s: writes to %s are captured from now on, and listeners are told to reload, because it was written to before'
          else '%s: writes to %s are captured from now on' end, definition.source, todo.name);
      exception when others then
        null; -- rowcast.sources says what is amiss.
      end;
    end loop;
  end loop;
end $$;
comment on function rowcast.follow_tables is 'captures partitions that came since a table was attached, and lets those go that are none any more';


-- As in 0051_rooms.sql, with what a TRUNCATE calls.
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
    execute rowcast.truncate_function_sql(definition);
  end loop;
end $$;

-- Where logical replication applies changes, no notification would be sent, and readers would look by the poll alone.
do $$
begin
  if exists (select from pg_trigger where tgrelid = 'rowcast.events'::regclass and tgname = 'wake' and tgenabled = 'O') then
    alter table rowcast.events enable always trigger wake;
  end if;
end $$;

revoke all on function rowcast.parts_of, rowcast.is_part, rowcast.own_row_sql, rowcast.only_of_parts_sql, rowcast.truncate_function_sql,
  rowcast.trigger_on_sql, rowcast.part_operations, rowcast.part_sql, rowcast.drop_functions_sql, rowcast.check_source, rowcast.unfollowed,
  rowcast.follow_tables, rowcast.define, rowcast.attach from public;

do $$
declare
  server regrole;
begin
  if current_setting('rowcast.attachers') <> '' then
    execute current_setting('rowcast.attachers');
  end if;
  -- Roles that serve already go on serving.
  for server in
    select distinct acl.grantee::regrole from pg_class c, aclexplode(c.relacl) acl
    where c.oid = 'rowcast.sessions'::regclass and acl.privilege_type = 'SELECT' and acl.grantee <> 0 and acl.grantee <> c.relowner
  loop
    execute format('grant execute on function rowcast.follow_tables() to %s', server);
  end loop;
end $$;

select rowcast.regenerate();

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
