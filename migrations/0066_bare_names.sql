-- Bare names: a table that is named without its schema is the one that is attached under this name, if there is one; where there are several,
-- whoever says it is asked for the schema.
--
-- Replaces rowcast.definition_of of 0056_reload.sql: what it says of itself still holds.
--
-- Guarantee: rowcast.detach and rowcast.reload never take one of several tables for the one that is meant, and never say of an attached one that
--            it is not; the refusal names them all.
-- Cost:      none beyond that of a read of the attached tables.
-- Rights:    as before: detach and reload call it.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

create or replace function rowcast.definition_of(source text) returns rowcast.attached
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  name constant text[] := parse_ident(definition_of.source);
  found rowcast.attached;
  others text[];
begin
  select a.* into found from rowcast.attached a
  where name in (parse_ident(a.source), parse_ident(rowcast.relation_of(a.capture)::text))
  order by parse_ident(a.source) = name desc limit 1;
  if found.source is not null or cardinality(name) <> 1 then
    return found;
  end if;
  others := array(
    select a.source from rowcast.attached a
    where name[1] in ((parse_ident(a.source))[2], (parse_ident(rowcast.relation_of(a.capture)::text))[2])
    order by a.source);
  if cardinality(others) > 1 then
    raise exception '% tables are attached that are called %: %; say which with its schema', cardinality(others), definition_of.source,
      array_to_string(others, ', ') using errcode = '42P09';
  end if;
  select a.* into found from rowcast.attached a where a.source = others[1];
  return found;
end $$;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
