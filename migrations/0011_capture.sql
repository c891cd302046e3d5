-- Capture, so that nothing of a table's or of a session's can fail a writer or change what is captured.
--
-- Replaces functions of 0004 to 0007: what they say of themselves still holds, but for what is said here.
--
-- Guarantee: no name of ours can be a name of theirs: an alias of ours that stands for a row is written `o.*`, which is the row
--            even where a column is called o; and the member that marks a row is longer than a column's name can be.
--            A row becomes jsonb without an error whatever columns the table has been given since it was attached.
--            A value reads the same whoever writes it: what decides how values become text is set by the function.
--            A room that no client may join is no room: the event is stored without one, and told.
-- Cost:      six settings more per statement, about 1 µs; nothing per row.
-- Rights:    functions have a fixed search_path; execute is revoked from public.
--
-- What a client may join is a room whose id has 1 to 500 bytes. The id is what follows the room's first colon, all of the room
-- where it has none. A room as a whole has 2048 bytes at most, which an index of the outbox can hold.
--
-- The table and the call on top of 0006_generate.sql make this trigger for inserts now, with other line breaks (a test holds the
-- two equal):
--
--   create or replace function rowcast.capture_public_wa_messages_insert() returns trigger
--   language plpgsql security definer
--   set search_path = pg_catalog, pg_temp set timezone = 'UTC' set jit = off set datestyle = 'ISO, MDY'
--   set intervalstyle = 'postgres' set bytea_output = 'hex' set extra_float_digits = 1 set lc_monetary = 'C'
--   set quote_all_identifiers = off as $capture$
--   begin
--     insert into rowcast.events (room, event, data, source)
--     select case when octet_length(room) between 14 and 513 then room end,
--            event,
--            case when octet_length(room) between 14 and 513
--                      and not origin ? 'rowcast:careful, a member with a name that no column of a table can have'
--                 then data
--                 else rowcast.unusual(case when octet_length(room) between 14 and 513 then room end,
--                                      data, origin, 'public.wa_messages', '{id}') end,
--            'public.wa_messages'
--     from (
--       select e.room, e.event, e.origin,
--              case e.payload
--                when 1 then (
--                  select row_to_json(o.*) from (
--                    select (
--                      select row_to_json(o.*) from (
--                        select after ->> 'id' as id, after ->> 'customer_id' as "customerId", after -> 'body' as body
--                      ) o
--                    ) as message, (after ->> 'customer_id') as "contactId"
--                  ) o)
--              end as data
--       from (
--         select after, 'conversation:' || (after ->> 'customer_id') as room_after
--         from (
--           select case when rowcast.is_plain('public_wa_messages') and pg_column_size(t.*) <= 16384 then to_jsonb(t.*)
--                       else rowcast.careful_row(t.*, 'public_wa_messages') end as after
--           from new_rows t offset 0) t
--         where true
--       ) t
--       cross join lateral (
--         select 1 as step, room_after as room, 'message:new' as event, after as origin, 1 as payload
--       ) e
--       offset 0
--     ) e;
--     return null;
--   end $capture$;
--   revoke all on function rowcast.capture_public_wa_messages_insert() from public;
--   comment on function rowcast.capture_public_wa_messages_insert() is
--     'Rowcast: captures each insert of public.wa_messages';
--   create or replace trigger rowcast_insert after insert on public.wa_messages
--   referencing new table as new_rows
--   for each statement execute function rowcast.capture_public_wa_messages_insert();

-- Whether a row of the table may fail to become jsonb: a json column can hold what jsonb refuses, and a type that is not
-- Postgres's own may have a cast to json that raises an error.
create or replace function rowcast.needs_care(relation regclass) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(bool_or(base.typname in ('json', '_json')
    or base.typtype <> 'e' and base.typnamespace <> 'pg_catalog'::regnamespace
    or base.typtype = 'e' and exists (select from pg_cast where castsource = base.oid and casttarget = 'json'::regtype)), false)
  from pg_attribute a
  join pg_type t on t.oid = a.atttypid
  join pg_type element on element.oid = case when t.typlen = -1 and t.typelem <> 0 then t.typelem else t.oid end
  join pg_type base on base.oid = coalesce(nullif(element.typbasetype, 0), element.oid)
  where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
$$;

-- Whether each row of a source's table becomes jsonb without an error, so that none need be tried first.
--
-- IMMUTABLE lets the planner ask once per plan, so that a writer pays nothing. It is true enough: the answer depends on the
-- table's columns, and Postgres makes a new plan after any change of those, because the plan reads rows of that table.
-- A repeatable read transaction may write rows of a table that was altered after its snapshot, which it can't see here. So it
-- also asks what is not read by a snapshot: whether there is one column more, and whether the table was rewritten.
-- Most tables have only types of Postgres's own, which have oids below 16384: one query for those, since each new connection
-- that writes comes here once.
create function rowcast.is_plain(capture text) returns boolean
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  relation oid;
  plain boolean;
begin
  select max(t.tgrelid), bool_and(a.atttypid < 16384 and a.atttypid not in ('json'::regtype, 'json[]'::regtype))
  into relation, plain
  from pg_proc p
  join pg_trigger t on t.tgfoid = p.oid and not t.tgisinternal
  join pg_attribute a on a.attrelid = t.tgrelid and a.attnum > 0 and not a.attisdropped
  where p.pronamespace = 'rowcast'::regnamespace
    and p.proname in ('capture_' || capture || '_insert', 'capture_' || capture || '_update', 'capture_' || capture || '_delete');
  if relation is null or not plain and rowcast.needs_care(relation) then
    return false;
  end if;
  return current_setting('transaction_isolation') = 'read committed' or exists (
    select from pg_class c
    where c.oid = relation and c.relfilenode = pg_relation_filenode(c.oid)
      and has_column_privilege(c.oid, (c.relnatts + 1)::smallint, 'select') is null);
exception when others then
  return false;
end $$;

-- A value as jsonb. One whose JSON is larger than 16 MB, or that can't be jsonb, becomes a text of 4096 bytes that differs when
-- the value does, so that an update of the column is still seen as a change. All of these begin alike: that is how a payload is
-- known to have one in it.
create or replace function rowcast.bounded_value(value anyelement) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  result jsonb;
begin
  begin
    if pg_column_size(value) <= 16777216 then
      result := to_jsonb(value);
      if result is null or octet_length(result::text) <= 16777216 then
        return result;
      end if;
    end if;
  exception when others then
    null; -- It is replaced below.
  end;
  return to_jsonb(rpad('rowcast:stand-in:' || md5(value::text), 4096, '.'));
exception when others then
  return to_jsonb(rpad('rowcast:stand-in:' || pg_column_size(value), 4096, '.'));
end $$;

-- A row as jsonb, column by column, each through bounded_value. Where that makes more than jsonb can hold, columns that are
-- stored in more than 2048 bytes are replaced.
create or replace function rowcast.bounded_row(typed anyelement, source_row record) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  names text[] := array(
    select attname from pg_attribute a join pg_type t on t.typrelid = a.attrelid
    where t.oid = pg_typeof(typed) and attnum > 0 and not attisdropped order by attnum);
  result jsonb;
begin
  -- Columns can be named only in a row of a known type; `source_row` is an anonymous record.
  typed := source_row;
  begin
    execute format('select to_jsonb(o.*) from (select %s) o',
        (select string_agg(format('rowcast.bounded_value(($1).%1$I) as %1$I', name), ', ') from unnest(names) as name))
      into result using typed;
  exception when others then
    execute format('select to_jsonb(o.*) from (select %s) o',
        (select string_agg(format('case when pg_column_size(($1).%1$I) <= 2048 then rowcast.bounded_value(($1).%1$I) '
             'else to_jsonb(rpad(''rowcast:stand-in:'' || pg_column_size(($1).%1$I), 4096, ''.'')) end as %1$I', name), ', ')
         from unnest(names) as name))
      into result using typed;
  end;
  return result;
end $$;

-- A row as jsonb that may not become jsonb just like that: jsonb ends at 256 MB and text at 1 GB, and a json column may hold
-- \u0000, which jsonb refuses. The member that marks it says whether the row is whole or had values replaced. A server of an
-- earlier version looks for the shorter name. Where nothing helps, the row is empty, and so has no room.
create or replace function rowcast.careful_row(source_row record, capture text) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  result jsonb;
  state text := 'whole';
begin
  begin
    if pg_column_size(source_row) <= 16777216 then
      result := to_jsonb(source_row);
      if octet_length(result::text) > 16777216 then
        result := null;
      end if;
    end if;
  exception when others then
    result := null; -- The row is bounded below.
  end;
  if result is null then
    state := 'bounded';
    begin
      execute format('select rowcast.bounded_row(null::%s, $1)', rowcast.relation_of(capture)) into result using source_row;
    exception when others then
      result := null;
    end;
    result := coalesce(result, '{}');
  end if;
  if not result ? 'rowcast:careful' then
    result := result || jsonb_build_object('rowcast:careful', state);
  end if;
  return result || jsonb_build_object('rowcast:careful, a member with a name that no column of a table can have', state);
end $$;

-- The payload of an event that has no room, or whose row went through careful_row.
create or replace function rowcast.unusual(room text, data json, origin jsonb, source text, key_columns text[]) returns json
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  if (octet_length(room) between 1 and 2048) is not true then
    return json_build_object(
      'source', source,
      'key', (select json_object_agg(name, left(origin ->> name, 200)) from unnest(key_columns) as name),
      'reason', 'the room is null, or its id (what follows the first colon) is empty or longer than 500 bytes');
  elsif octet_length(data::text) <= 16777216
        and (origin ->> 'rowcast:careful, a member with a name that no column of a table can have' = 'whole'
             or strpos(data::text, 'rowcast:stand-in:') = 0) then
    return data;
  end if;
  return rowcast.truncate_payload(data);
end $$;

-- A placeholder for a column. The four special names win over columns that are called the same, so those have a dot before them.
create function rowcast.placeholder(name text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when name in ('row', 'room', 'contactId', 'at') then '{.' || name || '}' else '{' || name || '}' end
$$;

-- The column that a placeholder names.
create function rowcast.placeholder_column(definition rowcast.attached, name text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when name in ('.row', '.room', '.contactId', '.at') and name <> all (definition.columns)
                   and substr(name, 2) = any (definition.columns)
              then substr(name, 2) else name end
$$;

-- {row}: a JSON object of the columns, in their order, without those that are omitted. row_to_json puts no blanks into it.
create or replace function rowcast.row_sql(definition rowcast.attached, side text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format('(select row_to_json(o.*) from (select %s) o)', string_agg(
    format('%s as %I', rowcast.column_sql(definition, name, side), rowcast.wire_name(definition, name)),
    ', ' order by place))
  from unnest(definition.columns) with ordinality as c (name, place)
  where name <> all (definition.omit)
$$;

-- The value of one placeholder.
create or replace function rowcast.placeholder_sql(definition rowcast.attached, name text, side text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case name
    when 'row' then rowcast.row_sql(definition, side)
    when 'room' then rowcast.room_sql(definition.room, side)
    when 'contactId' then rowcast.contact_sql(definition.room, side)
    when 'at' then 'to_jsonb(clock_timestamp())'
    else rowcast.column_sql(definition, rowcast.placeholder_column(definition, name), side)
  end
$$;

-- A payload, or a part of it. A string that is one placeholder becomes that JSON value; in a longer string placeholders are
-- filled in as text; everything else stays as it is.
create or replace function rowcast.payload_sql(definition rowcast.attached, template jsonb, side text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  string text := template #>> '{}';
begin
  if not exists (select from rowcast.placeholders(template)) then
    return case jsonb_typeof(template) when 'string' then quote_literal(string) || '::text'
                                       else quote_literal(template) || '::jsonb' end;
  end if;
  if jsonb_typeof(template) = 'object' then
    return (
      select format('(select row_to_json(o.*) from (select %s) o)', string_agg(
        format('%s as %I', rowcast.payload_sql(definition, value, side), key), ', '))
      from jsonb_each(template));
  elsif jsonb_typeof(template) = 'array' then
    return (
      select format('to_json(array[%s])', string_agg(
        format('to_json(%s)', rowcast.payload_sql(definition, value, side)), ', ' order by place))
      from jsonb_array_elements(template) with ordinality as e (value, place));
  elsif (select alone from rowcast.placeholders(template) limit 1) then
    return rowcast.placeholder_sql(definition, (select name from rowcast.placeholders(template)), side);
  end if;
  return (
    select format('concat(%s)', string_agg(
      case
        when literal is not null then quote_literal(literal)
        when name in ('room', 'contactId') then rowcast.placeholder_sql(definition, name, side)
        when name = 'at' then rowcast.placeholder_sql(definition, name, side) || ' #>> ''{}'''
        else format('%s ->> %L', side, rowcast.placeholder_column(definition, name))
      end, ', ' order by place))
    from rowcast.pieces(string));
end $$;

-- The payload of an event for which none was given, as Rowcast's own clients expect it: the row; for message:status the
-- status; for a delete the id.
create or replace function rowcast.default_payload(definition rowcast.attached, operation text, event text, columns text[])
returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  key text := (select string_agg(rowcast.placeholder(name), ':' order by place)
               from unnest(definition.key_columns) with ordinality as k (name, place));
  status text := case when cardinality(columns) = 1 then columns[1]
                      when 'status' = any (definition.columns) then 'status' end;
  braced text := (select name from unnest(definition.key_columns || status) as name where name ~ '[{}]' limit 1);
begin
  if operation <> 'delete' and event <> 'message:status' then
    return '{"message": "{row}", "contactId": "{contactId}"}';
  end if;
  if definition.key_columns = '{}' then
    raise exception 'rowcast.attach: % has no primary key, so %', definition.source, event
      || ' needs a payload: give one that names its rows' using errcode = '22023';
  end if;
  if braced is not null then
    raise exception 'rowcast.attach: % needs a payload: "%" has a brace in its name, so a template can''t name it', event, braced
      using errcode = '22023';
  end if;
  if operation = 'delete' then
    return jsonb_build_object('messageId', key, 'contactId', '{contactId}');
  end if;
  if status is null then
    raise exception 'rowcast.attach: message:status needs a payload: % has no column "status"', definition.source
      using errcode = '22023';
  end if;
  return jsonb_build_object('messageId', key, 'status', rowcast.placeholder(status), 'contactId', '{contactId}', 'at', '{at}');
end $$;

-- A row of a transition table as jsonb; the size is explained in 0004_capture.sql.
create or replace function rowcast.json_row_sql(definition rowcast.attached) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format('case when rowcast.is_plain(%1$L) and pg_column_size(t.*) <= 16384 then to_jsonb(t.*) '
                'else rowcast.careful_row(t.*, %1$L) end', definition.capture)
$$;

-- Whether `room` is one that a client may join. Where the template says how long the kind is, this is two numbers.
create function rowcast.joinable_sql(template text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when kind is null
    then 'octet_length(substr(room, strpos(room, '':'') + 1)) between 1 and 500 and octet_length(room) <= 2048'
    else format('octet_length(room) between %s and %s', octet_length(kind) + 1, least(octet_length(kind) + 500, 2048)) end
  from substring(template from '^[^{}:]*:') as kind
$$;

-- The one statement that a trigger runs.
create or replace function rowcast.capture_sql(definition rowcast.attached, operation text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  rule record;
  payload text;
  payloads text[] := '{}';
  events text[] := '{}';
begin
  for rule in
    select e ->> 'on' as operation, e ->> 'event' as event, e -> 'payload' as payload,
           case e ->> 'on' when 'delete' then 'before' else 'after' end as side,
           array(select jsonb_array_elements_text(e -> 'columns')) as columns
    from jsonb_array_elements(definition.events) with ordinality as x (e, place)
    where e ->> 'on' = operation or operation = 'update'
    order by array_position(array['delete', 'insert', 'update'], e ->> 'on'), place
  loop
    -- Each payload stands in the text once, however many events carry it: a writer pays for every expression.
    payload := rowcast.payload_sql(definition, rule.payload, rule.side);
    if payload <> all (payloads) then
      payloads := payloads || payload;
    end if;
    events := events || (format('      select %s as step, room_%s as room, %L as event, %s as origin, %s as payload',
        cardinality(events) + 1, rule.side, rule.event, rule.side, array_position(payloads, payload))
      || case when operation = 'update'
              then E'\n      where ' || rowcast.update_condition_sql(rule.operation, rule.columns) else '' end);
  end loop;

  return format($sql$  insert into rowcast.events (room, event, data, source)
  select case when %7$s then room end,
         event,
         case when %7$s and not origin ? 'rowcast:careful, a member with a name that no column of a table can have' then data
              else rowcast.unusual(case when %7$s then room end, data, origin, %1$L, %2$L) end,
         %1$L
  from (
    select e.room, e.event, e.origin,
           case e.payload
%3$s
           end as data
    from (%4$s
    ) t
    cross join lateral (
%5$s
    ) e
    %6$s
  ) e;$sql$,
    definition.source,
    definition.key_columns,
    (select string_agg(format('             when %s then %s', place, expression), E'\n' order by place)
     from unnest(payloads) with ordinality as p (expression, place)),
    rowcast.rows_sql(definition, operation),
    array_to_string(events, E'\n      union all\n'),
    -- The full join of an update may return its rows in another order. Inserted and deleted rows come as they were written.
    case operation when 'update' then 'order by t.place, e.step' else 'offset 0' end,
    rowcast.joinable_sql(definition.room));
end $$;

-- The function of a trigger, as SQL to run. It touches no table. The settings are those that decide how a value becomes text,
-- so that it reads the same whoever writes it; history sets the same. jit is off because the plan is kept: after one large
-- statement every later, small one of the session would be compiled.
create function rowcast.function_sql(definition rowcast.attached, operation text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format($sql$create or replace function rowcast.%1$I() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' set jit = off set datestyle = 'ISO, MDY'
set intervalstyle = 'postgres' set bytea_output = 'hex' set extra_float_digits = 1 set lc_monetary = 'C'
set quote_all_identifiers = off as $capture$
begin
%2$s
  return null;
end $capture$;
revoke all on function rowcast.%1$I() from public;
comment on function rowcast.%1$I() is %3$L;$sql$,
    rowcast.capture_name(definition, operation),
    rowcast.capture_sql(definition, operation),
    format('Rowcast: captures each %s of %s', operation, definition.source))
$$;

-- A trigger with its function, as SQL to run.
create or replace function rowcast.trigger_sql(definition rowcast.attached, operation text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select rowcast.function_sql(definition, operation) || format($sql$
create or replace trigger %1$I after %2$s on %3$s
referencing %4$s
for each statement execute function rowcast.%5$I();$sql$,
    'rowcast_' || operation, operation, definition.source,
    case operation when 'insert' then 'new table as new_rows' when 'delete' then 'old table as old_rows'
                   else 'old table as old_rows new table as new_rows' end,
    rowcast.capture_name(definition, operation))
$$;

-- Refuses a payload that is too large, or whose placeholders or keys can't become SQL: a key becomes a column's alias, which has
-- 1 to 63 bytes.
create or replace function rowcast.check_payload(definition rowcast.attached, event text, payload jsonb) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  argument text := format('the payload of %s', event);
  bad_key text := (
    select member #>> '{}' from jsonb_path_query(payload, 'strict $.** ? (@.type() == "object").keyvalue().key') as member
    where octet_length(member #>> '{}') not between 1 and 63 limit 1);
begin
  if jsonb_typeof(payload) <> 'object' then
    perform rowcast.refuse(format('%s is a JSON %s; accepted: an object', argument, jsonb_typeof(payload)));
  end if;
  if octet_length(payload::text) > 65536 or (select count(*) from rowcast.placeholders(payload)) > 50 then
    perform rowcast.refuse(format('%s is too large; accepted: 64 kB and 50 placeholders', argument));
  end if;
  if bad_key is not null then
    perform rowcast.refuse(format('%s has the key "%s"; accepted: keys of 1 to 63 bytes', argument, bad_key));
  end if;
  if exists (select from rowcast.placeholders(payload) where name = 'row' and not alone) then
    perform rowcast.refuse(format('%s has {row} inside a text; accepted: "{row}" by itself', argument));
  end if;
  perform rowcast.check_columns(argument,
    array(select rowcast.placeholder_column(definition, name) from rowcast.placeholders(payload)
          where name not in ('row', 'room', 'contactId', 'at')),
    definition.columns || '{row,room,contactId,at}', definition.source);
end $$;

-- Refuses a condition that is no predicate, or that reads a column that isn't there: it would silently match nothing.
create or replace function rowcast.check_condition(definition rowcast.attached) returns void
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  -- Tried on a made-up row: a predicate gives one of true, false and null; any other path gives a value of the row or nothing.
  sample jsonb := (select jsonb_object_agg(name, 'sample') from unnest(definition.columns) as name);
  results jsonb := jsonb_path_query_array(sample, definition.condition::jsonpath, silent => true);
begin
  if results <> all (array['[true]', '[false]', '[null]']::jsonb[]) then
    perform rowcast.refuse(format('condition %s is not a predicate; accepted: one such as $.direction == "inbound"',
      definition.condition));
  end if;
  -- A path writes a name as JSON does, with escapes.
  perform rowcast.check_columns('condition',
    array(select ('"' || name[1] || '"')::jsonb #>> '{}'
          from regexp_matches(definition.condition, '\$\."((?:[^"\\]|\\.)*)"', 'g') as name),
    definition.columns, definition.source);
end $$;

-- Names in the definition are quoted only where SQL needs that, whatever the session of the caller says.
alter function rowcast.attach set quote_all_identifiers = off;
alter function rowcast.detach set quote_all_identifiers = off;

-- The view of 0009_sources.sql. It compares names, however they are quoted, and finds them by the catalog's indexes.
create or replace view rowcast.sources as
select a.source, a.room, a.order_column,
       array(
         select concat(e ->> 'on', ' of ' || (select string_agg(c, ', ') from jsonb_array_elements_text(e -> 'columns') as c),
                       ': ', e ->> 'event')
         from jsonb_array_elements(a.events) with ordinality as x (e, place) order by place) as events,
       a.condition,
       coalesce(problems.found, '{}') as problems,
       a.attached_at,
       coalesce(triggers.relation, named.relation) as relation,
       a.key_columns, a.room_columns, a.row_sql
from rowcast.attached a
cross join lateral (
  select max(t.tgrelid)::regclass as relation,
         array_agg(operation) as operations,
         array_agg(operation) filter (where t.tgenabled in ('D', 'R')) as disabled
  from unnest('{insert,update,delete}'::text[]) as operation
  join pg_proc p on p.pronamespace = 'rowcast'::regnamespace and p.proname = 'capture_' || a.capture || '_' || operation
  join pg_trigger t on t.tgfoid = p.oid and not t.tgisinternal
) triggers
left join lateral (
  -- By the catalog, because to_regclass needs USAGE on the table's schema.
  select c.oid::regclass as relation from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = (parse_ident(a.source))[1]::name and c.relname = (parse_ident(a.source))[2]::name
) named on true
cross join lateral (
  select array_agg(problem order by problem) as found from (
    select 'the table is gone' as problem
    where triggers.relation is null and named.relation is null
    union all
    select format('renamed to %s: attach it again', triggers.relation)
    where triggers.relation is not null and triggers.relation is distinct from named.relation
    union all
    select format('the trigger rowcast_%s is missing', operation)
    from unnest('{insert,update,delete}'::text[]) as operation
    where coalesce(triggers.relation, named.relation) is not null
      and operation <> all (coalesce(triggers.operations, '{}'))
      and (a.events @> jsonb_build_array(jsonb_build_object('on', operation))
           or operation = 'update' and (a.room_columns <> '{}' or a.condition is not null))
    union all
    select format('the trigger rowcast_%s is disabled', operation) from unnest(triggers.disabled) as operation
    union all
    select format('the column %s is gone', name) from unnest(a.columns) as name
    where triggers.relation is not null and not exists (
      select from pg_attribute where attrelid = triggers.relation and attname = name and not attisdropped)
  ) found
) problems;
revoke all on all functions in schema rowcast from public;
