-- Attached as: remembers what a table and its triggers were like when it was attached, and tells servers of each attach and detach.
--
-- Guarantee: whatever writes a row of rowcast.attached, `made` says what stood there at that moment, unless the row says so itself, as
--            that of a restored dump does. A migration that writes the functions of a source anew updates its row in the same
--            transaction, and `made` has the functions as they are when that commits.
-- Cost:      none for writers. Attaching and detaching send one NOTIFY, except in poll-only mode, or where the queue fills up.
-- Rights:    functions run as their owner with a fixed search_path; execute is revoked from public.

alter table rowcast.attached add column made jsonb;
comment on column rowcast.attached.made is
  'what attach found and made: {"types": {column: type}, "code": {operation: the trigger function''s [xmin, md5]}}';

-- A type is its oid where that is Postgres's own, which means below 16384, and else its name: neither changes with a setting or in a
-- restore. 0021_problems.sql has the same expression.
create function rowcast.made_by_attach(definition rowcast.attached) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
  select jsonb_build_object(
    'types', (
      select jsonb_object_agg(attname, case when atttypid < 16384 then atttypid::text
                                            else (select typname::text from pg_type where oid = atttypid) end)
      from pg_attribute
      where attrelid = coalesce(
          rowcast.relation_of(definition.capture),
          (select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
           where array[nspname, relname]::text[] = parse_ident(definition.source)))
        and attname = any (definition.columns) and not attisdropped),
    'code', (
      select jsonb_object_agg(operation, jsonb_build_array(p.xmin::text, md5(p.prosecdef || p.prosrc)))
      from unnest('{insert,update,delete}'::text[]) as operation
      join pg_proc p on p.pronamespace = 'rowcast'::regnamespace
                    and p.proname = 'capture_' || definition.capture || '_' || operation))
$$;

create function rowcast.remember_source() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  new.made := rowcast.made_by_attach(new);
  return new;
end $$;

-- attach writes its row after the triggers, so they are there.
create trigger remember before insert or update on rowcast.attached
for each row when (new.made is null) execute function rowcast.remember_source();

-- Later updates of a row come with functions that are written anew, before or after: they are looked at when all is done.
create function rowcast.remember_code() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update rowcast.attached a set made = a.made || jsonb_build_object('code', rowcast.made_by_attach(a) -> 'code')
  where a.source = new.source and a.made -> 'code' is distinct from rowcast.made_by_attach(a) -> 'code';
  return null;
end $$;

create constraint trigger remember_code after update on rowcast.attached deferrable initially deferred
for each row when (new.made = old.made) execute function rowcast.remember_code();

-- A NOTIFY fails what it is in where the queue is full, and makes PREPARE TRANSACTION fail. Servers look by themselves as well.
create function rowcast.tell_sources() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if pg_notification_queue_usage() < 0.5
     and exists (select from pg_trigger where tgrelid = 'rowcast.events'::regclass and tgname = 'wake' and tgenabled <> 'D') then
    perform pg_notify('rowcast_sources', '');
  end if;
  return null;
exception when others then
  return null; -- Where the question is not allowed, servers are told a little later.
end $$;

create trigger tell after insert or update or delete on rowcast.attached
for each statement execute function rowcast.tell_sources();

update rowcast.attached set made = null;

revoke all on all functions in schema rowcast from public;
