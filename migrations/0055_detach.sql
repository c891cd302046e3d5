-- Detaching is for who may attach: a role that can't read a table can't end its events either.
--
-- Guarantee: rowcast.detach refuses a table that is there and that its caller may not read. Of a table that is gone whoever may call
--            the function takes the definition away.
-- Cost:      none for writers.
-- Rights:    as in 0009_sources.sql.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

create or replace function rowcast.detach(source text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp set client_min_messages = warning set quote_all_identifiers = off as $$
declare
  definition rowcast.attached;
  name text;
  -- The argument as SQL reads a name: {schema, table} or {table}.
  parts text[] := parse_ident(source);
  limited boolean := current_setting('lock_timeout') <> '0';
  -- As in 0036_readers.sql.
  caller text := case current_setting('role') when 'none' then session_user else current_setting('role') end;
  relation regclass;
begin
  -- By the name that the table was attached with, or by the one that it has now. A name without a schema is enough where only
  -- one attached table is called so.
  select a.* into definition from rowcast.attached a
  where parts in (parse_ident(a.source), parse_ident(rowcast.relation_of(a.capture)::text))
     or cardinality(parts) = 1
        and array[a.source] = array(
          select b.source from rowcast.attached b
          where parts[1] in ((parse_ident(b.source))[2], (parse_ident(rowcast.relation_of(b.capture)::text))[2]))
  order by parse_ident(a.source) = parts desc limit 1;
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
    foreach name in array array['insert', 'update', 'delete'] loop
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

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
