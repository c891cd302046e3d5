-- Inbox: a row for each conversation of the chat tables, for a list of them: its newest message, when that was, and how many are unread.
--
-- A statement that writes messages notes in rowcast.inbox_due which conversations it touched, and by how much each has more unread messages.
-- The commit settles that: it locks the conversations in the order of their ids, and then compares them with the messages, which are read after
-- the lock, so that what other transactions have committed meanwhile is seen. What a commit can't settle stays noted, and a server settles
-- it within a second (rowcast.settle_conversations): where the transaction is REPEATABLE READ or SERIALIZABLE, whose commit must not read what
-- others write; where somebody holds a conversation's row for longer than a commit takes, as a prepared transaction does; where
-- public.conversations was changed so that it can't be written.
--
-- Guarantee: once its notes are settled, a row of public.conversations is what its messages say, whoever writes them at the same time. Unread is
--            what came in and has another status than "read". A conversation without messages has no row. No error of the inbox fails a
--            writer. A commit waits for other commits that touch its conversations, 100 ms at most for each, and never in a circle.
--            A table public.conversations of somebody else's is left alone; then there is no inbox.
-- Cost:      docs/sql.md, "The inbox", has figures. What is there already is counted afterwards, by whoever settles.
-- Rights:    needs CREATE on schema public. The functions run as their owner with a fixed search_path; execute is revoked from public. Who reads
--            the list needs SELECT on it.

-- Without "already exists, skipping": the schema rowcast may have been dropped, and the tables have stayed.
set local client_min_messages = warning;

-- What is not settled yet. Rows are inserted and deleted, never changed, so that no writer meets another one here.
create table if not exists rowcast.inbox_due (
  xid xid8 not null default pg_current_xact_id(),
  contact_id text not null,
  -- By how much it has more unread messages.
  unread int not null
) with (autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_scale_factor = 0);
create index if not exists inbox_due_xid on rowcast.inbox_due (xid);

-- Conversations that are to be compared with their messages, whatever is due. Null stands for all of them.
create table if not exists rowcast.inbox_uncounted (contact_id text);

-- Columns are taken by name out of JSON, so that one that is dropped or renamed is a null here, and not an error of the writer's.
create function rowcast.chat_note() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if tg_op = 'INSERT' then
    insert into rowcast.inbox_due (contact_id, unread)
    select j ->> 'contact_id', count(*) filter (where j ->> 'direction' = 'inbound' and j ->> 'status' <> 'read')
    from new_rows r cross join lateral to_jsonb(r) j where j ->> 'contact_id' is not null group by 1;
  elsif tg_op = 'DELETE' then
    insert into rowcast.inbox_due (contact_id, unread)
    select j ->> 'contact_id', -count(*) filter (where j ->> 'direction' = 'inbound' and j ->> 'status' <> 'read')
    from old_rows r cross join lateral to_jsonb(r) j where j ->> 'contact_id' is not null group by 1;
  else
    insert into rowcast.inbox_due (contact_id, unread)
    select j ->> 'contact_id', coalesce(sum(side) filter (where j ->> 'direction' = 'inbound' and j ->> 'status' <> 'read'), 0)
    from (select to_jsonb(n), 1 from new_rows n union all select to_jsonb(o), -1 from old_rows o) r (j, side)
    where j ->> 'contact_id' is not null group by 1;
  end if;
  return null;
end $$;

-- What a list shows of a message. Of a long text the beginning is enough, and no conversation is too large for an event.
create function rowcast.chat_preview(id uuid, direction text, author text, body text, status text, metadata jsonb) returns jsonb
language sql stable return pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
  'id', id, 'direction', direction, 'author', pg_catalog.left(author, 200), 'body', pg_catalog.left(body, 200), 'status', status,
  'type', case when pg_catalog.jsonb_typeof(metadata operator(pg_catalog.->) 'type') = 'string'
    then pg_catalog.left(metadata operator(pg_catalog.->>) 'type', 200) end));

-- Brings one conversation up to date. Its callers have a fixed search_path.
create function rowcast.chat_show(contact text, more_unread int) returns void
language plpgsql as $$
declare
  known record;
  last_at timestamptz;
  preview jsonb;
  unread_now int;
begin
  loop
    select c.last_message, c.last_message_at, c.unread into known from public.conversations c where c.contact_id = contact for no key update;
    exit when found;
    -- Made without what it says, since what is read before the lock may be old.
    insert into public.conversations (contact_id) values (contact) on conflict (contact_id) do nothing;
  end loop;

  select m.created_at, rowcast.chat_preview(m.id, m.direction, m.author, m.body, m.status, m.metadata) into last_at, preview
  from public.messages m where m.contact_id = contact order by m.created_at desc, m.id desc limit 1;
  if not found then
    delete from public.conversations c where c.contact_id = contact;
    return;
  end if;
  unread_now := known.unread + more_unread;
  -- A count takes time in a long conversation. It is made once, and after writes that were not noted (session_replication_role).
  if unread_now is null or unread_now < 0 then
    delete from rowcast.inbox_due d where d.ctid = any (array(
      select p.ctid from rowcast.inbox_due p where p.contact_id = contact for update skip locked));
    -- What is due to others they will add.
    unread_now := (select count(*) from public.messages m where m.contact_id = contact and m.direction = 'inbound' and m.status <> 'read')
      - (select coalesce(sum(p.unread), 0) from rowcast.inbox_due p where p.contact_id = contact);
  end if;
  if (known.last_message, known.last_message_at, known.unread) is distinct from (preview, last_at, unread_now) then
    update public.conversations c
    set last_message = preview, last_message_at = last_at, unread = unread_now, updated_at = clock_timestamp()
    where c.contact_id = contact;
  end if;
end $$;

-- Settles all that its transaction has noted; the first one does. Its plans use indexes: a session keeps them, and may have made them when
-- there were few messages.
create function rowcast.chat_settle() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off set lock_timeout = '100ms' as $$
declare
  due record;
begin
  if current_setting('rowcast.inbox_late', true) = pg_current_xact_id()::text then
    return null;
  end if;
  begin
    for due in
      with mine as (delete from rowcast.inbox_due d where d.xid = pg_current_xact_id() returning d.contact_id, d.unread)
      select m.contact_id, sum(m.unread)::int as unread from mine m group by 1 order by m.contact_id collate "C"
    loop
      perform rowcast.chat_show(due.contact_id, due.unread);
    end loop;
  exception when others then
    -- What was noted is noted still, since this block is undone; and is tried once in a transaction.
    perform set_config('rowcast.inbox_late', pg_current_xact_id()::text, true);
    -- The index goes with the table, which somebody may have dropped, and have put another one in its place.
    if to_regclass('public.conversations_inbox') is null then
      delete from rowcast.inbox_due d where d.xid = pg_current_xact_id();
    end if;
  end;
  return null;
end $$;

-- Settles what commits have left, and counts what is uncounted: some conversations at a time, so that no writer waits for long. Says what it
-- could not settle, which is noted still. Nothing is left when `settled` and `failed` are 0.
create or replace function rowcast.settle_conversations(most int default 500) returns table (settled bigint, failed bigint, problem text)
language plpgsql security definer set search_path = pg_catalog, pg_temp set enable_seqscan = off set jit = off set lock_timeout = '100ms' as $$
declare
  due record;
begin
  settled := 0;
  failed := 0;
  -- A look that finds nothing writes nothing.
  if not exists (select from rowcast.inbox_due) and not exists (select from rowcast.inbox_uncounted) then
    return next;
    return;
  end if;
  -- What it notes itself is for the next call, and not for its commit.
  perform set_config('rowcast.inbox_late', pg_current_xact_id()::text, true);
  if to_regclass('public.conversations_inbox') is null then
    delete from rowcast.inbox_due;
    delete from rowcast.inbox_uncounted;
    return next;
    return;
  end if;
  delete from rowcast.inbox_uncounted u where u.contact_id is null;
  if found then
    -- From one contact to the next by the index, however many messages each has.
    insert into rowcast.inbox_uncounted
    with recursive contacts as (
      (select m.contact_id from public.messages m order by m.contact_id limit 1)
      union all
      select (select m.contact_id from public.messages m where m.contact_id > c.contact_id order by m.contact_id limit 1)
      from contacts c where c.contact_id is not null
    )
    select contact_id from contacts where contact_id is not null union select c.contact_id from public.conversations c;
  end if;

  for due in
    with late as (
      delete from rowcast.inbox_due d where d.ctid = any (array(
        select p.ctid from rowcast.inbox_due p order by p.xid limit most for update skip locked))
      returning d.contact_id, d.unread
    ), uncounted as (
      delete from rowcast.inbox_uncounted u where u.ctid = any (array(
        select p.ctid from rowcast.inbox_uncounted p limit most for update skip locked))
      returning u.contact_id
    )
    select each.contact_id, sum(each.unread)::int as unread, bool_or(each.unread is null) as is_uncounted
    from (select l.contact_id, l.unread from late l union all select u.contact_id, null from uncounted u) each
    group by 1 order by each.contact_id collate "C"
  loop
    begin
      perform rowcast.chat_show(due.contact_id, case when not due.is_uncounted then due.unread end);
      settled := settled + 1;
    exception when others then
      failed := failed + 1;
      problem := sqlerrm;
      insert into rowcast.inbox_due (contact_id, unread) select due.contact_id, due.unread where due.unread is not null;
      insert into rowcast.inbox_uncounted select due.contact_id where due.is_uncounted;
    end;
  end loop;
  return next;
end $$;
comment on function rowcast.settle_conversations is
  'brings public.conversations up to date with messages whose commit could not; servers call it, and it can be called until it returns 0, 0';

create function rowcast.chat_truncate() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '100ms' as $$
begin
  delete from rowcast.inbox_due;
  if to_regclass('public.conversations_inbox') is not null then
    truncate public.conversations;
  end if;
  return null;
exception when others then
  -- Somebody reads the list at this moment.
  insert into rowcast.inbox_uncounted values (null);
  return null;
end $$;

create or replace function rowcast.recount_conversations() returns void
language sql security definer set search_path = pg_catalog, pg_temp as 'insert into rowcast.inbox_uncounted values (null)';
comment on function rowcast.recount_conversations is
  'has all of public.conversations compared with the messages, after writes that fired no triggers: by a server, or by rowcast.settle_conversations';

-- Makes the inbox, unless there is another table of its name; says which.
create or replace function rowcast.create_inbox() returns text
language plpgsql set search_path = pg_catalog, pg_temp set client_min_messages = warning as $$
declare
  ours constant text[] := array['contact_id text!', 'last_message jsonb', 'last_message_at timestamp with time zone', 'unread integer',
    'updated_at timestamp with time zone!'];
  found text[] := array(
    select format('%s %s%s', a.attname, format_type(a.atttypid, a.atttypmod), case when a.attnotnull then '!' end)
    from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.oid = to_regclass('public.conversations') and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped);
begin
  if to_regclass('public.conversations') is not null and not (found @> ours and found <@ ours) then
    return 'another public.conversations is there and left alone: no inbox, unless it is renamed and rowcast.create_inbox() called';
  end if;

  -- Each new message changes a row here. A status that does leaves the index alone, where the page has space.
  create table if not exists public.conversations (
    contact_id text primary key,
    last_message jsonb,
    last_message_at timestamptz,
    unread int,
    updated_at timestamptz not null default clock_timestamp()
  ) with (fillfactor = 80, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.05);
  create index if not exists conversations_inbox on public.conversations (last_message_at, contact_id);

  create or replace trigger note_insert after insert on public.messages
  referencing new table as new_rows for each statement execute function rowcast.chat_note();
  create or replace trigger note_update after update on public.messages
  referencing old table as old_rows new table as new_rows for each statement execute function rowcast.chat_note();
  create or replace trigger note_delete after delete on public.messages
  referencing old table as old_rows for each statement execute function rowcast.chat_note();
  create or replace trigger note_truncate after truncate on public.messages
  for each statement execute function rowcast.chat_truncate();
  if not exists (select from pg_trigger where tgrelid = 'rowcast.inbox_due'::regclass and tgname = 'settle') then
    create constraint trigger settle after insert on rowcast.inbox_due deferrable initially deferred
    for each row when (current_setting('transaction_isolation') in ('read committed', 'read uncommitted'))
    execute function rowcast.chat_settle();
  end if;

  -- A conversation that is made in this moment has no message yet: the condition keeps it out until it has one.
  perform rowcast.attach(
    'public.conversations',
    room => 'inbox:all',
    rules => '[
      {"on": "insert", "event": "message:new"},
      {"on": "update", "event": "message:new", "columns": ["last_message", "last_message_at", "unread"]},
      {"on": "delete", "event": "message:deleted"}]',
    condition => '$.last_message_at != null',
    order_column => 'last_message_at'
  );
  -- What is there already is counted once the triggers are: this transaction has a lock for which writers wait.
  perform rowcast.recount_conversations();
  return 'public.conversations is made';
end $$;
comment on function rowcast.create_inbox is 'makes public.conversations of the chat tables, unless there is another table of that name; says which';

revoke all on function rowcast.chat_note(), rowcast.chat_settle(), rowcast.chat_preview(uuid, text, text, text, text, jsonb), rowcast.chat_truncate(),
  rowcast.chat_show(text, int), rowcast.settle_conversations(int), rowcast.recount_conversations(), rowcast.create_inbox() from public;
revoke all on rowcast.inbox_due, rowcast.inbox_uncounted from public;

do $$
declare
  said text := rowcast.create_inbox();
begin
  if said like '%left alone%' then
    raise warning '%', said;
  end if;
end $$;
