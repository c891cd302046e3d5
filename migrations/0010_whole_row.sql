-- Capture: the whole row, whatever its columns are called.
--
-- Guarantee: a table with a column named like the row's alias is captured as any other. Attach it again where it was attached before.
-- Cost:      none.
-- Rights:    functions run as their owner with a fixed search_path; execute is revoked from public.

-- In an expression a column wins over a row of the same name; `t.*` is always the row.
create or replace function rowcast.json_row_sql(definition rowcast.attached) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when definition.careful then format('rowcast.careful_row(t.*, %L)', definition.capture)
    else format('case when pg_column_size(t.*) <= 16384 then to_jsonb(t.*) else rowcast.careful_row(t.*, %L) end',
                definition.capture)
  end
$$;
