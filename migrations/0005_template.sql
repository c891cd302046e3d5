-- Templates: turns the templates of rooms and payloads into SQL, which the generated triggers then contain.
--
-- A function called ..._sql returns the text of an SQL expression over one row, which is jsonb. Its argument `side` is the name of
-- that row: "before" or "after" the change. Of the room conversation:{customer_id} this makes, for the side "after",
--   'conversation:' || (after ->> 'customer_id')
--
-- Guarantee: an expression takes columns out of jsonb by name, so a column that was dropped or renamed gives null, and no error.
-- Cost:      none for writers: these functions run when a table is attached, never when it is written.
-- Rights:    functions are called by rowcast.attach alone; execute is revoked from public.

-- The pieces of a template, in order: each is literal text, or a name that stood between braces. A brace without its partner
-- is a literal of its own.
create function rowcast.pieces(template text) returns table (place bigint, literal text, name text)
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select place, coalesce(piece[1], piece[3]), piece[2]
  from regexp_matches(template, '([^{}]+)|\{([^{}]*)\}|([{}])', 'g') with ordinality as m (piece, place)
$$;

-- The placeholders in the strings of a payload, however deep; `alone` says that the string is nothing but this placeholder.
create function rowcast.placeholders(template jsonb) returns table (name text, alone boolean)
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select p.name, string #>> '{}' = '{' || p.name || '}'
  from jsonb_path_query(template, 'strict $.** ? (@.type() == "string")') as string
  cross join rowcast.pieces(string #>> '{}') as p
  where p.name is not null
$$;

-- customer_id as customerId. Leading underscores stay.
create function rowcast.camel(name text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select substring(name from '^_*') || string_agg(
    case when place = 1 then part else upper(left(part, 1)) || substr(part, 2) end, '' order by place)
  from regexp_split_to_table(ltrim(name, '_'), '_+') with ordinality as p (part, place)
$$;

-- A column's name as clients see it.
create function rowcast.wire_name(definition rowcast.attached, name text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case definition.key_case when 'camel' then rowcast.camel(name) else name end
$$;

-- The room's text; null when one of its columns is null.
create function rowcast.room_sql(template text, side text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select coalesce(
    string_agg(coalesce(quote_literal(literal), format('(%s ->> %L)', side, name)), ' || ' order by place), '''''')
  from rowcast.pieces(template)
$$;

-- {contactId}: the room's text after its first colon, or all of it when it has none.
create function rowcast.contact_sql(template text, side text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case
    when template ~ '^[^{}]*:' then rowcast.room_sql(regexp_replace(template, '^[^{}:]*:', ''), side)
    else format('substr(%1$s, strpos(%1$s, '':'') + 1)', '(' || rowcast.room_sql(template, side) || ')')
  end
$$;

-- A column's value. Columns of the key and of the room become strings, because a bigint would lose digits in JavaScript.
create function rowcast.column_sql(definition rowcast.attached, name text, side text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format(
    case when name = any (definition.key_columns || definition.room_columns) then '%s ->> %L' else '%s -> %L' end,
    side, name)
$$;

-- {row}: a JSON object of the columns, in their order, without those that are omitted. row_to_json puts no blanks into it.
create function rowcast.row_sql(definition rowcast.attached, side text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format('(select row_to_json(o) from (select %s) o)', string_agg(
    format('%s as %I', rowcast.column_sql(definition, name, side), rowcast.wire_name(definition, name)),
    ', ' order by place))
  from unnest(definition.columns) with ordinality as c (name, place)
  where name <> all (definition.omit)
$$;

-- The value of one placeholder. The four special names win over columns that are called the same.
create function rowcast.placeholder_sql(definition rowcast.attached, name text, side text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case name
    when 'row' then rowcast.row_sql(definition, side)
    when 'room' then rowcast.room_sql(definition.room, side)
    when 'contactId' then rowcast.contact_sql(definition.room, side)
    when 'at' then 'to_jsonb(clock_timestamp())'
    else rowcast.column_sql(definition, name, side)
  end
$$;

-- A payload, or a part of it. A string that is one placeholder becomes that JSON value; in a longer string placeholders are
-- filled in as text; everything else stays as it is.
create function rowcast.payload_sql(definition rowcast.attached, template jsonb, side text) returns text
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
      select format('(select row_to_json(o) from (select %s) o)', string_agg(
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
        else format('%s ->> %L', side, name)
      end, ', ' order by place))
    from rowcast.pieces(string));
end $$;

-- The payload of an event for which none was given, as Rowcast's own clients expect it: the row; for message:status the
-- status; for a delete the id.
create function rowcast.default_payload(definition rowcast.attached, operation text, event text, columns text[])
returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  key text := '{' || array_to_string(definition.key_columns, '}:{') || '}';
  status text := case when cardinality(columns) = 1 then columns[1]
                      when 'status' = any (definition.columns) then 'status' end;
begin
  if operation <> 'delete' and event <> 'message:status' then
    return '{"message": "{row}", "contactId": "{contactId}"}';
  end if;
  if definition.key_columns = '{}' then
    raise exception 'rowcast.attach: % has no primary key, so %', definition.source, event
      || ' needs a payload: give one that names its rows' using errcode = '22023';
  end if;
  if operation = 'delete' then
    return jsonb_build_object('messageId', key, 'contactId', '{contactId}');
  end if;
  if status is null then
    raise exception 'rowcast.attach: message:status needs a payload: % has no column "status"', definition.source
      using errcode = '22023';
  end if;
  return jsonb_build_object('messageId', key, 'status', '{' || status || '}', 'contactId', '{contactId}', 'at', '{at}');
end $$;

revoke all on all functions in schema rowcast from public;
