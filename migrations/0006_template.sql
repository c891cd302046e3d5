-- Templates: what stands in the templates of rooms and payloads.
--
-- A placeholder names a column, {ack}; one that was looked up, {chat.jid}; and may say how: {ack:text} is a string always, {ack:raw} is
-- the value without its word or default. A column's own name comes first, whatever characters it has.
--
-- A function called ..._sql, here and in the later files, returns the text of an SQL expression over one row, which is jsonb. Its argument
-- `side` is the name of that row: "before" or "after" the change. Of the room conversation:{customer_id} they make, for the side "after",
--   'conversation:' || (after ->> 'customer_id')
--
-- Guarantee: an expression takes columns out of jsonb by name, so a column that was dropped or renamed gives null, and no error.
-- Cost:      none for writers: these functions run when a table is attached, never when it is written.
-- Rights:    functions are called by rowcast.attach alone; execute is revoked from public.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

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

-- The name by which words, defaults and as_text know a column, or one that was looked up.
create function rowcast.told_name(lookup text, col text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select concat_ws('.', lookup, col)
$$;

-- What a placeholder or an argument names: a column of the table's (`lookup` is null), or one that was looked up; and how it is to be
-- shown ("text", "raw", or null). No row where it names nothing.
create function rowcast.reference(definition rowcast.attached, name text) returns table (lookup text, col text, manner text)
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select found.lookup, found.col, found.manner
  from (
    select 1 as place, null::text as lookup, rowcast.placeholder_column(definition, named.name) as col, named.manner
    from (values (reference.name, null), (substring(reference.name from '^(.*):(?:text|raw)$'), substring(reference.name from '[a-z]+$')))
      as named (name, manner)
    where rowcast.placeholder_column(definition, named.name) = any (definition.columns)
    union all
    select 2, part[1], part[2], part[3]
    from regexp_match(reference.name, '^([^.]+)\.(.+?)(?::(text|raw))?$') as part
    where definition.lookups -> part[1] -> 'columns' ? part[2]
  ) found
  order by place, manner nulls first limit 1
$$;

-- The template of the primary key, as payloads write it; null where there is none.
create function rowcast.key_template(definition rowcast.attached) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select string_agg(rowcast.placeholder(name), ':' order by place) from unnest(definition.key_columns) with ordinality as k (name, place)
$$;

revoke all on function rowcast.pieces, rowcast.placeholders, rowcast.placeholder, rowcast.placeholder_column, rowcast.camel,
  rowcast.wire_name, rowcast.told_name, rowcast.reference, rowcast.key_template from public;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
