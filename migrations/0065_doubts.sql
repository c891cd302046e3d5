-- Doubts: attach says which messageId no page finds a row by, and which deletes no room hears of.
--
-- Replaces rowcast.attach of 0057_trees.sql and rowcast.preview of 0061_preview.sql: what they say of themselves still holds, but for what is
-- said here.
--
-- Guarantee: whatever could be attached still can, by whoever might attach. What is in doubt is told in a NOTICE, each with what mends it.
-- Cost:      writers pay nothing; an attach reads what the catalog says of foreign keys.
-- Rights:    as in 0057_trees.sql; execute of what is added is revoked from public.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

-- What a NOTICE says of a messageId by which the client kit finds no row: it knows a message by its key, as history shows that, or, where
-- history doesn't show all of it, by its member "id".
create function rowcast.doubtful_ids(definition rowcast.attached) returns setof text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select format('%s in the room "%s" has the messageId "%s", and the client kit knows a row of %s by %s: it does not find the row; give "messageId": "%s"%s',
    rule.event, feed.room, rule.message_id, definition.source,
    case when feed.key = '[]' then format('its member "id", "%s"', known.id)
         else format('its key (%s)%s', array_to_string(definition.key_columns, ', '),
                     case when cardinality(definition.key_columns) > 1 then ', joined by ":"' else '' end) end,
    known.id, case when feed.key <> '[]' then ', or no payload' else '' end)
  from (select f ->> 'room' as room, f -> 'key' as key, nth from jsonb_array_elements(definition.feeds) with ordinality as x (f, nth)) feed
  cross join lateral (select r.events from rowcast.rooms_of(definition) r where r.room = feed.room) room
  cross join lateral (
    select e -> 'payload' -> 'message' as template from jsonb_array_elements(room.events) with ordinality as x (e, nth)
    where e ->> 'on' = 'insert' and e ->> 'event' = 'message:new' order by nth limit 1
  ) message
  cross join lateral (
    select case
      when feed.key <> '[]' then rowcast.key_template(definition)
      when jsonb_typeof(message.template) = 'object' then message.template ->> 'id'
      else (select rowcast.placeholder(m.col) from rowcast.row_members(definition, 'after') m where m.member = 'id' and m.col is not null) end as id
  ) known
  cross join lateral (
    select e ->> 'event' as event, e -> 'payload' ->> 'messageId' as message_id, min(nth) as place
    from jsonb_array_elements(room.events) with ordinality as x (e, nth)
    where jsonb_typeof(e -> 'payload' -> 'messageId') = 'string' and not e -> 'payload' ? 'message' and e ->> 'event' like 'message:%'
    group by 1, 2
  ) rule
  where replace(rule.message_id, ':text}', '}') <> replace(known.id, ':text}', '}')
  order by feed.nth, rule.place
$$;

-- What a NOTICE says of deletes that a foreign key cascades: the row that was looked up is gone when ours goes, and with it the room, or what
-- a condition asks. So it is with rows that a foreign key makes point to nothing.
create function rowcast.doubtful_cascades(definition rowcast.attached, relation regclass) returns setof text
language sql stable set search_path = pg_catalog, pg_temp as $$
  with recursive needed (room, lookup) as (
    select r.room, n.lookup
    from rowcast.rooms_of(definition) r
    cross join lateral (
      select p.name from rowcast.pieces(r.room) p where p.name is not null
      union
      select name from unnest(array[definition.condition, r.condition]) as c (condition) cross join lateral rowcast.named_by(definition, c.condition) as name
    ) named
    cross join lateral rowcast.reference(definition, named.name) n
    where n.lookup is not null and r.events @> '[{"on": "delete"}]'
    union
    -- What points to what is looked up may itself be looked up.
    select needed.room, n.lookup
    from needed cross join jsonb_array_elements_text(definition.lookups -> needed.lookup -> 'column') as col
    cross join lateral rowcast.reference(definition, col) n
    where col <> all (definition.columns) and n.lookup is not null
  )
  select format('the room "%s" needs the row of %s (the lookup "%s"), and the foreign key %s %s when that row is deleted: such deletes have no room, so '
    'nobody hears of them; delete the rows of %s before it, or call rowcast.reload(%L) after it, or give a room out of columns of its own',
    needed.room, definition.lookups -> needed.lookup ->> 'table', needed.lookup, c.conname,
    case c.confdeltype when 'c' then format('deletes rows of %s', definition.source) else format('lets rows of %s point to nothing', definition.source) end,
    definition.source, definition.source)
  from needed
  join pg_constraint c on c.contype = 'f' and c.confdeltype in ('c', 'n', 'd')
    and c.confrelid = to_regclass(definition.lookups -> needed.lookup ->> 'table')
    and (c.conrelid = relation or c.conparentid = 0 and c.conrelid in (select p.part from rowcast.parts_of(relation) p))
  order by needed.room, needed.lookup, c.conname
$$;

-- All that a NOTICE says of a definition, but for its rooms.
create function rowcast.doubts(definition rowcast.attached, relation regclass, order_was_given boolean) returns setof text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select doubt from (
    select 1 as place, rowcast.doubtful_order(definition, relation, order_was_given) as doubt
    union all select 2, d from rowcast.doubtful_ids(definition) as d
    union all select 3, d from rowcast.doubtful_cascades(definition, relation) as d
  ) doubts where doubt is not null order by place
$$;

-- As in 0057_trees.sql, with all that is in doubt.
create or replace function rowcast.attach(
  source regclass,
  room text default null,
  on_insert text default null,
  on_update text default null,
  on_delete text default null,
  update_columns text[] default null,
  rules jsonb default null,
  condition jsonpath default null,
  payload jsonb default null,
  omit text[] default '{}',
  key_case text default 'camel',
  order_column text default null,
  dry_run boolean default false,
  rooms jsonb default null,
  lookups jsonb default null,
  words jsonb default null,
  defaults jsonb default null,
  as_text text[] default null,
  order_columns text[] default null,
  timezone text default null,
  capture text default 'statement',
  always boolean default false
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp set quote_all_identifiers = off set jit = off as $$
#variable_conflict use_variable
declare
  definition rowcast.attached;
  other record;
  statements text := '';
  doubt text;
  -- What is dropped that isn't there would be told.
  loud text := current_setting('client_min_messages');
  limited boolean := current_setting('lock_timeout') <> '0';
  -- As in 0036_readers.sql.
  caller text := case current_setting('role') when 'none' then session_user else current_setting('role') end;
begin
  if source is null then
    perform rowcast.refuse('source is null; accepted: the name of a table');
  end if;
  if capture is null or capture not in ('statement', 'row') then
    perform rowcast.refuse(format('capture is "%s"; accepted: statement, row', capture));
  end if;
  definition := rowcast.define(source, jsonb_build_object('room', room, 'on_insert', on_insert, 'on_update', on_update, 'on_delete', on_delete,
    'update_columns', update_columns, 'rules', rules, 'payload', payload), rooms, condition::text, omit, key_case, order_column, order_columns,
    lookups, words, defaults, as_text, timezone, capture = 'row', coalesce(always, false));

  -- A table may have been renamed since it was attached, and another table may have its old name.
  for other in
    select a.source, a.capture, rowcast.relation_of(a.capture) as relation, a.by_row is true as by_row, a.tree is true as tree
    from rowcast.attached a
  loop
    if other.source = definition.source and other.relation <> source then
      -- The tables were swapped: the definition moves to the one that has the name now.
      if not has_table_privilege(caller, other.relation, 'select') then
        perform rowcast.refuse(format('the definition of %s belongs to %s, which was renamed and which %s may not read', other.source,
          other.relation, caller), format('select rowcast.detach(%L);', other.relation));
      end if;
      raise notice 'rowcast.attach: % was attached as %, and is captured no more', other.relation, other.source;
      statements := rowcast.drop_functions_sql(definition) || statements;
    elsif other.source = definition.source and (other.by_row <> definition.by_row or other.tree <> definition.tree) then
      statements := rowcast.drop_functions_sql(definition) || statements;
    elsif other.relation = source and other.source <> definition.source then
      statements := format(E'select rowcast.detach(%L);\n\n', other.source) || statements;
    elsif other.relation in (select p.part from rowcast.parts_of(source) p) then
      raise notice 'rowcast.attach: % was attached by itself, and is captured as a part of % instead', other.source, definition.source;
      statements := format(E'select rowcast.detach(%L);\n\n', other.source) || statements;
    end if;
  end loop;
  statements := statements || rowcast.attach_sql(definition);
  if to_jsonb(definition)::text ~ '\$(capture|lookup)\$' then
    perform rowcast.refuse('an argument or a column contains $capture$ or $lookup$, which quote the generated code');
  end if;

  for doubt in select d from rowcast.doubts(definition, source, order_column is not null or order_columns is not null) as d loop
    raise notice 'rowcast.attach: %', doubt;
  end loop;
  if not dry_run then
    if not limited then
      perform set_config('lock_timeout', '5s', true);
    end if;
    perform set_config('client_min_messages', 'warning', true);
    begin
      execute statements;
    exception when lock_not_available then
      raise exception 'rowcast.attach: % could not be locked within %: a transaction that wrote to it is still open',
        definition.source, current_setting('lock_timeout') using errcode = '55P03', hint = 'Try again, or set lock_timeout.';
    end;
    perform set_config('client_min_messages', loud, true);
    if not limited then
      perform set_config('lock_timeout', '0', true);
    end if;
  end if;
  return statements;
end $$;

-- As in 0061_preview.sql, with all that is in doubt.
create or replace function rowcast.preview(source regclass, arguments jsonb, with_examples boolean default true) returns json
language plpgsql security definer set search_path = pg_catalog, pg_temp set quote_all_identifiers = off as $$
#variable_conflict use_variable
declare
  name text := (select format('%I.%I', nspname, relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = source);
  call text;
  statements text;
  definition rowcast.attached;
  unread text;
  examples json;
begin
  if name is null then
    perform rowcast.refuse('source is null; accepted: the name of a table');
  end if;
  call := rowcast.attach_call(name, arguments);
  execute left(call, -1) || ', dry_run => true)' into statements;
  -- The definition is the last thing that the statements insert. A line can't begin like this within a literal of JSON.
  execute 'select (d).* from (select jsonb_populate_record(null::rowcast.attached, '
    || substring(statements from '.*\ninsert into rowcast\.attached select \* from jsonb_populate_record\(null::rowcast\.attached, (.*)\);$')
    || ') as d) x' into definition;
  if not has_table_privilege(source, 'select') then
    unread := format('%s, who owns the schema rowcast, may not read %s: grant select on %2$s to %1$I', current_user, name);
  elsif row_security_active(source) then
    unread := format('row security may hide rows of %s from %s, who owns the schema rowcast', name, current_user);
  elsif not rowcast.plans_no_code(source) then
    unread := format('an index, a constraint or a statistic of %s runs code of somebody who is no superuser, and would run it as %s, who owns the schema rowcast',
                     name, current_user);
  elsif with_examples then
    examples := rowcast.examples(definition, source);
  end if;
  return json_build_object(
    'source', name, 'call', call || ';', 'sql', statements,
    'notices', (
      select coalesce(json_agg(notice), '[]') from (
        select rowcast.doubtful_room(r.room) as notice from rowcast.rooms_of(definition) r
        union all
        select rowcast.doubts(definition, source, coalesce(nullif(arguments -> 'order_column', 'null'),
                                                           nullif(arguments -> 'order_columns', 'null')) is not null)
      ) notices where notice is not null),
    'definition', to_jsonb(definition),
    'attached', (
      select to_jsonb(a) from rowcast.attached a
      where a.source = name or rowcast.relation_of(a.capture) = source order by a.source = name desc limit 1),
    'unread', unread, 'rows', examples -> 'rows', 'examples', examples -> 'examples');
end $$;

revoke all on function rowcast.doubtful_ids, rowcast.doubtful_cascades, rowcast.doubts from public;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
