-- Order: each message has a time of its own.
--
-- Guarantee: history shows the messages of one transaction as they were written. Their default, now(), is the same for all
--            of them, and the key that would decide is random. A time that the writer gave stands.
-- Cost:      one short function call for each inserted row.

create function rowcast.chat_stamp() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.created_at := clock_timestamp();
  new.updated_at := new.created_at;
  return new;
end $$;

create trigger stamp before insert on public.messages
for each row when (new.created_at = now() and new.updated_at = now()) execute function rowcast.chat_stamp();

revoke all on function rowcast.chat_stamp() from public;
