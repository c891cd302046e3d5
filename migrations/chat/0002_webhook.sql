-- Webhook: stores the body of a webhook of WhatsApp's in the chat tables, and keeps what is neither a message nor a status.
--
-- Guarantee: nothing of a body is lost. A message is stored once, however often it comes, and so is a status. What can't be stored is kept in
--            public.webhook_leftovers, with the reason, and returned; it keeps nothing else of the body from being stored. A status that comes
--            before its message has its id is kept there, too, and is moved to its message by the statement that gives the id.
--            A database that is away, full or read-only is an error: the caller lets the provider send the body again.
-- Relies on: 0021_whatsapp.sql, which says what a body holds.
-- Cost:      one subtransaction for a body, one for each of its items if one fails. An outbound message that is given its id pays two reads of an
--            index.
-- Rights:    the functions run as their owner with a fixed search_path; execute is revoked from public.

-- Without "already exists, skipping": the schema rowcast may have been dropped, and the table has stayed.
set local client_min_messages = warning;

create table if not exists public.webhook_leftovers (
  id bigint generated always as identity primary key,
  kind text not null check (kind in ('message', 'status', 'other')),
  external_id text,
  reason text not null,
  item jsonb not null,
  received_at timestamptz not null default now()
);
-- The same item, sent again, is there already.
create unique index if not exists webhook_leftovers_item on public.webhook_leftovers (md5(item::text));
create index if not exists webhook_leftovers_status on public.webhook_leftovers (external_id) where kind = 'status';
create index if not exists webhook_leftovers_received on public.webhook_leftovers (received_at);

-- Stores items in this order: messages as they came, then statuses by message, so that two bodies at once never wait for each other.
create or replace function rowcast.chat_store_items(items rowcast.whatsapp_item[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off as $$
begin
  insert into public.messages (contact_id, direction, author, body, external_id, metadata, created_at)
  select i.contact_id, i.direction, i.author, i.body, i.external_id, i.item, coalesce(i.at, clock_timestamp())
  from unnest(items) i where i.kind = 'message' and i.problem is null order by i.nr
  on conflict (external_id) do nothing;

  insert into public.message_statuses (message_id, status, error, occurred_at)
  select id, status, error, coalesce(at, clock_timestamp())
  from (
    select distinct on (m.id, i.status, i.at) m.id, i.status, i.error, i.at, i.nr
    from unnest(items) i join public.messages m on m.external_id = i.external_id
    where i.kind = 'status' and i.problem is null and not exists (
      select from public.message_statuses s
      where s.message_id = m.id and s.status = i.status and s.occurred_at = coalesce(i.at, s.occurred_at))
    order by m.id, i.status, i.at, i.nr
  ) fresh order by id, at, nr;

  insert into public.webhook_leftovers (kind, external_id, reason, item)
  -- An id that no index can hold stands in the item.
  select i.kind, case when octet_length(i.external_id) <= 2000 then i.external_id end, coalesce(i.problem, 'its message is not stored yet'), i.item
  from unnest(items) i
  where i.problem is not null
     or i.kind = 'status' and not exists (select from public.messages m where m.external_id = i.external_id)
  order by i.nr
  on conflict (md5(item::text)) do nothing;
end $$;

-- Stores a webhook's body; returns what is neither a message nor a status of one, which is kept.
create or replace function rowcast.store_whatsapp(request text) returns table (kind text, external_id text, reason text)
language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off as $$
#variable_conflict use_column
declare
  items rowcast.whatsapp_item[] := array(select i from rowcast.whatsapp_items(request) i);
  one rowcast.whatsapp_item;
  place int;
begin
  begin
    perform rowcast.chat_store_items(items);
  exception when data_exception or integrity_constraint_violation or raise_exception or program_limit_exceeded then
    -- One of them is bad in a way that only the tables know: a check, or a trigger that somebody added.
    for place in 1 .. cardinality(items) loop
      one := items[place];
      begin
        perform rowcast.chat_store_items(array[one]);
      exception when data_exception or integrity_constraint_violation or raise_exception or program_limit_exceeded then
        one.problem := sqlerrm;
        items[place] := one;
        perform rowcast.chat_store_items(array[one]);
      end;
    end loop;
  end;

  -- What was kept while the transaction that gave the message its id was under way: neither could see the other.
  with found as (
    select l.id from public.webhook_leftovers l
    where l.kind = 'status' and l.received_at > now() - interval '10 minutes'
      and exists (select from public.messages m where m.external_id = l.external_id)
      and l.item ->> 'status' in ('sent', 'delivered', 'read', 'failed')
    order by l.id limit 100 for update skip locked
  ), placed as (
    delete from public.webhook_leftovers l using found where l.id = found.id returning l.external_id, l.item, l.received_at, l.id
  )
  insert into public.message_statuses (message_id, status, error, occurred_at)
  select m.id, p.item ->> 'status', rowcast.whatsapp_error(p.item), coalesce(rowcast.whatsapp_time(p.item -> 'timestamp'), p.received_at)
  from placed p join public.messages m on m.external_id = p.external_id order by m.id, 4, p.id;

  return query
  select i.kind, i.external_id, coalesce(i.problem, 'its message is not stored yet') from unnest(items) i
  where i.problem is not null
     or i.kind = 'status' and not exists (select from public.messages m where m.external_id = i.external_id)
  order by i.nr;
end $$;

-- A message that is given its id begins with the status that was kept for it, so that its own event has that, whichever statement it is.
create or replace function rowcast.chat_take_status() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  statuses constant text[] := array['queued', 'sent', 'failed', 'delivered', 'read'];
  kept int := (select max(array_position(statuses, l.item ->> 'status')) from public.webhook_leftovers l
               where l.kind = 'status' and l.external_id = new.external_id);
begin
  if kept > array_position(statuses, new.status) then
    new.status := statuses[kept];
  end if;
  return new;
end $$;

-- What was kept and is in the message's status by now. What was kept a moment later stays for the next call.
create or replace function rowcast.chat_place_statuses() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  statuses constant text[] := array['queued', 'sent', 'failed', 'delivered', 'read'];
begin
  with placed as (
    delete from public.webhook_leftovers l
    where l.kind = 'status' and l.external_id = new.external_id
      and array_position(statuses, l.item ->> 'status') <= array_position(statuses, new.status)
    returning l.id, l.item, l.received_at
  )
  insert into public.message_statuses (message_id, status, error, occurred_at)
  select new.id, item ->> 'status', rowcast.whatsapp_error(item), coalesce(rowcast.whatsapp_time(item -> 'timestamp'), received_at)
  from placed order by 4, id;
  return null;
end $$;

drop trigger if exists take_status on public.messages;
create trigger take_status before insert or update of external_id on public.messages
for each row when (new.external_id is not null and new.direction = 'outbound') execute function rowcast.chat_take_status();
drop trigger if exists place_statuses on public.messages;
create trigger place_statuses after insert or update of external_id on public.messages
for each row when (new.external_id is not null and new.direction = 'outbound') execute function rowcast.chat_place_statuses();

revoke all on function rowcast.chat_store_items(rowcast.whatsapp_item[]), rowcast.store_whatsapp(text), rowcast.chat_take_status(),
  rowcast.chat_place_statuses() from public;
