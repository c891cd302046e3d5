-- Readers: who attaches a table must be able to read all of it, because whoever may join its rooms gets its rows.
--
-- Guarantee: attaching, also again, shows nothing that the role which calls could not read itself. That role is the one that was set
--            (SET ROLE), or else the one that logged in: the owner of this schema, as whom attach runs, may read more.
-- Cost:      none for writers.
-- Rights:    execute is revoked from public.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

-- Refuses a table of which the caller can't read every column and every row.
create function rowcast.check_reader(relation regclass) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  caller text := case current_setting('role') when 'none' then session_user else current_setting('role') end;
  source record;
begin
  select format('%I.%I', nspname, relname) as name, n.oid as namespace, nspname,
         relrowsecurity and not rolsuper and not rolbypassrls
           and (relforcerowsecurity or not pg_has_role(caller, relowner, 'usage')) as is_hidden
  into source
  from pg_class c join pg_namespace n on n.oid = relnamespace left join pg_roles on rolname = caller where c.oid = relation;
  if not has_schema_privilege(caller, source.namespace, 'usage') then
    perform rowcast.refuse(format('%s may not use schema %I, and so not attach %s', caller, source.nspname, source.name),
      format('grant usage on schema %I to %I;', source.nspname, caller));
  end if;
  if not has_table_privilege(caller, relation, 'select') and exists (
      select from pg_attribute where attrelid = relation and attnum > 0 and not attisdropped
                                 and not has_column_privilege(caller, relation, attnum, 'select')) then
    perform rowcast.refuse(format('%s may not read %s, and so not attach it', caller, source.name),
      format('grant select on %s to %I;', source.name, caller));
  end if;
  if source.is_hidden is not false then
    perform rowcast.refuse(format('row security may hide rows of %s from %s, and an attached table sends them all', source.name, caller),
      'Attach it as the table''s owner, or as a role that has BYPASSRLS.');
  end if;
end $$;

-- Refuses what a statement trigger with transition tables can't be put on, what the role may not put one on, and what the caller may
-- not read.
create or replace function rowcast.check_source(relation regclass) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  source record;
  kind text;
begin
  select format('%I.%I', nspname, relname) as name, nspname, relkind, relpersistence, relispartition,
         exists (select from pg_inherits where relation in (inhrelid, inhparent)) as inherits
  into source from pg_class c join pg_namespace n on n.oid = relnamespace where c.oid = relation;
  kind := case
    when source.relkind = 'p' then 'a partitioned table'
    when source.relispartition then 'a partition'
    when source.relkind = 'v' then 'a view'
    when source.relkind = 'm' then 'a materialized view'
    when source.relkind = 'f' then 'a foreign table'
    when source.relkind <> 'r' then 'not a table'
    when source.relpersistence = 't' then 'a temporary table'
    when source.inherits then 'part of an inheritance tree'
    when source.nspname = 'rowcast' then 'one of Rowcast''s own tables'
    when source.nspname in ('pg_catalog', 'information_schema') then 'a system table'
  end;
  if kind is not null then
    perform rowcast.refuse(format('%s is %s; accepted: ordinary tables', source.name, kind));
  end if;
  if not has_schema_privilege(source.nspname, 'usage') then
    perform rowcast.refuse(format('%s may not use schema %I', current_user, source.nspname),
      format('grant usage on schema %I to %I;', source.nspname, current_user));
  end if;
  if not has_table_privilege(relation, 'trigger') then
    perform rowcast.refuse(format('%s may not create triggers on %s', current_user, source.name),
      format('grant trigger on %s to %I;', source.name, current_user));
  end if;
  perform rowcast.check_reader(relation);
end $$;

revoke all on function rowcast.check_reader(regclass) from public;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
