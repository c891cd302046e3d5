-- Plans: a read of somebody's table runs that one's code while it is planned, if an index, a constraint, a statistic or the key of its
-- partitions has an expression of a function that is immutable. So where a read has the rights of the schema's owner, there must be none.
--
-- Replaces rowcast.no_code_sql of 0051_rooms.sql and rowcast.zoned of 0050_values.sql: what they say of themselves still holds.
--
-- Guarantee: rowcast.preview and lookups read no table that has such code, unless a superuser owns the code. Who makes such an index at the
--            very moment of a read is not kept from it: attach and look up tables of owners whom you trust, where the schema's owner may more.
--            A timestamp is read in its zone whatever standard_conforming_strings says.
-- Cost:      some 0.1 ms for a lookup's statement.
-- Rights:    everybody may ask: it says what the catalog says.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

-- Whether the planner runs no code of somebody's who is no superuser when it plans a read of a table or of those that inherit from it.
-- In PL/pgSQL, which keeps its plan for a connection.
create function rowcast.plans_no_code(relation oid) returns boolean
language plpgsql stable set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan as $$
begin
return (
  with recursive tree (relid) as (
    select relation
    union
    select i.inhrelid from pg_inherits i join tree on i.inhparent = tree.relid
  ), planned (classid, objid) as (
    select 'pg_class'::regclass::oid, relid from tree
    union all
    select 'pg_class'::regclass, i.indexrelid from pg_index i join tree on i.indrelid = tree.relid
    union all
    select 'pg_constraint'::regclass, c.oid from pg_constraint c join tree on c.conrelid = tree.relid where c.contype = 'c'
    union all
    select 'pg_statistic_ext'::regclass, s.oid from pg_statistic_ext s join tree on s.stxrelid = tree.relid
  ), used (owner) as (
    select f.proowner from planned p join pg_depend d using (classid, objid) join pg_proc f on d.refclassid = 'pg_proc'::regclass and f.oid = d.refobjid
    where d.refobjid >= 16384
    union all
    select o.oprowner from planned p join pg_depend d using (classid, objid) join pg_operator o on d.refclassid = 'pg_operator'::regclass and o.oid = d.refobjid
    where d.refobjid >= 16384
    union all
    select c.opcowner from planned p join pg_depend d using (classid, objid) join pg_opclass c on d.refclassid = 'pg_opclass'::regclass and c.oid = d.refobjid
    where d.refobjid >= 16384
    union all
    select t.typowner from planned p join pg_depend d using (classid, objid) join pg_type t on d.refclassid = 'pg_type'::regclass and t.oid = d.refobjid
    where d.refobjid >= 16384 and t.typtype = 'd' and (p.classid <> 'pg_class'::regclass or p.objid not in (select relid from tree))
  )
  select not exists (select from used join pg_roles r on r.oid = used.owner where not r.rolsuper));
end $$;

create or replace function rowcast.no_code_sql(lookup jsonb) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format($sql$c.relkind = 'r' and c.relfilenode = pg_relation_filenode(c.oid) and not exists (
      select from pg_attribute a join pg_type t on t.oid = a.atttypid
      where a.attrelid = c.oid and a.attname = any (%L) and t.oid >= 16384 and not (t.typtype = 'd' and t.typbasetype < 16384))
      and rowcast.plans_no_code(c.oid)$sql$,
    array(select jsonb_array_elements_text(lookup -> 'key')))
$$;

create or replace function rowcast.zoned(value text, zone text) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp set datestyle = 'ISO, MDY' set timezone = 'UTC' as $$
begin
  if value ~ '^[0-9]{4,}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?( BC)?$' then
    return replace(to_jsonb(value::timestamp at time zone zone) #>> '{}', '+00:00', 'Z');
  end if;
  return value;
exception when others then
  return value;
end $$;

select rowcast.regenerate();
-- A later migration may alter the table in the same transaction.
set constraints rowcast.remember_code immediate;
set constraints rowcast.remember_code deferred;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
