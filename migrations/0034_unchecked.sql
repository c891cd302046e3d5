-- Unchecked: lets 0035_confined.sql make two functions that Postgres 16 and later refuse when they check them.
--
-- 0035_confined.sql gives them a setting of their own for transaction_read_only, which cannot be set locally in functions there.
-- 0043_read_only.sql makes them anew, without it, and sets the check back. `rowcast migrate` needs none of this: the check is off in
-- its transactions. For `sqlx migrate run` it has to be off in the session.
--
-- Guarantee: nothing is left behind in a session that goes on after 0043_read_only.sql.
-- Cost:      none.
-- Rights:    none.

do $$
begin
  if pg_catalog.current_setting('server_version_num')::pg_catalog.int4 operator(pg_catalog.>=) 160000
     and pg_catalog.current_setting('check_function_bodies')::pg_catalog.bool then
    perform pg_catalog.set_config('check_function_bodies', 'off', false), pg_catalog.set_config('rowcast.unchecked', 'on', false);
  end if;
end $$;
