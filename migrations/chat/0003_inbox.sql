-- Inbox: a row for each conversation of the chat tables, for a list of them: its newest message, when that was, and how many are unread.
--
-- A statement that writes messages notes which conversations it touched, in rowcast.inbox_due. The commit settles them: the conversations of
-- the whole transaction are locked in the order of their ids, each for as long as the commit takes, and then compared with the messages, which
-- are read after the lock, so that what other transactions have committed meanwhile is seen. Unread messages are counted by what the
-- transaction added, once a conversation has a row.
--
-- Guarantee: from each commit on, a row of public.conversations is what its messages say, whoever writes them at the same time. Unread is what
--            came in and has another status than "read". A conversation without messages has no row. Nobody waits for another writer's
--            transaction, only for its commit, and commits never wait for each other in a circle. A transaction of isolation level REPEATABLE
--            READ or SERIALIZABLE fails with 40001, and is to be tried again, if another one has written to its conversation meanwhile.
--            A table public.conversations of somebody else's is left alone; then there is no inbox.
-- Cost:      docs/sql.md, "The inbox", has figures. What is there already is counted once, while writers wait.
-- Rights:    needs CREATE on schema public. The functions run as their owner with a fixed search_path; execute is revoked from public. Who reads
--            the list needs SELECT on it.

-- Without "already exists, skipping": the schema rowcast may have been dropped, and the tables have stayed.
set local client_min_messages = warning;

-- What a transaction has touched and its commit has not settled yet: nothing that anybody else can see.
create table if not exists rowcast.inbox_due (
  xid xid8 not null default pg_current_xact_id(),
  -- The first one of its transaction has the trigger that settles all.
  first boolean not null,
  contacts text[] not null,
  -- By how much each has more unread messages.
  unread int[] not null
);
create index if not exists inbox_due_xid on rowcast.inbox_due (xid);

create function rowcast.chat_note() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  contacts text[];
  unread int[];
begin
  if tg_op = 'INSERT' then
    select array_agg(s.contact_id), array_agg(s.unread) into contacts, unread
    from (select contact_id, count(*) filter (where direction = 'inbound' and status <> 'read') as unread from new_rows group by 1) s;
  elsif tg_op = 'DELETE' then
    select array_agg(s.contact_id), array_agg(s.unread) into contacts, unread
    from (select contact_id, -count(*) filter (where direction = 'inbound' and status <> 'read') as unread from old_rows group by 1) s;
  else
    select array_agg(s.contact_id), array_agg(s.unread) into contacts, unread
    from (
      select side.contact_id, sum(side.unread) as unread
      from old_rows o full join new_rows n using (id)
      cross join lateral (values
        (o.contact_id, -(o.direction = 'inbound' and o.status <> 'read')::int),
        (n.contact_id, (n.direction = 'inbound' and n.status <> 'read')::int)) as side (contact_id, unread)
      where side.contact_id is not null
        and (o.contact_id, o.direction, o.author, o.body, o.status, o.metadata ->> 'type', o.created_at)
          is distinct from (n.contact_id, n.direction, n.author, n.body, n.status, n.metadata ->> 'type', n.created_at)
      group by 1) s;
  end if;
  if contacts is not null then
    insert into rowcast.inbox_due (first, contacts, unread)
    values (not exists (select from rowcast.inbox_due d where d.xid = pg_current_xact_id()), contacts, unread);
  end if;
  return null;
end $$;

-- What a list shows of a message. Of a long text the beginning is enough, and no conversation is too large for an event.
create function rowcast.chat_preview(id uuid, direction text, author text, body text, status text, metadata jsonb) returns jsonb
language sql stable return pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
  'id', id, 'direction', direction, 'author', pg_catalog.left(author, 200), 'body', pg_catalog.left(body, 200), 'status', status,
  'type', case when pg_catalog.jsonb_typeof(metadata operator(pg_catalog.->) 'type') = 'string'
    then pg_catalog.left(metadata operator(pg_catalog.->>) 'type', 200) end));

-- Its plans use indexes, and are made once: a session keeps them, and may have made them when there were few messages.
create function rowcast.chat_settle() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp set enable_seqscan = off set plan_cache_mode = force_generic_plan set lock_timeout = 0 as $$
declare
  touched text[] := new.contacts;
  more_unread int[] := new.unread;
  known record;
  last_at timestamptz;
  preview jsonb;
  unread_now int;
begin
  delete from rowcast.inbox_due d where d.xid = pg_current_xact_id() and d.first;
  if cardinality(touched) > 1 or exists (select from rowcast.inbox_due d where d.xid = pg_current_xact_id()) then
    with others as (
      delete from rowcast.inbox_due d where d.xid = pg_current_xact_id() returning d.contacts, d.unread
    ), all_of_them as (
      select contacts, unread from others union all select touched, more_unread
    ), each as (
      select u.contact_id, sum(u.unread)::int as unread
      from all_of_them a cross join lateral unnest(a.contacts, a.unread) as u (contact_id, unread) group by 1
    )
    select array_agg(contact_id order by contact_id collate "C"), array_agg(unread order by contact_id collate "C")
    into touched, more_unread from each;
  end if;
  -- The index goes with the table, which somebody may have dropped, and have put another one in its place.
  if to_regclass('public.conversations_inbox') is null then
    return null;
  end if;

  for nr in 1 .. cardinality(touched) loop
    loop
      select * into known from public.conversations c where c.contact_id = touched[nr] for no key update;
      exit when found or not exists (select from public.messages m where m.contact_id = touched[nr]);
      -- Made without what it says, since what is read before the lock may be old.
      insert into public.conversations (contact_id) values (touched[nr]) on conflict (contact_id) do nothing;
    end loop;
    continue when known.contact_id is null;

    select m.created_at, rowcast.chat_preview(m.id, m.direction, m.author, m.body, m.status, m.metadata) into last_at, preview
    from public.messages m where m.contact_id = touched[nr] order by m.created_at desc, m.id desc limit 1;
    if not found then
      delete from public.conversations c where c.contact_id = touched[nr];
      continue;
    end if;
    -- A count takes time in a long conversation, so it is made once.
    unread_now := greatest(known.unread + more_unread[nr], 0);
    if known.unread is null then
      unread_now := (select count(*) from public.messages m
                     where m.contact_id = touched[nr] and m.direction = 'inbound' and m.status <> 'read');
    end if;
    if (known.last_message, known.last_message_at, known.unread) is distinct from (preview, last_at, unread_now) then
      update public.conversations c
      set last_message = preview, last_message_at = last_at, unread = unread_now, updated_at = clock_timestamp()
      where c.contact_id = touched[nr];
    end if;
  end loop;
  return null;
end $$;

create function rowcast.chat_truncate() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if to_regclass('public.conversations_inbox') is not null then
    truncate public.conversations;
  end if;
  return null;
end $$;

-- Compares all conversations with their messages: of those that were there before the triggers were, and of those that were written without
-- them (session_replication_role).
create or replace function rowcast.recount_conversations() returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp set jit = off as $$
declare
  changed bigint;
  gone bigint;
begin
  -- Commits of writers wait meanwhile. What they have not committed they add then.
  lock table public.conversations in share row exclusive mode;
  delete from public.conversations c where not exists (select from public.messages m where m.contact_id = c.contact_id);
  get diagnostics gone = row_count;
  insert into public.conversations as c (contact_id, last_message, last_message_at, unread)
  select n.contact_id, rowcast.chat_preview(n.id, n.direction, n.author, n.body, n.status, n.metadata), n.created_at, u.unread
  from (select distinct on (m.contact_id) m.* from public.messages m order by m.contact_id, m.created_at desc, m.id desc) n
  join (select m.contact_id, count(*) filter (where m.direction = 'inbound' and m.status <> 'read') as unread
        from public.messages m group by 1) u using (contact_id)
  on conflict (contact_id) do update
  set last_message = excluded.last_message, last_message_at = excluded.last_message_at, unread = excluded.unread, updated_at = clock_timestamp()
  where (c.last_message, c.last_message_at, c.unread) is distinct from (excluded.last_message, excluded.last_message_at, excluded.unread);
  get diagnostics changed = row_count;
  return changed + gone;
end $$;
comment on function rowcast.recount_conversations is
  'compares public.conversations with the messages, and corrects it; returns how many rows it changed';

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

  create table if not exists public.conversations (
    contact_id text primary key,
    last_message jsonb,
    last_message_at timestamptz,
    unread int,
    updated_at timestamptz not null default clock_timestamp()
  );
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
    for each row when (new.first) execute function rowcast.chat_settle();
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
  perform rowcast.recount_conversations();
  return 'public.conversations is made';
end $$;
comment on function rowcast.create_inbox is 'makes public.conversations of the chat tables, unless there is another table of that name; says which';

revoke all on function rowcast.chat_note(), rowcast.chat_settle(), rowcast.chat_preview(uuid, text, text, text, text, jsonb), rowcast.chat_truncate(),
  rowcast.recount_conversations(), rowcast.create_inbox() from public;
revoke all on rowcast.inbox_due from public;

do $$
declare
  said text := rowcast.create_inbox();
begin
  if said like '%left alone%' then
    raise warning '%', said;
  end if;
end $$;
