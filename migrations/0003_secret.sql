-- Secret: 256 random bits that only servers know. The tags of offsets and of notifications are made with them.
--
-- Any role may NOTIFY on any channel, and hear it. So a notification that makes servers act (typing, sessions that were taken over)
-- carries the time and a tag, and is heeded once, for half a minute. A wake says no more than "look", and has none.
--
-- The secret is in a materialized view, because its rows are not dumped: a restored dump draws its own, and whoever dumps needs no
-- right on it. A role that may read all tables of this schema by `grant select on all tables` may read it, too, and should not: the
-- view says so to nobody but `rowcast doctor`.
--
-- Guarantee: a tag can be made by servers, and by functions of this schema, alone. It is HMAC-SHA-256 (RFC 2104), cut to 128 bits.
-- Cost:      none for writers, but for those who call rowcast.typing: 20 µs.
-- Rights:    execute on the two functions is revoked from public; roles that serve already are given it.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

create materialized view rowcast.secret as
with drawn as materialized (
  -- Each UUID has 122 random bits.
  select sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) as key
)
-- What HMAC hashes first: the key, filled up to the hash's block of 64 bytes, with each byte changed.
select key,
       (select decode(string_agg(lpad(to_hex(get_byte(key, i) # 54), 2, '0'), '' order by i), 'hex') from generate_series(0, 31) i)
         || decode(repeat('36', 32), 'hex') as inner_pad,
       (select decode(string_agg(lpad(to_hex(get_byte(key, i) # 92), 2, '0'), '' order by i), 'hex') from generate_series(0, 31) i)
         || decode(repeat('5c', 32), 'hex') as outer_pad
from drawn;
comment on materialized view rowcast.secret is 'for servers alone; refreshed, it is another one, and clients load everything again';
revoke all on rowcast.secret from public;

-- The secret. A dump that was restored without its data has none yet.
create function rowcast.server_secret() returns bytea
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  return (select key from rowcast.secret);
exception when object_not_in_prerequisite_state then
  refresh materialized view rowcast.secret;
  return (select key from rowcast.secret);
end $$;
comment on function rowcast.server_secret is 'what the tags of offsets and notifications are made with; for servers alone';

-- A notification's payload with the time, in microseconds, and the tag over channel, time and payload.
create function rowcast.signed(channel text, payload text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  signed text := (extract(epoch from clock_timestamp()) * 1000000)::bigint || ' ' || payload;
begin
  perform rowcast.server_secret();
  return (
    select substr(encode(sha256(outer_pad || sha256(inner_pad || convert_to('notify ' || channel || ' ' || signed, 'UTF8'))), 'hex'), 1, 32)
           || ' ' || signed
    from rowcast.secret);
end $$;
comment on function rowcast.signed is 'a payload that servers heed; for servers alone';

revoke all on function rowcast.server_secret, rowcast.signed from public;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
