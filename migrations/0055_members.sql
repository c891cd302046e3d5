-- Members: history knows which members a row has, so that tables whose keys differ can feed one room.
--
-- Replaces rowcast.feeds_of of 0051_rooms.sql: what it says of itself still holds, and it names the members of a row.
--
-- Guarantee: "members" names what a row shows, in events and in history alike; whether a value is there is not said.
-- Cost:      none for writers.
-- Rights:    as there.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

-- What history reads: each room that message:new goes to. One expression makes the row for events and for history; where the events have
-- another "message" than {row}, history has that. {at} is null there: when a row was written isn't known any more.
create or replace function rowcast.feeds_of(definition rowcast.attached) returns jsonb
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
      (select array[min(m.member)] from rowcast.shown_members(definition, template) m
       where m.col is null or definition.key_columns = array[m.col] having count(*) > 0),
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

comment on column rowcast.attached.feeds is
  'what history reads, one per room that message:new goes to: {"room", "columns", "lookups", "room_sql", "belongs_sql", "row_sql", "key_sql", "id_column", "key", "order", "members"}, SQL over "after"';

select rowcast.regenerate();
-- A later migration may alter the table in the same transaction.
set constraints rowcast.remember_code immediate;
set constraints rowcast.remember_code deferred;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
