-- Attached: the definitions of the attached tables; what each table and its triggers were like when it was attached.
--
-- Guarantee: whatever writes a row of rowcast.attached, `made` says what stood there at that moment, unless the row says so itself, as
--            that of a restored dump does. A migration that writes the functions of a source anew updates its row in the same
--            transaction, and `made` has the functions as they are when that commits.
-- Cost:      none for writers. Attaching and detaching send one NOTIFY, except in poll-only mode, or where the queue fills up.
-- Rights:    functions run as their owner with a fixed search_path; execute is revoked from public.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

create table rowcast.attached (
  source text primary key,
  capture text not null unique,
  room text not null,
  events jsonb not null,
  condition text,
  key_columns text[] not null,
  room_columns text[] not null,
  columns text[] not null,
  omit text[] not null,
  key_case text not null,
  order_column text,
  careful boolean not null,
  row_sql text not null,
  attached_at timestamptz not null default now(),
  made jsonb,
  forms jsonb,
  as_text text[],
  words jsonb,
  defaults jsonb,
  timezone text,
  lookups jsonb,
  rooms jsonb,
  order_columns text[],
  feeds jsonb,
  tree boolean,
  by_row boolean,
  always boolean
);
comment on table rowcast.attached is
  'one row per attached table: the arguments of rowcast.attach, with what it chose where an argument was left out';
comment on column rowcast.attached.source is 'the table''s name when it was attached, with its schema, quoted where SQL needs that';
comment on column rowcast.attached.capture is 'the trigger functions are rowcast.capture_<this>_insert, _update and _delete';
comment on column rowcast.attached.room is 'the template of the room, such as conversation:{customer_id}';
comment on column rowcast.attached.events is 'in the order they fire: [{"on", "columns", "event", "payload"}]';
comment on column rowcast.attached.room_columns is 'the columns that the room''s template names';
comment on column rowcast.attached.columns is 'the table''s columns when it was attached';
comment on column rowcast.attached.omit is 'the columns that {row} leaves out';
comment on column rowcast.attached.order_column is 'the column that history is sorted by, before the key';
comment on column rowcast.attached.careful is 'a column''s type may refuse to become jsonb, so each row is tried first';
comment on column rowcast.attached.row_sql is '{row} as an SQL expression over "after", the row as jsonb';
comment on column rowcast.attached.made is
  'what attach found and made: {"types": {column: type}, "code": {operation: the trigger function''s [xmin, md5]}}';
comment on column rowcast.attached.forms is
  'how columns become JSON, where that is not as to_jsonb has it: text, texts (an array of them), instant (timestamptz), local (timestamp)';
comment on column rowcast.attached.as_text is 'further columns that are sent as text';
comment on column rowcast.attached.words is 'what is sent for values: {"ack": {"0": "sent"}}';
comment on column rowcast.attached.defaults is 'what is sent for null: {"author": "bot"}';
comment on column rowcast.attached.timezone is 'the zone of columns of type timestamp; null for UTC';
comment on column rowcast.attached.lookups is
  'rows of other tables, by name: {"chat": {"table", "column": [ours], "key": [theirs], "types": [of the key], "row": [shown in {row}], "columns": {name: form}}}';
comment on column rowcast.attached.rooms is
  'where there is more to say than room and events do: [{"room", "condition", "events"}], in the order in which they get their events';
comment on column rowcast.attached.order_columns is 'the columns that history is sorted by, before the key; null for order_column alone';
comment on column rowcast.attached.feeds is
  'what history reads, one per room that message:new goes to: {"room", "columns", "lookups", "room_sql", "belongs_sql", "row_sql", "key_sql", "id_column", "key", "order", "members"}, SQL over "after"';
comment on column rowcast.attached.tree is 'whether it has parts: partitions, or tables that inherit from it';
comment on column rowcast.attached.by_row is 'whether its triggers are called for each row';
comment on column rowcast.attached.always is 'whether its triggers fire whatever session_replication_role says';

-- The table that has a source's triggers: not its parts, which have some by another name, or copies that Postgres makes for each row. An oid
-- as text is that table: who knows the table of a row passes it where a source's name is accepted.
create function rowcast.relation_of(capture text) returns regclass
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when capture ~ '^[0-9]+$' then capture::oid::regclass else (
    select t.tgrelid::regclass
    from pg_proc p join pg_trigger t on t.tgfoid = p.oid
    where p.pronamespace = 'rowcast'::regnamespace and not t.tgisinternal and t.tgparentid = 0 and not starts_with(t.tgname, 'rowcast_part_')
      and p.proname = any (array['capture_' || capture || '_insert', 'capture_' || capture || '_update',
                                 'capture_' || capture || '_delete'])
    -- TimescaleDB copies triggers to its chunks by itself.
    order by (select c.relnamespace::regnamespace::text = '_timescaledb_internal' from pg_class c where c.oid = t.tgrelid), t.tgrelid limit 1) end
$$;

-- The attached table that a name means: the one that the table was attached with, or the one that it has now. A name without a schema is
-- enough where only one attached table is called so.
create function rowcast.definition_of(source text) returns rowcast.attached
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  name constant text[] := parse_ident(definition_of.source);
  found rowcast.attached;
  others text[];
begin
  select a.* into found from rowcast.attached a
  where name in (parse_ident(a.source), parse_ident(rowcast.relation_of(a.capture)::text))
  order by parse_ident(a.source) = name desc limit 1;
  if found.source is not null or cardinality(name) <> 1 then
    return found;
  end if;
  others := array(
    select a.source from rowcast.attached a
    where name[1] in ((parse_ident(a.source))[2], (parse_ident(rowcast.relation_of(a.capture)::text))[2])
    order by a.source);
  if cardinality(others) > 1 then
    raise exception '% tables are attached that are called %: %; say which with its schema', cardinality(others), definition_of.source,
      array_to_string(others, ', ') using errcode = '42P09';
  end if;
  select a.* into found from rowcast.attached a where a.source = others[1];
  return found;
end $$;

-- A type is its oid where that is Postgres's own, which means below 16384, and else its name: neither changes with a setting or in a
-- restore. rowcast.sources has the same expression.
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

revoke all on function rowcast.relation_of, rowcast.definition_of, rowcast.made_by_attach, rowcast.remember_source,
  rowcast.remember_code, rowcast.tell_sources from public;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
