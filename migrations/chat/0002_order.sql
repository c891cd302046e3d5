-- Order: messages whose times are equal stay in the order in which they were written.
--
-- History sorts by created_at, and where that is equal by the key. So the default of the key grows with the clock: a UUID of version 8
-- (RFC 9562) that begins with the microseconds since 1970 and goes on with 62 random bits.
--
-- Guarantee: live, in history and after a reload, the order is one: each message carries it. A key that the writer gives stands, and so does
--            a default that somebody has changed. The default calls Postgres's own functions alone, so that it outlives the schema rowcast.
-- Cost:      about 1 µs for an insert. The table is locked for a moment; no row is read or changed.
-- Rights:    needs to own the table.

do $$
begin
  if (select pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d
      join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
      where d.adrelid = to_regclass('public.messages') and a.attname = 'id') = 'gen_random_uuid()' then
    alter table public.messages alter column id set default (
      overlay(overlay(lpad(to_hex((extract(epoch from clock_timestamp()) * 1000000)::bigint), 15, '0') placing '-8' from 13 for 0)
              placing '-' from 9 for 0) || substr(gen_random_uuid()::text, 19))::uuid;
  end if;
end $$;
