-- Chat: two tables for those who have none yet, attached like any other source.
--
-- Guarantee: a status only moves forward, whatever order a provider reports in.
-- Cost:      an insert into message_statuses is one conditional update of its message.
-- Rights:    needs CREATE on schema public. Back ends need rights on these two tables only.

do $$
begin
  if to_regclass('public.messages') is not null or to_regclass('public.message_statuses') is not null then
    raise exception 'the chat tables can''t be created: public.messages or public.message_statuses exists already'
      using errcode = '42P07', hint = 'Attach your own table instead: select rowcast.attach(''public.messages'', '
        'room => ''conversation:{contact_id}'', on_insert => ''message:new'');';
  end if;
  if not has_schema_privilege('public', 'create') then
    raise exception 'the chat tables can''t be created: % may not create tables in schema public', current_user
      using hint = format('grant create on schema public to %I;', current_user), errcode = '42501';
  end if;
end $$;

create table public.messages (
  id uuid primary key default gen_random_uuid(),
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
create index messages_contact on public.messages (contact_id, created_at);

create table public.message_statuses (
  id bigint generated always as identity primary key,
  message_id uuid not null references public.messages on delete cascade,
  status text not null check (status in ('queued', 'sent', 'delivered', 'read', 'failed')),
  error text,
  occurred_at timestamptz not null default now()
);
-- For the cascade.
create index message_statuses_message on public.message_statuses (message_id);

create function rowcast.chat_touch() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.updated_at := clock_timestamp();
  return new;
end $$;

create trigger touch before update on public.messages
for each row when (old.* is distinct from new.*) execute function rowcast.chat_touch();

-- The order is total, so any order of arrival ends in the same state: a failure is final only until
-- a delivery disproves it.
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

revoke all on function rowcast.chat_touch(), rowcast.chat_apply_status() from public;

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
