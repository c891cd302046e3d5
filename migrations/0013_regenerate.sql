-- Regenerate: writes the functions of the triggers anew, for tables that were attached before the generator changed.
--
-- A migration that changes what attach would write ends with `select rowcast.regenerate();`.
--
-- Guarantee: an attached table is captured as if it had just been attached with its old arguments. The triggers stay as they are.
-- Cost:      no table is locked, so no writer waits. A session plans its captured writes anew, once.
-- Rights:    runs as whoever migrates; execute is revoked from public.

create function rowcast.regenerate() returns void
language plpgsql set search_path = pg_catalog, pg_temp set quote_all_identifiers = off as $$
declare
  definition rowcast.attached;
  operation text;
begin
  for definition in select a.* from rowcast.attached a order by a.source loop
    update rowcast.attached a set row_sql = rowcast.row_sql(definition, 'after') where a.source = definition.source;
    foreach operation in array array['insert', 'update', 'delete'] loop
      if exists (select from pg_proc where pronamespace = 'rowcast'::regnamespace
                 and proname = rowcast.capture_name(definition, operation)) then
        execute rowcast.function_sql(definition, operation);
      end if;
    end loop;
  end loop;
end $$;

revoke all on function rowcast.regenerate() from public;

select rowcast.regenerate();
