-- Read-only: what runs as rowcast_capture is read-only on every Postgres.
--
-- Postgres 16 and later refuse a function with a setting of its own for transaction_read_only, so 0035_confined.sql's could be made only
-- while check_function_bodies was off (0034_unchecked.sql), and raised when they were called. Here the body sets it, inside a block
-- with an EXCEPTION clause: that is a subtransaction, and Postgres sets back what its transaction was when the block ends.
--
-- Guarantee: as in 0035_confined.sql, on Postgres 14 to 18.
-- Cost:      a subtransaction, which takes no transaction id, for each row with a type of somebody's own.
-- Rights:    as in 0035_confined.sql.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

-- Writes the two functions that run as somebody else. `runs_as` is who: they refuse to work as anybody but that role; null where it
-- could not be made. Up to Postgres 15 code can end the read-only state of its transaction (RESET), and then alter functions that its
-- role owns, but not what is written in them: so they look for themselves, and qualify every name.
create or replace function rowcast.write_confined(runs_as text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $write$
begin
  execute format($sql$
-- A row as jsonb. It raises what the row's types raise. It has its caller's search_path, because setting one would cost 3 µs.
-- The exception clause is there for its subtransaction, which the read-only state ends with.
create or replace function rowcast.confined_row(source_row record) returns jsonb
language plpgsql stable security definer as $$
declare
  result pg_catalog.jsonb;
  ignored pg_catalog.text;
begin
  if current_user operator(pg_catalog.<>) %1$L then
    raise exception 'rowcast.confined_row does not run as %% any more: select rowcast.confine()', %1$L;
  end if;
  begin
    ignored := pg_catalog.set_config('transaction_read_only', 'on', true);
    result := pg_catalog.to_jsonb(source_row);
  exception when others then
    raise;
  end;
  return result;
end $$;

-- As in 0011_capture.sql, but confined. The outer block's subtransaction ends the read-only state.
create or replace function rowcast.bounded_value(value anyelement) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  result pg_catalog.jsonb;
  ignored pg_catalog.text;
begin
  if current_user operator(pg_catalog.<>) %1$L then
    raise exception 'rowcast.bounded_value does not run as %% any more: select rowcast.confine()', %1$L;
  end if;
  begin
    ignored := pg_catalog.set_config('transaction_read_only', 'on', true);
    begin
      if pg_catalog.pg_column_size(value) operator(pg_catalog.<=) 16777216 then
        result := pg_catalog.to_jsonb(value);
        if result is null or pg_catalog.octet_length(result::pg_catalog.text) operator(pg_catalog.<=) 16777216 then
          return result;
        end if;
      end if;
    exception when others then
      null; -- It is replaced below.
    end;
    return pg_catalog.to_jsonb(pg_catalog.rpad(
      'rowcast:stand-in:'::pg_catalog.text operator(pg_catalog.||) pg_catalog.md5(value::pg_catalog.text), 4096, '.'));
  exception when others then
    return pg_catalog.to_jsonb(pg_catalog.rpad(
      'rowcast:stand-in:'::pg_catalog.text operator(pg_catalog.||) pg_catalog.pg_column_size(value)::pg_catalog.text, 4096, '.'));
  end;
end $$;
$sql$, runs_as);
end $write$;

do $$
begin
  perform rowcast.confine();
  if current_setting('rowcast.unchecked', true) = 'on' then
    perform set_config('check_function_bodies', 'on', false), set_config('rowcast.unchecked', '', false);
  end if;
end $$;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
