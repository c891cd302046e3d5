-- Rooms: one table may feed several rooms, each with events of its own; and what history reads of each.
--
-- What a client may join is a room of the form <kind>:<id> whose id has 1 to 500 bytes. The id is what follows the room's first colon. A
-- room as a whole has 2048 bytes at most, which an index of the outbox can hold. Rooms of the kind rowcast are the servers' own.
--
-- Guarantee: a room that no client may join is no room: the event is stored without one, and told.
--            "members" of a feed names what a row shows, in events and in history alike; whether a value is there is not said. So tables
--            whose keys differ can feed one room.
-- Cost:      none for writers, but two comparisons per event of a source whose room has no kind in its template.
-- Rights:    functions are called by rowcast.attach alone; execute is revoked from public.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

-- A table's rooms, in the order in which they get their events. `suffix` tells the names of their columns apart.
create function rowcast.rooms_of(definition rowcast.attached)
returns table (place bigint, suffix text, room text, condition text, events jsonb)
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select place, case when place = 1 then '' else '_' || place end, r ->> 'room', r ->> 'condition', r -> 'events'
  from jsonb_array_elements(coalesce(definition.rooms,
    jsonb_build_array(jsonb_build_object('room', definition.room, 'events', definition.events)))) with ordinality as x (r, place)
$$;

-- Whether `room` is one that a client may join: it has a kind, which is not the servers' own, and an id that is neither
-- empty nor too long. Where the template says how long the
-- kind is, this is two numbers.
create function rowcast.joinable_sql(template text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when kind is null
    then 'strpos(room, '':'') > 1 and octet_length(substr(room, strpos(room, '':'') + 1)) between 1 and 500 and octet_length(room) <= 2048 '
         'and not starts_with(room, ''rowcast:'')'
    else format('octet_length(room) between %s and %s', octet_length(kind) + 1, least(octet_length(kind) + 500, 2048)) end
  from substring(template from '^[^{}:]*:') as kind
$$;

-- Whether `room` is one that a client may join, for all rooms of a table.
create function rowcast.joinable_sql(definition rowcast.attached) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when count(distinct test) = 1 then min(test) else rowcast.joinable_sql('{any}') end
  from (select rowcast.joinable_sql(r.room) as test from rowcast.rooms_of(definition) r) tests
$$;

-- Whether a row meets a condition. Where the path can't be evaluated, @@ gives null and raises no error.
create function rowcast.meets_sql(condition text, side text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format('(%s @@ %L) is true', side, condition) where condition is not null
$$;

-- Whether the text of a column, or of one that was looked up, may have a colon in it. A number has none.
create function rowcast.may_have_colon(definition rowcast.attached, name text) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  with recursive named as (
    select r.lookup, r.col from rowcast.reference(definition, may_have_colon.name) r
  ), types (oid) as (
    select a.atttypid
    from named join pg_attribute a on a.attname = named.col and named.lookup is null
    join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    where array[n.nspname, c.relname]::text[] = parse_ident(definition.source)
    union all
    select t.typbasetype from types join pg_type t using (oid) where t.typbasetype <> 0
  )
  select not exists (
      select from types where oid in ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype, 'numeric'::regtype, 'real'::regtype,
                                      'float8'::regtype, 'boolean'::regtype, 'uuid'::regtype, 'date'::regtype, 'oid'::regtype))
    or exists (select from named where definition.defaults ->> col like '%:%'
                                    or jsonb_path_exists(definition.words -> col, '$.* ? (@ like_regex ":")'))
$$;

-- What a NOTICE says of a room whose kind a column has to bring; null for any other.
create function rowcast.doubtful_room(template text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format('the room "%s" has no kind of its own: a row is sent only where its columns make a room <kind>:<id>, such as inbox:7', template)
  where not exists (select from rowcast.pieces(template) where strpos(literal, ':') > 0)
$$;

-- What a source's rooms may be called, as patterns of LIKE.
create function rowcast.room_patterns(definition rowcast.attached) returns text[]
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select array_agg(distinct pattern order by pattern) from (
    select (
      select string_agg(case when p.name is not null then '%' else regexp_replace(p.literal, '([\\%_])', '\\\1', 'g') end, '' order by p.place)
      from rowcast.pieces(r.room) p) as pattern
    from rowcast.rooms_of(definition) r
  ) patterns
$$;

-- What history reads: each room that message:new goes to. One expression makes the row for events and for history; where the events have
-- another "message" than {row}, history has that. {at} is null there: when a row was written isn't known any more.
create function rowcast.feeds_of(definition rowcast.attached) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  feed record;
  template jsonb;
  key text[];
  sorted text[];
  feeds jsonb := '[]';
  lookup record;
  lookups jsonb := '[]';
begin
  -- What is looked up, as parts of a query over r.after, which has what was looked up before.
  for lookup in select l.* from rowcast.lookups_of(definition) l order by l.place loop
    lookups := lookups || jsonb_build_array(jsonb_build_object(
      'no_code', rowcast.no_code_sql(lookup.lookup), 'name', lookup.name, 'table', lookup.lookup ->> 'table', 'key', lookup.lookup -> 'key', 'types', lookup.lookup -> 'types',
      'own', case when (lookup.lookup -> 'column') <@ to_jsonb(definition.columns) then lookup.lookup -> 'column' end,
      'members', (select jsonb_object_agg(name, rowcast.found_member_sql(name)) from jsonb_object_keys(lookup.lookup -> 'columns') as name),
      'join', rowcast.lookup_join_sql(lookup.lookup, '(' || rowcast.lookup_key_sql(definition, lookup.lookup, 'r.after') || ')')));
  end loop;
  for feed in
    select r.place, r.room, r.condition, jsonb_agg(e order by nth) as rules
    from rowcast.rooms_of(definition) r cross join jsonb_array_elements(r.events) with ordinality as x (e, nth)
    where e ->> 'on' = 'insert' and e ->> 'event' = 'message:new'
    group by r.place, r.room, r.condition order by r.place
  loop
    definition.room := feed.room;
    template := feed.rules -> 0 -> 'payload' -> 'message';
    if jsonb_typeof(template) <> 'object' then
      template := null;
    end if;
    key := coalesce(
      -- As "id" where it is shown as that, too: tables whose keys have other names have this one in common.
      (select array_agg(member) from (
         select m.member from rowcast.shown_members(definition, template) m
         where m.col is null or definition.key_columns = array[m.col]
         order by m.member <> 'id', m.member collate "C" limit 1) whole),
      (select array_agg(found.member order by k.place)
       from unnest(definition.key_columns) with ordinality as k (name, place)
       left join lateral (select min(m.member) as member from rowcast.shown_members(definition, template) m where m.col = k.name) found on true
       having bool_and(found.member is not null)), '{}');
    -- As far as the members go. A word sorts in another way than what it stands for.
    sorted := array(
      select member from (
        select min(m.member) as member, min(s.place) as place, bool_and(bool_and(m.member is not null)) over (order by min(s.place)) as known
        from unnest(coalesce(definition.order_columns, array_remove(array[definition.order_column], null)) || definition.key_columns)
          with ordinality as s (name, place)
        left join rowcast.shown_members(definition, template) m
          on m.col = s.name and definition.words -> s.name is null and definition.defaults -> s.name is null
        group by s.name
      ) sorts where known order by place);
    feeds := feeds || jsonb_build_array(jsonb_build_object(
      'room', feed.room,
      'columns', (
        select coalesce(jsonb_agg(jsonb_build_object('placeholder', p.name, 'lookup', n.lookup, 'column', n.col,
                 'is_plain', definition.words -> rowcast.told_name(n.lookup, n.col) is null
                             and definition.defaults -> rowcast.told_name(n.lookup, n.col) is null)), '[]')
        from rowcast.pieces(feed.room) p cross join lateral rowcast.reference(definition, p.name) n),
      'room_sql', rowcast.room_sql(definition, 'after'),
      'belongs_sql', coalesce(nullif(concat_ws(' and ', rowcast.meets_sql(definition.condition, 'after'), rowcast.meets_sql(feed.condition, 'after'),
        (select '(' || string_agg(rowcast.meets_sql(rule ->> 'condition', 'after'), ' or ') || ')'
         from jsonb_array_elements(feed.rules) as rule having bool_and(rule ? 'condition'))), ''), 'true'),
      'row_sql', case when template is null then rowcast.row_sql(definition, 'after')
        else replace(rowcast.payload_sql(definition, template, 'after'), rowcast.placeholder_sql(definition, 'at', 'after'), 'null::text') end,
      'key_sql', rowcast.key_sql(definition, 'after'),
      'key', key, 'order', sorted, 'lookups', lookups,
      'members', (select coalesce(jsonb_agg(distinct name), '[]') from (
        select m.member as name from rowcast.row_members(definition, 'after') m where template is null
        union all select jsonb_object_keys(template)) names),
      'id_column', (select min(m.col) from rowcast.shown_members(definition, template) m where m.member = 'id' and key <> '{id}')));
  end loop;
  return feeds;
end $$;

revoke all on function rowcast.rooms_of, rowcast.joinable_sql(text), rowcast.joinable_sql(rowcast.attached), rowcast.meets_sql,
  rowcast.may_have_colon, rowcast.doubtful_room, rowcast.room_patterns, rowcast.feeds_of from public;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
