-- Templates: rooms, rows and payloads as SQL expressions over one row, which is jsonb.
--
-- Guarantee: an expression takes columns by name out of jsonb, so a column that is gone gives null, no error.
-- Cost:      runs when a table is attached, never when it is written.
-- Rights:    functions are called by rowcast.attach alone; execute is revoked from public.

-- 'a {b} c' as its pieces, in order: literal text, or the name between braces.
create function rowcast.pieces(template text) returns table (place bigint, literal text, name text)
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select place, coalesce(piece[1], piece[3]), piece[2]
  from regexp_matches(template, '([^{}]+)|\{([^{}]*)\}|([{}])', 'g') with ordinality as m (piece, place)
$$;

create function rowcast.camel(name text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select substring(name from '^_*') || string_agg(
    case when place = 1 then part else upper(left(part, 1)) || substr(part, 2) end, '' order by place)
  from regexp_split_to_table(ltrim(name, '_'), '_+') with ordinality as p (part, place)
$$;

-- The room, or null when a column of it is null.
create function rowcast.room_sql(template text, side text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select coalesce(string_agg(coalesce(quote_literal(literal), format('(%s ->> %L)', side, name)), ' || ' order by place), '''''')
  from rowcast.pieces(template)
$$;

-- The room's text after its first colon; all of it when it has none.
create function rowcast.contact_sql(template text, side text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case
    when template ~ '^[^{}]*:' then rowcast.room_sql(regexp_replace(template, '^[^{}:]*:', ''), side)
    else format('substr(%1$s, strpos(%1$s, '':'') + 1)', '(' || rowcast.room_sql(template, side) || ')')
  end
$$;

create function rowcast.column_sql(definition rowcast.attached, name text, side text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format(
    case when name = any (definition.key_columns || definition.room_columns) then '%s ->> %L' else '%s -> %L' end,
    side, name)
$$;

-- {row}: compact JSON with the keys in the order of the columns.
create function rowcast.row_sql(definition rowcast.attached, side text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format('(select row_to_json(o) from (select %s) o)', string_agg(
    format('%s as %I', rowcast.column_sql(definition, name, side),
           case definition.key_case when 'camel' then rowcast.camel(name) else name end),
    ', ' order by place))
  from unnest(definition.columns) with ordinality as c (name, place)
  where name <> all (definition.omit)
$$;

create function rowcast.placeholder_sql(definition rowcast.attached, name text, side text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  return case name
    when 'row' then rowcast.row_sql(definition, side)
    when 'room' then rowcast.room_sql(definition.room, side)
    when 'contactId' then rowcast.contact_sql(definition.room, side)
    when 'at' then 'clock_timestamp()'
    else rowcast.column_sql(definition, name, side)
  end;
end $$;

create function rowcast.payload_sql(definition rowcast.attached, template jsonb, side text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  template_text text := template #>> '{}';
begin
  if template::text !~ '\{[^{}"]+\}' then
    return case jsonb_typeof(template) when 'string' then quote_literal(template_text) || '::text'
                                       else quote_literal(template) || '::jsonb' end;
  end if;
  case jsonb_typeof(template)
    when 'object' then
      return (
        select format('(select row_to_json(o) from (select %s) o)', string_agg(
          format('%s as %I', rowcast.payload_sql(definition, value, side), key), ', '))
        from jsonb_each(template));
    when 'array' then
      return (
        select format('to_json(array[%s])', string_agg(
          format('to_json(%s)', rowcast.payload_sql(definition, value, side)), ', ' order by place))
        from jsonb_array_elements(template) with ordinality as e (value, place));
    else
      if template_text ~ '^\{[^{}]*\}$' then
        return rowcast.placeholder_sql(definition, trim(both '{}' from template_text), side);
      end if;
      return (
        select format('concat(%s)', string_agg(
          case
            when literal is not null then quote_literal(literal)
            when name = 'at' then 'to_jsonb(clock_timestamp()) #>> ''{}'''
            when name in ('room', 'contactId') then rowcast.placeholder_sql(definition, name, side)
            else format('%s ->> %L', side, name)
          end, ', ' order by place))
        from rowcast.pieces(template_text));
  end case;
end $$;

-- Contract: an insert or update carries the row, message:status the status, a delete the id.
create function rowcast.default_payload(definition rowcast.attached, operation text, event text, columns text[])
returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  key text := '{' || array_to_string(definition.key_columns, '}:{') || '}';
begin
  if event <> 'message:status' and operation <> 'delete' then
    return '{"message": "{row}", "contactId": "{contactId}"}';
  end if;
  if definition.key_columns = '{}' then
    raise exception 'rowcast.attach: % has no primary key, so the event % needs a payload of its own',
      definition.source, event using errcode = '22023';
  end if;
  if operation = 'delete' then
    return jsonb_build_object('messageId', key, 'contactId', '{contactId}');
  end if;
  if cardinality(columns) <> 1 and 'status' <> all (definition.columns) or 'status' <> all (definition.columns) and columns is null then
    raise exception 'rowcast.attach: the event message:status needs a payload: % has no column status', definition.source
      using errcode = '22023';
  end if;
  return jsonb_build_object(
    'messageId', key,
    'status', '{' || case when cardinality(columns) = 1 then columns[1] else 'status' end || '}',
    'contactId', '{contactId}',
    'at', '{at}');
end $$;

revoke all on all functions in schema rowcast from public;
