-- Lookups: columns of rows that a source's own rows point to.
--
-- What is looked up becomes a member of the row's JSON, by the name of the lookup: rooms, payloads, conditions and {row} take it from
-- there. For  lookups => '{"chat": {"table": "chats"}}'  on a table whose chat_id points to chats (id), the rows of an insert are
--
--   with rows_0 as materialized (select ... as after from new_rows t),
--        found_1 as materialized (
--          select rowcast.lookup_public_messages_1(array_agg(key)) as looked_up
--          from (select after ->> 'chat_id' as key from rows_0 group by 1) k),
--        rows_1 as materialized (
--          select after || jsonb_build_object('chat', (select looked_up from found_1) -> (after ->> 'chat_id')) as after from rows_0)
--   select after from rows_1
--
-- and the function that it calls reads
--
--   select jsonb_object_agg(k.key, jsonb_build_object('jid', ...))
--   from unnest(keys) as k (key) join public.chats c on c.id = k.key::bigint
--
-- A read of somebody's table runs that one's code while it is planned, if an index, a constraint, a statistic or the key of its
-- partitions has an expression of a function that is immutable. So where a read has the rights of the schema's owner, there must be none.
--
-- Guarantee: what is looked up is read once per statement, by a unique key. Where the table that is looked up is gone, renamed, or may
--            not be read, nothing is found, and no writer fails: rowcast.sources says so.
--            rowcast.preview and lookups read no table that runs code when it is read, unless a superuser owns the code. Who makes such an
--            index at the very moment of a read is not kept from it: attach and look up tables of owners whom you trust, where the schema's
--            owner may more.
-- Cost:      a source without lookups pays nothing. A lookup costs a statement some 0.15 ms, and each of its keys one read by index, 2 µs.
-- Rights:    a lookup reads as the owner of this schema; execute is revoked from public. Everybody may ask rowcast.plans_no_code: it says
--            what the catalog says.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

-- Whether the planner runs no code of somebody's who is no superuser when it plans a read of a table or of those that inherit from it.
-- In PL/pgSQL, which keeps its plan for a connection.
create function rowcast.plans_no_code(relation oid) returns boolean
language plpgsql stable set search_path = pg_catalog, pg_temp set plan_cache_mode = force_generic_plan as $$
begin
return (
  with recursive tree (relid) as (
    select relation
    union
    select i.inhrelid from pg_inherits i join tree on i.inhparent = tree.relid
  ), planned (classid, objid) as (
    select 'pg_class'::regclass::oid, relid from tree
    union all
    select 'pg_class'::regclass, i.indexrelid from pg_index i join tree on i.indrelid = tree.relid
    union all
    select 'pg_constraint'::regclass, c.oid from pg_constraint c join tree on c.conrelid = tree.relid where c.contype = 'c'
    union all
    select 'pg_statistic_ext'::regclass, s.oid from pg_statistic_ext s join tree on s.stxrelid = tree.relid
  ), used (owner) as (
    select f.proowner from planned p join pg_depend d using (classid, objid) join pg_proc f on d.refclassid = 'pg_proc'::regclass and f.oid = d.refobjid
    where d.refobjid >= 16384
    union all
    select o.oprowner from planned p join pg_depend d using (classid, objid) join pg_operator o on d.refclassid = 'pg_operator'::regclass and o.oid = d.refobjid
    where d.refobjid >= 16384
    union all
    select c.opcowner from planned p join pg_depend d using (classid, objid) join pg_opclass c on d.refclassid = 'pg_opclass'::regclass and c.oid = d.refobjid
    where d.refobjid >= 16384
    union all
    select t.typowner from planned p join pg_depend d using (classid, objid) join pg_type t on d.refclassid = 'pg_type'::regclass and t.oid = d.refobjid
    where d.refobjid >= 16384 and t.typtype = 'd' and (p.classid <> 'pg_class'::regclass or p.objid not in (select relid from tree))
  )
  select not exists (select from used join pg_roles r on r.oid = used.owner where not r.rolsuper));
end $$;

-- Whether a read of the table c (of pg_class) runs nobody's code: it is a table and no view, and the types of the key are Postgres's own, or
-- domains over those. Policies of row security are code, too: they are off, which is an error where there are any. A repeatable read
-- transaction may not see that a column was altered, but that the table was rewritten.
create function rowcast.no_code_sql(lookup jsonb) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format($sql$c.relkind = 'r' and c.relfilenode = pg_relation_filenode(c.oid) and not exists (
      select from pg_attribute a join pg_type t on t.oid = a.atttypid
      where a.attrelid = c.oid and a.attname = any (%L) and t.oid >= 16384 and not (t.typtype = 'd' and t.typbasetype < 16384))
      and rowcast.plans_no_code(c.oid)$sql$,
    array(select jsonb_array_elements_text(lookup -> 'key')))
$$;

-- A table's lookups, in an order in which each comes after the one whose column it needs.
create function rowcast.lookups_of(definition rowcast.attached) returns table (place bigint, name text, lookup jsonb)
language sql immutable set search_path = pg_catalog, pg_temp as $$
  with recursive found (depth, name, lookup) as (
    select 1, key, value from jsonb_each(definition.lookups)
    union all
    select found.depth + 1, needed.key, needed.value
    from found cross join jsonb_each(definition.lookups) needed
    where found.depth < 9 and exists (
      select from jsonb_array_elements_text(found.lookup -> 'column') as ours
      cross join lateral rowcast.reference(definition, ours) r
      where ours <> all (definition.columns) and r.lookup = needed.key)
  )
  select row_number() over (order by max(depth) desc, name), name, lookup from found group by name, lookup
$$;

-- The key of a lookup's row, out of ours: the text of one column, or a JSON array of several.
create function rowcast.lookup_key_sql(definition rowcast.attached, lookup jsonb, side text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when count(*) = 1 then min(part) else format('to_json(array[%s])::text', string_agg(part, ', ' order by place)) end
  from (
    select rowcast.member_sql(named.lookup, named.col, side, true) as part, place
    from jsonb_array_elements_text(lookup -> 'column') with ordinality as c (col, place)
    cross join lateral (
      select null as lookup, c.col where c.col = any (definition.columns)
      union all select r.lookup, r.col from rowcast.reference(definition, c.col) r where c.col <> all (definition.columns)
      limit 1) named
  ) parts
$$;

-- A row that was looked up, as jsonb; its table is called c. No code of its types runs: a type that is not Postgres's own is taken as
-- Postgres prints it, also where a column is given such a type later. So is json, which may hold what jsonb refuses.
create function rowcast.found_member_sql(name text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format('case when c.%1$I is distinct from null and pg_column_size(c.%1$I) <= 65536 then case when pg_typeof(c.%1$I)::oid < 16384 '
    'and pg_typeof(c.%1$I)::oid not in (''json''::regtype, ''json[]''::regtype) then to_jsonb(c.%1$I) '
    'else to_jsonb(format(''%%s'', c.%1$I)) end end', name)
$$;

create function rowcast.found_sql(lookup jsonb) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select format('jsonb_build_object(%s)', string_agg(format('%L, %s', name, rowcast.found_member_sql(name)), ', ' order by name))
  from jsonb_object_keys(lookup -> 'columns') as name
$$;

-- Which row a key means.
create function rowcast.lookup_join_sql(lookup jsonb, key text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select string_agg(format('c.%I = %s::%s', col,
      case when jsonb_array_length(lookup -> 'key') = 1 then key else format('(%s::jsonb ->> %s)', key, place - 1) end,
      lookup -> 'types' ->> (place::int - 1)), ' and ' order by place)
  from jsonb_array_elements_text(lookup -> 'key') with ordinality as k (col, place)
$$;

-- What a lookup finds where a column of its table is gone: the others. Its table is locked, and runs no code.
create function rowcast.look_up_what_is_left(lookup jsonb, keys text[]) returns jsonb
language plpgsql set search_path = pg_catalog, pg_temp set row_security = off as $$
declare
  result jsonb;
begin
  lookup := lookup || jsonb_build_object('columns', (
    select coalesce(jsonb_object_agg(c.key, c.value), '{}') from jsonb_each(lookup -> 'columns') c
    where exists (select from pg_attribute where attrelid = (lookup ->> 'table')::regclass and attname = c.key and not attisdropped)));
  execute format('select jsonb_object_agg(k.key, %s) from unnest($1) as k (key) join %s c on %s',
    rowcast.found_sql(lookup), lookup ->> 'table', rowcast.lookup_join_sql(lookup, 'k.key')) into result using keys;
  return result;
exception
  when lock_not_available or deadlock_detected or serialization_failure then
    raise;
  when others then
    return null;
end $$;

-- The functions of a table's lookups, as SQL to run, without those that it has no more. What a lock, a deadlock or a conflict does is
-- the writer's own. Its plans are made once for a connection, and read by the key's index whatever the statistics say: else Postgres plans anew
-- for each statement, which costs five times what the read does.
create function rowcast.lookup_functions_sql(definition rowcast.attached) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select string_agg(statement, E'\n\n' order by place) || E'\n\n' from (
    select place, format($sql$create or replace function rowcast.%1$I(keys text[]) returns jsonb
language plpgsql strict set row_security = off set plan_cache_mode = force_generic_plan
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $lookup$
begin
  lock table %3$s in access share mode;
  if not (select %7$s from pg_class c where c.oid = %8$L::regclass) then
    return null;
  end if;
  return (
    select jsonb_object_agg(k.key, %2$s)
    from unnest(keys) as k (key)
    join %3$s c on %4$s);
exception
  when lock_not_available or deadlock_detected or serialization_failure then
    raise;
  when undefined_column then
    return rowcast.look_up_what_is_left(%6$L, keys);
  when others then
    return null;
end $lookup$;
revoke all on function rowcast.%1$I(text[]) from public;
comment on function rowcast.%1$I(text[]) is %5$L;$sql$,
      'lookup_' || definition.capture || '_' || place, rowcast.found_sql(lookup), lookup ->> 'table',
      rowcast.lookup_join_sql(lookup, 'k.key'),
      format('Rowcast: looks up %s for %s', lookup ->> 'table', definition.source), lookup, rowcast.no_code_sql(lookup),
      lookup ->> 'table') as statement
    from rowcast.lookups_of(definition)
    union all
    select 100, format('drop function rowcast.%I(text[]);', proname)
    from pg_proc
    where pronamespace = 'rowcast'::regnamespace
      and proname ~ ('^lookup_' || definition.capture || '_[0-9]$')
      and substring(proname from '[0-9]$')::int > (select count(*) from rowcast.lookups_of(definition))
  ) statements
$$;

-- A member of an argument that is one name or several, as an array of names.
create function rowcast.names_of(argument text, value jsonb) returns text[]
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  if jsonb_typeof(value) = 'string' then
    return array[value #>> '{}'];
  elsif jsonb_typeof(value) = 'array' and value <> '[]' and not jsonb_path_exists(value, 'strict $[*] ? (@.type() != "string")') then
    return array(select jsonb_array_elements_text(value));
  end if;
  perform rowcast.refuse(format('%s is %s; accepted: a column''s name, or an array of them', argument, value));
end $$;

-- The table that an argument names: with its schema, or in the schema of the table that is attached.
create function rowcast.relation_named(definition rowcast.attached, argument text, name text) returns regclass
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  parts text[];
  relation regclass;
begin
  begin
    parts := parse_ident(name);
  exception when others then
    perform rowcast.refuse(format('%s: "%s" is no name of a table', argument, name));
  end;
  if cardinality(parts) = 1 then
    parts := (parse_ident(definition.source))[1] || parts;
  end if;
  select c.oid into relation from pg_class c join pg_namespace n on n.oid = c.relnamespace where array[nspname, relname]::text[] = parts;
  if relation is null then
    perform rowcast.refuse(format('%s: there is no table %s', argument, array_to_string(parts, '.')),
      'A name without a schema is looked for in the schema of the table that is attached.');
  end if;
  return relation;
end $$;

-- The type by which a key is compared: text can always become it.
create function rowcast.key_type(argument text, name text, type oid) returns text
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  base oid := type;
begin
  while (select typbasetype from pg_type where oid = base) <> 0 loop
    base := (select typbasetype from pg_type where oid = base);
  end loop;
  if base in ('text'::regtype, 'varchar'::regtype) then
    return 'text';
  elsif base not in ('smallint'::regtype, 'integer'::regtype, 'bigint'::regtype, 'uuid'::regtype) then
    perform rowcast.refuse(format('%s: %s is %s; accepted: smallint, integer, bigint, uuid, text, varchar', argument, name,
      format_type(type, null)));
  end if;
  return format_type(base, null);
end $$;

-- The lookups, checked, each with what the catalog says. Their columns are all that there are.
create function rowcast.resolve_lookups(definition rowcast.attached, relation regclass, lookups jsonb) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  named record;
  what text;
  theirs regclass;
  keys text[];
  ours text[];
  found record;
  resolved jsonb := '{}';
  pair record;
begin
  if jsonb_typeof(lookups) <> 'object' or (select count(*) from jsonb_object_keys(lookups)) not between 1 and 8 then
    perform rowcast.refuse('lookups is not understood; accepted: an object of 1 to 8 lookups, such as {"chat": {"table": "chats"}}');
  end if;
  for named in select key as name, value as lookup from jsonb_each(lookups) loop
    what := format('the lookup "%s"', named.name);
    if named.name !~ '^[A-Za-z_][A-Za-z0-9_]{0,39}$' or named.name = any (definition.columns)
       or exists (select from unnest(definition.columns) as col
                  where rowcast.wire_name(definition, col) in (named.name, rowcast.wire_name(definition, named.name)))
       or rowcast.wire_name(definition, named.name) = 'id' then
      perform rowcast.refuse(format('%s has a name that a column has, or that is no plain word; accepted: another one', what));
    end if;
    if jsonb_typeof(named.lookup) <> 'object' or named.lookup - '{table,column,key,row}'::text[] <> '{}'
       or jsonb_typeof(named.lookup -> 'table') is distinct from 'string' then
      perform rowcast.refuse(format('%s is not understood; accepted: {"table", "column", "key", "row"}', what));
    end if;
    theirs := rowcast.relation_named(definition, what, named.lookup ->> 'table');
    select format('%I.%I', nspname, relname) as name, n.nspname, relkind, relpersistence, row_security_active(c.oid) as is_hidden into found
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = theirs;
    if found.relkind <> 'r' or found.relpersistence = 't' then
      perform rowcast.refuse(format('%s: %s is no ordinary table; accepted: ordinary tables', what, found.name));
    end if;
    if not has_schema_privilege(found.nspname, 'usage') or not has_table_privilege(theirs, 'select') then
      perform rowcast.refuse(format('%s: %s may not read %s', what, current_user, found.name),
        format('grant usage on schema %I to %I; grant select on %s to %2$I;', found.nspname, current_user, found.name));
    end if;
    if found.is_hidden then
      perform rowcast.refuse(format('%s: row security may hide rows of %s from %s', what, found.name, current_user),
        format('alter role %I bypassrls;', current_user));
    end if;
    perform rowcast.check_reader(theirs);
    -- Their key: a unique one, all of which is there.
    keys := case when named.lookup ? 'key' then rowcast.names_of(what || '''s "key"', named.lookup -> 'key') else array(
      select attname::text from pg_index i cross join unnest(i.indkey) with ordinality as k (attnum, place)
      join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
      where i.indrelid = theirs and i.indisprimary order by place) end;
    if keys = '{}' or not exists (
      select from pg_index i
      where i.indrelid = theirs and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
        and (select array_agg(attname::text order by attname) from pg_attribute
             where attrelid = theirs and attnum = any ((i.indkey::int2[])[0 : i.indnkeyatts - 1]))
            = (select array_agg(k order by k) from unnest(keys) as k)) then
      perform rowcast.refuse(format('%s: %s has no unique key (%s); accepted: the columns of its primary key, or of a unique index without a condition',
        what, found.name, array_to_string(keys, ', ')));
    end if;
    -- Our columns: those that were given, or those of the only foreign key to it.
    if named.lookup ? 'column' then
      ours := rowcast.names_of(what || '''s "column"', named.lookup -> 'column');
    else
      select array_agg(our order by array_position(keys, their)) into ours
      from (
        select c.oid, a.attname::text as our, b.attname::text as their, count(*) over () as columns
        from pg_constraint c cross join unnest(c.conkey, c.confkey) as k (our, their)
        join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.our
        join pg_attribute b on b.attrelid = c.confrelid and b.attnum = k.their
        where c.contype = 'f' and c.conrelid = relation and c.confrelid = theirs
      ) pairs having count(distinct oid) = 1 and bool_and(their = any (keys));
    end if;
    if cardinality(ours) is distinct from cardinality(keys) then
      perform rowcast.refuse(format('%s needs "column": which of the columns of %s have (%s) of %s', what, definition.source,
        array_to_string(keys, ', '), found.name));
    end if;
    resolved := resolved || jsonb_build_object(named.name, jsonb_build_object(
      'table', found.name, 'column', ours, 'key', keys,
      'row', case when named.lookup ? 'row' then rowcast.names_of(what || '''s "row"', named.lookup -> 'row') else '{}' end,
      'types', (select jsonb_agg(rowcast.key_type(what, format('%s of %s', attname, found.name), atttypid) order by array_position(keys, attname::text))
                from pg_attribute where attrelid = theirs and attname = any (keys)),
      'columns', (select jsonb_object_agg(attname, rowcast.form_of(atttypid)) from pg_attribute
                  where attrelid = theirs and attnum > 0 and not attisdropped and atttypid not in ('json'::regtype, 'json[]'::regtype))));
  end loop;
  definition.lookups := resolved;
  for named in select key as name, value as lookup from jsonb_each(resolved) loop
    what := format('the lookup "%s"', named.name);
    perform rowcast.check_references(definition, what || '''s "column"', array(select jsonb_array_elements_text(named.lookup -> 'column')), '{}');
    perform rowcast.check_columns(what || '''s "row"', array(select jsonb_array_elements_text(named.lookup -> 'row')),
      array(select jsonb_object_keys(named.lookup -> 'columns')), named.lookup ->> 'table');
    -- A key of ours becomes one of theirs by its text.
    for pair in
      select c.name as our, named.lookup -> 'types' ->> (c.place::int - 1) as type, r.lookup,
             coalesce((select atttypid from pg_attribute where attrelid = relation and attname = c.name and r.lookup is null),
                      (select atttypid from pg_attribute
                       where attrelid = to_regclass(resolved -> r.lookup ->> 'table') and attname = r.col)) as own_type
      from jsonb_array_elements_text(named.lookup -> 'column') with ordinality as c (name, place)
      cross join lateral (
        select null as lookup, c.name as col where c.name = any (definition.columns)
        union all select x.lookup, x.col from rowcast.reference(definition, c.name) x where c.name <> all (definition.columns) limit 1) r
    loop
      if (rowcast.key_type(what, pair.our, pair.own_type) in ('text', 'uuid') or pair.type in ('text', 'uuid'))
         and rowcast.key_type(what, pair.our, pair.own_type) <> pair.type then
        perform rowcast.refuse(format('%s: %s is %s, and the key of %s is %s; accepted: the same type', what, pair.our,
          rowcast.key_type(what, pair.our, pair.own_type), named.lookup ->> 'table', pair.type));
      end if;
    end loop;
    if (select count(*) from rowcast.lookups_of(definition)) <> (select count(*) from jsonb_object_keys(resolved))
       or exists (select from rowcast.lookups_of(definition) l cross join jsonb_array_elements_text(l.lookup -> 'column') as own_name
                  cross join lateral rowcast.reference(definition, own_name) r
                  join rowcast.lookups_of(definition) needed on needed.name = r.lookup
                  where own_name <> all (definition.columns) and needed.place >= l.place) then
      perform rowcast.refuse('lookups need each other; accepted: one that needs columns of another, which needs none of its');
    end if;
  end loop;
  return resolved;
end $$;

revoke all on function rowcast.no_code_sql, rowcast.lookups_of, rowcast.lookup_key_sql, rowcast.found_member_sql, rowcast.found_sql,
  rowcast.lookup_join_sql, rowcast.look_up_what_is_left, rowcast.lookup_functions_sql, rowcast.names_of, rowcast.relation_named,
  rowcast.key_type, rowcast.resolve_lookups from public;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
