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

-- What is to be done so that a source is captured as it was attached: on parts that came, on those that are parts no more, and on a table
-- itself that became a tree. `is_new` says that the part may have rows that were not captured.
create function rowcast.unfollowed(definition rowcast.attached, relation oid) returns table (part oid, name text, statements text, is_new boolean)
language sql stable set search_path = pg_catalog, pg_temp as $$
  with ours as materialized (
    select t.tgrelid, t.tgname::text, substring(p.proname from '[a-z]+$') as operation, age(t.xmin) as age
    from pg_proc p join pg_trigger t on t.tgfoid = p.oid and not t.tgisinternal
    where p.pronamespace = 'rowcast'::regnamespace
      and p.proname in (select 'capture_' || definition.capture || '_' || operation from unnest('{insert,update,delete,truncate}'::text[]) as operation)
  ), parts as materialized (
    select p.* from rowcast.parts_of(unfollowed.relation) p
  ), wanted as materialized (
    select is_partition, rowcast.part_operations(definition, is_partition) as operations from (values (true), (false)) as w (is_partition)
  ), had as materialized (
    select tgrelid, array_agg(operation) as operations, min(age) as age from ours where starts_with(tgname, 'rowcast_part_') group by tgrelid
  )
  select c.oid, format('%I.%I', n.nspname, c.relname), rowcast.truncate_function_sql(definition) || E'\n'
           || rowcast.trigger_on_sql(definition, 'truncate', format('%I.%I', n.nspname, c.relname), 'rowcast_truncate'), false
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.oid = unfollowed.relation and not exists (select from ours where ours.tgrelid = c.oid and ours.operation = 'truncate')
  union all
  select p.part, p.name, rowcast.part_sql(definition, p.name, p.is_partition), true
  from parts p join wanted w using (is_partition) left join had on had.tgrelid = p.part
  where definition.tree and p.kind in ('r', 'p') and (not w.operations <@ coalesce(had.operations, '{}')
    -- One that went and came back has its triggers still, and became a part after it was given them.
    or exists (select from pg_inherits i where i.inhrelid = p.part and age(i.xmin) < had.age))
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
          was_written := (select bool_or(pg_relation_size(c.oid) > 0 or c.relfilenode <> c.oid) from pg_class c
                       where c.relkind = 'r' and c.oid in (select todo.part union all select part from rowcast.parts_of(todo.part))) is true;
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

revoke all on function rowcast.parts_of, rowcast.is_part, rowcast.part_operations, rowcast.part_sql, rowcast.drop_functions_sql,
  rowcast.unfollowed, rowcast.follow_tables from public;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
