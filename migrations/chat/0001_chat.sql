-- Chat: a table of messages and one of their statuses, for those who have none yet, attached like any other table.
--
-- History sorts by created_at, and where that is equal by the key. So the default of the key grows with the clock: a UUID of version 8
-- (RFC 9562) that begins with the microseconds since 1970 and goes on with 62 random bits.
--
-- Guarantee: a message's status only moves forward, in whatever order a provider reports. Messages of one transaction have
--            times in the order in which they were written, and messages whose times are equal stay in that order: live, in history and
--            after a reload. The default of the key calls Postgres's own functions alone, so that it outlives the schema rowcast.
--            A table of somebody else's is left alone.
-- Cost:      an insert into messages is one short function call more, one into message_statuses one update of its message. The key's
--            default is about 1 µs.
-- Rights:    needs CREATE on schema public. Back ends need rights on these two tables only.

do $$
declare
  -- The columns below, as the catalog describes them; an exclamation mark stands for "not null".
  ours constant text[] := array[
    'messages.id uuid!', 'messages.contact_id text!', 'messages.direction text!', 'messages.author text',
    'messages.body text!', 'messages.status text!', 'messages.external_id text', 'messages.metadata jsonb!',
    'messages.created_at timestamp with time zone!', 'messages.updated_at timestamp with time zone!',
    'message_statuses.id bigint!', 'message_statuses.message_id uuid!', 'message_statuses.status text!',
    'message_statuses.error text', 'message_statuses.occurred_at timestamp with time zone!'];
  found text[] := array(
    select format('%s.%s %s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), case when a.attnotnull then '!' end)
    from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.oid in (to_regclass('public.messages'), to_regclass('public.message_statuses'))
      and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped);
begin
  -- When the schema rowcast was dropped, these two tables have stayed, with their rows. They are taken up again.
  if (to_regclass('public.messages') is not null or to_regclass('public.message_statuses') is not null)
     and not (found @> ours and found <@ ours) then
    raise exception 'the chat tables can''t be created: there is another public.messages or public.message_statuses'
      using errcode = '42P07', hint = 'Attach your own table instead: select rowcast.attach(''public.messages'', '
        'room => ''conversation:{contact_id}'', on_insert => ''message:new'');';
  end if;
  if not has_schema_privilege('public', 'create') then
    raise exception 'the chat tables can''t be created: % may not create tables in schema public', current_user
      using hint = format('grant create on schema public to %I;', current_user), errcode = '42501';
  end if;
end $$;

-- Without "relation already exists, skipping".
set local client_min_messages = warning;

create table if not exists public.messages (
  id uuid primary key default (
    overlay(overlay(lpad(to_hex((extract(epoch from clock_timestamp()) * 1000000)::bigint), 15, '0') placing '-8' from 13 for 0)
            placing '-' from 9 for 0) || substr(gen_random_uuid()::text, 19))::uuid,
  contact_id text not null,
  direction text not null default 'inbound' check (direction in ('inbound', 'outbound')),
  author text,
  body text not null,
  status text not null default 'sent' check (status in ('queued', 'sent', 'delivered', 'read', 'failed')),
  external_id text unique,
  metadata jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index if not exists messages_contact on public.messages (contact_id, created_at, id);

create table if not exists public.message_statuses (
  id bigint generated always as identity primary key,
  message_id uuid not null references public.messages on delete cascade,
  status text not null check (status in ('queued', 'sent', 'delivered', 'read', 'failed')),
  error text,
  occurred_at timestamptz not null default now()
);
-- For the deletes that follow the delete of a message.
create index if not exists message_statuses_message on public.message_statuses (message_id);

-- now() is the same for all messages of a transaction, and the key is random, so history could not tell their order. A message
-- whose times are both the default gets the time at which it is inserted. A time that the writer gave stands.
create function rowcast.chat_stamp() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.created_at := clock_timestamp();
  new.updated_at := new.created_at;
  return new;
end $$;

create trigger stamp before insert on public.messages
for each row when (new.created_at = now() and new.updated_at = now()) execute function rowcast.chat_stamp();

create function rowcast.chat_touch() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.updated_at := clock_timestamp();
  return new;
end $$;

create trigger touch before update on public.messages
for each row when (old.* is distinct from new.*) execute function rowcast.chat_touch();

-- A reported status replaces the message's own if it comes later in this order. The order is total, so that reports end in the
-- same status however they arrive. "failed" comes before "delivered": a delivery proves the failure wrong.
create function rowcast.chat_apply_status() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  statuses constant text[] := array['queued', 'sent', 'failed', 'delivered', 'read'];
begin
  update public.messages m set status = new.status
  where m.id = new.message_id and array_position(statuses, m.status) < array_position(statuses, new.status);
  return null;
end $$;

create trigger apply_status after insert on public.message_statuses
for each row execute function rowcast.chat_apply_status();

revoke all on function rowcast.chat_stamp(), rowcast.chat_touch(), rowcast.chat_apply_status() from public;

-- A change of the status is an event of its own, so that it does not send the whole message again.
select rowcast.attach(
  'public.messages',
  room => 'conversation:{contact_id}',
  on_insert => 'message:new',
  on_update => 'message:updated',
  on_delete => 'message:deleted',
  update_columns => '{id,contact_id,direction,author,body,external_id,metadata,created_at}',
  rules => '[{
    "on": "update", "columns": ["status"], "event": "message:status",
    "payload": {"messageId": "{id}", "status": "{status}", "contactId": "{contactId}", "at": "{updated_at}"}
  }]',
  order_column => 'created_at'
);
