-- Doubts: what attach says in NOTICEs of a definition that it takes, and that may not be what was meant.
--
-- Guarantee: each doubt is one line that names the thing and what to write instead. rowcast.preview gives the same ones.
-- Cost:      runs when a table is attached.
-- Rights:    functions are called by rowcast.attach and rowcast.preview alone; execute is revoked from public.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

-- What a NOTICE says of a history whose order was guessed, or is decided by a key that says nothing of time; null for nothing.
create function rowcast.doubtful_order(definition rowcast.attached, relation regclass, was_given boolean) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case
    when definition.feeds = '[]' then null
    when not was_given and definition.order_column is null then format(
      'history of %s is sorted by its key alone (%s): give order_columns', definition.source, array_to_string(definition.key_columns, ', '))
    when not was_given and definition.order_column = any (definition.key_columns) then case when random.col is not null then format(
      'history of %s is sorted by %s, which is %s and may be random: give order_columns', definition.source, random.col, random.type) end
    when not was_given then format('history of %s is sorted by %s, a guess by its name%s: say so by order_columns => ''{%2$s}'', or give others',
      definition.source, definition.order_column,
      case when random.col is not null then format('; where that is equal, by %s, which is %s and may be random', random.col, random.type) else '' end)
    when random.col is not null then format(
      'where %s is equal, history of %s is sorted by %s, which is %s and may be random: give one more of order_columns, which grows',
      array_to_string(coalesce(definition.order_columns, array[definition.order_column]), ', '), definition.source, random.col, random.type)
    when definition.key_columns = '{}' then format('history of %s has one page: the table has no primary key', definition.source) end
  from (select) one
  left join lateral (
    select a.attname as col, format_type(a.atttypid, null) as type
    from pg_attribute a
    where a.attrelid = relation and a.attname = any (definition.key_columns) and a.attname <> all (coalesce(definition.order_columns, '{}'))
      and a.atttypid in ('uuid'::regtype, 'text'::regtype, 'varchar'::regtype)
      -- No two rows are equal where one of the columns is unique.
      and not exists (
        select from pg_index i join pg_attribute o on o.attrelid = relation and o.attnum = i.indkey[0]
        where i.indrelid = relation and i.indisunique and i.indpred is null and i.indexprs is null and i.indnkeyatts = 1
          and o.attname = any (coalesce(definition.order_columns, array[definition.order_column])) and o.attname <> all (definition.key_columns))
      -- So it is where one has a sequence of its own.
      and not exists (
        select from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S' join pg_attribute o on o.attrelid = relation and o.attnum = d.refobjsubid
        where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = relation and d.deptype in ('a', 'i')
          and o.attname = any (coalesce(definition.order_columns, array[definition.order_column])) and o.attname <> all (definition.key_columns))
    order by a.attnum limit 1
  ) random on true
$$;

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

-- What a NOTICE says of messages of one's own by which the client kit can't tell rows apart: they have neither the key nor an "id", or another
-- "id" than the one that the room's message:new has.
create function rowcast.doubtful_messages(definition rowcast.attached) returns setof text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case when shown.id is null
    then format('the message of %s in the room "%s" has no "id", and the client kit can''t tell such rows of %s apart: give "id": "%s"',
                shown.event, shown.room, definition.source, coalesce(rowcast.key_template(definition), '{a column that is unique}'))
    else format('the message of %s in the room "%s" has the "id" "%s", that of message:new has "%s": the client kit takes them for two rows of %s; give both the same',
                shown.event, shown.room, shown.id, first.id, definition.source) end
  from (
    select r.room, f.nth, e.nth as place, e.event ->> 'event' as event,
           case when jsonb_typeof(e.event -> 'payload' -> 'message') = 'object' then e.event -> 'payload' -> 'message' ->> 'id'
                else coalesce((select rowcast.placeholder(m.col) from rowcast.row_members(definition, 'after') m where m.member = 'id' and m.col is not null),
                              rowcast.key_template(definition)) end as id
    from rowcast.rooms_of(definition) r
    join (select x.f ->> 'room' as room, x.f -> 'key' as key, x.nth from jsonb_array_elements(definition.feeds) with ordinality as x (f, nth)) f on f.room = r.room and f.key = '[]'
    cross join lateral jsonb_array_elements(r.events) with ordinality as e (event, nth)
    where e.event -> 'payload' ? 'message' and e.event ->> 'event' like 'message:%'
  ) shown
  cross join lateral (
    select n.e -> 'payload' -> 'message' ->> 'id' as id from rowcast.rooms_of(definition) r cross join lateral jsonb_array_elements(r.events) with ordinality as n (e, nth)
    where r.room = shown.room and n.e ->> 'on' = 'insert' and n.e ->> 'event' = 'message:new' and jsonb_typeof(n.e -> 'payload' -> 'message') = 'object'
    order by n.nth limit 1
  ) first
  where shown.id is null or first.id is not null and replace(shown.id, ':text}', '}') <> replace(first.id, ':text}', '}')
  order by shown.nth, shown.place limit 1
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
  ), pointing as (
    select c.*, array(select a.attname::text from pg_attribute a where a.attrelid = c.conrelid and a.attnum = any (c.conkey) order by 1) as names
    from pg_constraint c
    where c.contype = 'f' and (c.conrelid = relation or c.conparentid = 0 and c.conrelid in (select p.part from rowcast.parts_of(relation) p))
  )
  select format('the room "%s" needs the row of %s (the lookup "%s"), and the foreign key %s %s when that row is deleted: such deletes have no room, so '
    'nobody hears of them; delete the rows of %s before it, or call rowcast.reload(%L) after it, or give a room out of columns of its own',
    needed.room, definition.lookups -> needed.lookup ->> 'table', needed.lookup, c.conname,
    case c.confdeltype when 'c' then format('deletes rows of %s', definition.source) else format('lets rows of %s point to nothing', definition.source) end,
    definition.source, definition.source)
  from needed
  cross join lateral (select array(select name from jsonb_array_elements_text(definition.lookups -> needed.lookup -> 'column') as name order by 1)) by (names)
  join pointing c on c.confdeltype in ('c', 'n', 'd') and c.confrelid = to_regclass(definition.lookups -> needed.lookup ->> 'table')
    -- Where the lookup goes by a foreign key of its own, another one points to another row.
    and (c.names = by.names or not exists (
      select from pointing own where own.conrelid = c.conrelid and own.confrelid = c.confrelid and own.names = by.names))
  order by needed.room, needed.lookup, c.conname
$$;

-- All that a NOTICE says of a definition, but for its rooms.
create function rowcast.doubts(definition rowcast.attached, relation regclass, order_was_given boolean) returns setof text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select doubt from (
    select 1 as place, rowcast.doubtful_order(definition, relation, order_was_given) as doubt
    union all select 2, d from rowcast.doubtful_ids(definition) as d
    union all select 3, d from rowcast.doubtful_messages(definition) as d
    union all select 4, d from rowcast.doubtful_cascades(definition, relation) as d
  ) doubts where doubt is not null order by place
$$;

revoke all on function rowcast.doubtful_order, rowcast.doubtful_ids, rowcast.doubtful_messages, rowcast.doubtful_cascades, rowcast.doubts from public;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
