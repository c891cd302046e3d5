-- Values: what a value of a row becomes on its way to clients, in events and in history alike; and what payloads are made of values.
--
-- Guarantee: rowcast.row_sql makes {row}, for every trigger and for history: there is no other expression of it.
--            bigint and numeric are strings, in arrays too, because JavaScript would lose their digits. A time is RFC 3339 with Z: a
--            timestamp, which has no zone, is taken as UTC, or in the zone that attach was told, whatever standard_conforming_strings says.
--            Every row has its key as "id", unless the table has a column of that name.
--            No value fails a writer: where a column has another type than it had when it was attached, its text is sent as it is.
-- Cost:      a replace() per time. Words, defaults and zones cost the columns that have them, and nobody else.
-- Rights:    execute is revoked from public; rowcast grant gives a role that reads history what it needs.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

-- The form of a type; null where it is as to_jsonb has it. A domain is what it stands for.
create function rowcast.form_of(type oid) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  base record;
begin
  loop
    select typbasetype, typelem, typlen into base from pg_type where oid = type;
    exit when base.typbasetype is null or base.typbasetype = 0;
    type := base.typbasetype;
  end loop;
  return case
    when type in ('bigint'::regtype, 'numeric'::regtype) then 'text'
    when type = 'timestamptz'::regtype then 'instant'
    when type = 'timestamp'::regtype then 'local'
    when base.typlen = -1 and base.typelem <> 0 and rowcast.form_of(base.typelem) = 'text' then 'texts' end;
end $$;

-- The forms of a table's columns.
create function rowcast.forms_of(relation oid) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(jsonb_object_agg(attname, form), '{}')
  from (select attname, rowcast.form_of(atttypid) as form
        from pg_attribute where attrelid = forms_of.relation and attnum > 0 and not attisdropped) a
  where form is not null
$$;

-- Whether settings decide how a value of the type becomes text, besides the time zone; of a type that is not known to be free of that, too. A
-- json column is never plain (0008_unusual.sql, which has this list, too).
create function rowcast.is_styled(type oid) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
  select not exists (
    select from pg_type t
    where t.oid = is_styled.type
      and case when t.typlen = -1 and t.typelem <> 0 then t.typelem else t.oid end in (
        'boolean'::regtype, 'smallint'::regtype, 'integer'::regtype, 'bigint'::regtype, 'numeric'::regtype, 'text'::regtype,
        'varchar'::regtype, 'bpchar'::regtype, 'name'::regtype, 'uuid'::regtype, 'jsonb'::regtype, 'date'::regtype,
        'timestamp'::regtype, 'timestamptz'::regtype, 'inet'::regtype, 'cidr'::regtype))
$$;

-- The numbers in an array as strings, however many dimensions it has.
create function rowcast.texts(value jsonb) returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  return case jsonb_typeof(value)
    when 'number' then to_jsonb(value #>> '{}')
    when 'array' then (select coalesce(jsonb_agg(rowcast.texts(e) order by place), '[]')
                       from jsonb_array_elements(value) with ordinality as x (e, place))
    else value end;
end $$;

-- A timestamp's text, read in a zone, as RFC 3339. Whatever is no such text stays as it is.
create function rowcast.zoned(value text, zone text) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp set datestyle = 'ISO, MDY' set timezone = 'UTC' as $$
begin
  if value ~ '^[0-9]{4,}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?( BC)?$' then
    return replace(to_jsonb(value::timestamp at time zone zone) #>> '{}', '+00:00', 'Z');
  end if;
  return value;
exception when others then
  return value;
end $$;

-- A member of the row, as text or as jsonb.
create function rowcast.member_sql(lookup text, col text, side text, is_text boolean) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when lookup is null then format('%s %s %L', side, arrow, col) else format('%s -> %L %s %L', side, lookup, arrow, col) end
  from (select case when is_text then '->>' else '->' end as arrow) a
$$;

-- A value, by its word where it has one, and by its default where it is null. `raw` is its text, by which words are found.
create function rowcast.told_sql(definition rowcast.attached, told text, raw text, value text, is_text boolean) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  words jsonb := definition.words -> told;
  instead jsonb := definition.defaults -> told;
begin
  if words is null and instead is null then
    return value;
  end if;
  return format('coalesce(%s)', concat_ws(', ',
    case when words is not null then format('%L::jsonb %s (%s)', words, case when is_text then '->>' else '->' end, raw) end,
    case when is_text or instead is null then value else format('nullif(%s, ''null'')', value) end,
    case when is_text then quote_literal(instead #>> '{}') else quote_literal(instead) || '::jsonb' end));
end $$;

-- A column, or one that was looked up, as text: in its form, and where `manner` is not "raw", with its word and its default.
create function rowcast.text_sql(definition rowcast.attached, lookup text, col text, manner text, side text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  raw text := rowcast.member_sql(lookup, col, side, true);
  result text := case case when lookup is null then definition.forms ->> col else definition.lookups -> lookup -> 'columns' ->> col end
    when 'instant' then format('replace(%s, ''+00:00'', ''Z'')', raw)
    when 'local' then case when definition.timezone is null
      then format('replace(replace((%s) || ''Z'', ''infinityZ'', ''infinity''), '' BCZ'', ''Z BC'')', raw)
      else format('rowcast.zoned(%s, %L)', raw, definition.timezone) end
    when 'texts' then format('(rowcast.texts(%s) #>> ''{}'')', rowcast.member_sql(lookup, col, side, false))
    else raw end;
begin
  return case when manner = 'raw' then result
    else rowcast.told_sql(definition, rowcast.told_name(lookup, col), raw, result, true) end;
end $$;

-- The same as it stands in JSON. The key's columns and the rooms' are strings always.
create function rowcast.json_sql(definition rowcast.attached, lookup text, col text, manner text, side text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  form text := case when lookup is null then definition.forms ->> col else definition.lookups -> lookup -> 'columns' ->> col end;
  told text := rowcast.told_name(lookup, col);
  member text := rowcast.member_sql(lookup, col, side, false);
begin
  if form in ('text', 'instant', 'local') or manner = 'text' or told = any (definition.as_text)
     or lookup is null and col = any (definition.key_columns || definition.room_columns) then
    return rowcast.text_sql(definition, lookup, col, manner, side);
  end if;
  if form = 'texts' then
    member := format('rowcast.texts(%s)', member);
  end if;
  return case when manner = 'raw' then member
    else rowcast.told_sql(definition, told, rowcast.member_sql(lookup, col, side, true), member, false) end;
end $$;

-- A column's value.
create function rowcast.column_sql(definition rowcast.attached, name text, side text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select rowcast.json_sql(definition, null, name, null, side)
$$;

-- The text of what a placeholder names.
create function rowcast.placeholder_text_sql(definition rowcast.attached, name text, side text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select rowcast.text_sql(definition, lookup, col, manner, side) from rowcast.reference(definition, name)
$$;

-- The primary key as one text; the columns of a longer one are joined by ":". Null where there is none.
create function rowcast.key_sql(definition rowcast.attached, side text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when count(*) = 1 then min(part) when count(*) > 1 then format('concat_ws('':'', %s)', string_agg(part, ', ' order by place)) end
  from (
    select rowcast.text_sql(definition, null, name, null, side) as part, place
    from unnest(definition.key_columns) with ordinality as k (name, place)
  ) parts
$$;

-- The members of {row}, in their order, each with the expression of its value. `col` is the table's column that it shows.
create function rowcast.row_members(definition rowcast.attached, side text)
returns table (place bigint, member text, value text, col text)
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select 0, 'id', rowcast.key_sql(definition, side), null
  where definition.key_columns <> '{}'
    and not exists (select from unnest(definition.columns) as name where rowcast.wire_name(definition, name) = 'id')
  union all
  select place, rowcast.wire_name(definition, name), rowcast.column_sql(definition, name, side), name
  from unnest(definition.columns) with ordinality as c (name, place)
  where name <> all (definition.omit)
  union all
  -- What was looked up stands in an object of its own. Nothing is looked up where the lookup found no row.
  select 10000 + place, rowcast.wire_name(definition, lookup.key),
         format('(case when jsonb_typeof(%s -> %L) = ''object'' then (select row_to_json(o.*) from (select %s) o) end)', side, lookup.key,
           (select string_agg(format('%s as %I', rowcast.json_sql(definition, lookup.key, name, null, side),
                                     rowcast.wire_name(definition, name)), ', ' order by nth)
            from jsonb_array_elements_text(lookup.value -> 'row') with ordinality as r (name, nth))), null
  from jsonb_each(definition.lookups) with ordinality as lookup (key, value, place)
  where jsonb_array_length(lookup.value -> 'row') > 0
$$;

-- {row}: a JSON object of the columns, in their order, without those that are omitted. row_to_json puts no blanks into it.
create function rowcast.row_sql(definition rowcast.attached, side text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format('(select row_to_json(o.*) from (select %s) o)', string_agg(format('%s as %I', value, member), ', ' order by place))
  from rowcast.row_members(definition, side)
$$;

-- A room's text; null when one of its columns is null. A time in it has no Z: rooms are called as they always were.
create function rowcast.room_sql(definition rowcast.attached, side text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select coalesce(string_agg(coalesce(quote_literal(p.literal),
    case when named.manner is distinct from 'raw' then rowcast.told_sql(definition, rowcast.told_name(named.lookup, named.col), raw, '(' || raw || ')', true)
         else '(' || raw || ')' end), ' || ' order by p.place), '''''')
  from rowcast.pieces(definition.room) p
  left join lateral rowcast.reference(definition, p.name) named on true
  left join lateral (select rowcast.member_sql(named.lookup, named.col, side, true) as raw) r on true
$$;

-- {contactId}: the room's text after its first colon, or all of it when it has none.
create function rowcast.contact_sql(definition rowcast.attached, side text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  if definition.room ~ '^[^{}]*:' then
    definition.room := regexp_replace(definition.room, '^[^{}:]*:', '');
    return rowcast.room_sql(definition, side);
  end if;
  return format('substr(%1$s, strpos(%1$s, '':'') + 1)', '(' || rowcast.room_sql(definition, side) || ')');
end $$;

-- The value of one placeholder.
create function rowcast.placeholder_sql(definition rowcast.attached, name text, side text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case name
    when 'row' then rowcast.row_sql(definition, side)
    when 'room' then rowcast.room_sql(definition, side)
    when 'contactId' then rowcast.contact_sql(definition, side)
    when 'at' then 'replace(to_jsonb(clock_timestamp()) #>> ''{}'', ''+00:00'', ''Z'')'
    else (select rowcast.json_sql(definition, lookup, col, manner, side) from rowcast.reference(definition, name))
  end
$$;

-- The members of a payload that is an object, as a select list. `row_alias` stands for {row}, where it is given.
create function rowcast.members_sql(definition rowcast.attached, template jsonb, side text, row_alias text) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  return (
    select string_agg(
      format('%s as %I',
        case when value = '"{row}"' and row_alias is not null then row_alias
             when key = 'messageId' and jsonb_typeof(value) = 'string' and (select bool_and(alone) from rowcast.placeholders(value))
                  and exists (select from rowcast.placeholders(value) p where p.name not in ('row', 'room', 'contactId', 'at'))
             then rowcast.placeholder_text_sql(definition, (select p.name from rowcast.placeholders(value) p), side)
             else rowcast.payload_sql(definition, value, side) end, key), ', ')
    from jsonb_each(template));
end $$;

-- A payload, or a part of it. A string that is one placeholder becomes that JSON value; in a longer string placeholders are
-- filled in as text; everything else stays as it is. A messageId is a string, as ids are.
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
    return format('(select row_to_json(o.*) from (select %s) o)', rowcast.members_sql(definition, template, side, null));
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
        when name in ('room', 'contactId', 'at') then rowcast.placeholder_sql(definition, name, side)
        else rowcast.placeholder_text_sql(definition, name, side)
      end, ', ' order by place))
    from rowcast.pieces(string));
end $$;

-- The payload of an event for which none was given, as Rowcast's own clients expect it: the row; for message:status the
-- status; for a delete the id.
create function rowcast.default_payload(definition rowcast.attached, operation text, event text, columns text[])
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

-- The payload of an event for which none was given, as Rowcast's own clients expect it: the row; for message:status the
-- status; for a delete the id.
create function rowcast.default_payload(definition rowcast.attached, operation text, event text, columns text[], has_messages boolean)
returns jsonb
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  if operation <> 'delete' and event = 'message:status' and (operation = 'insert' or not has_messages) then
    perform rowcast.refuse(format('message:status of %s needs a payload: whose messageId it carries can''t be guessed', definition.source),
      'Such as: "payload": {"messageId": "{message_id}", "status": "{status}", "contactId": "{contactId}", "at": "{at}"}');
  end if;
  return rowcast.default_payload(definition, operation, event, columns);
end $$;

-- The members of a row as history shows it, and what each shows: a column of the table's, or, where `col` is null, the key. `template` is
-- what the events have as "message".
create function rowcast.shown_members(definition rowcast.attached, template jsonb) returns table (member text, col text)
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select m.member, m.col from rowcast.row_members(definition, 'after') m
  where template is null and (m.col is not null or m.member = 'id')
  union all
  select key, named.col
  from jsonb_each(template) left join lateral (
    select r.col from rowcast.placeholders(value) p cross join lateral rowcast.reference(definition, p.name) r
    where p.alone and r.lookup is null limit 1) named on true
  where jsonb_typeof(template) = 'object' and jsonb_typeof(value) = 'string'
    and (named.col is not null or value #>> '{}' = rowcast.key_template(definition))
$$;

revoke all on function rowcast.form_of, rowcast.forms_of, rowcast.is_styled, rowcast.texts, rowcast.zoned, rowcast.member_sql, rowcast.told_sql,
  rowcast.text_sql, rowcast.json_sql, rowcast.column_sql, rowcast.placeholder_text_sql, rowcast.key_sql, rowcast.row_members,
  rowcast.row_sql, rowcast.room_sql, rowcast.contact_sql, rowcast.placeholder_sql, rowcast.members_sql, rowcast.payload_sql,
  rowcast.default_payload(rowcast.attached, text, text, text[]), rowcast.default_payload(rowcast.attached, text, text, text[], boolean),
  rowcast.shown_members from public;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
