-- Unusual rows: what the generated triggers call where a row may be too large, may not be valid as jsonb, or has no room; and whatever code
-- a table brings along, which runs with no right at all, and can change nothing.
--
-- An ordinary row never comes here: its trigger turns it into an event by itself.
--
-- A type of somebody's own may have a cast to json, and that is code of theirs, which to_jsonb calls. The triggers run as the owner
-- of this schema, history as a server's role. So these two call to_jsonb only for rows whose types are all Postgres's own, which
-- nobody but a superuser can give a cast. Every other row becomes jsonb in rowcast.confined_row, and a value that can't in
-- rowcast.bounded_value: they run as the role rowcast_capture, which may not log in and has no right, in a subtransaction that is
-- read-only: it is set inside a block with an EXCEPTION clause, and Postgres sets it back when the block ends.
--
-- Guarantee: nothing here fails a writer. A value that is too large to send is left out, and the event says so.
--            No code of a table's runs as the owner of this schema or as a server's role. Where the role could not be made, such
--            code runs as the owner, read-only; `rowcast doctor` says so, and rowcast.confine() says why.
-- Cost:      none for a row of up to 16 kB whose columns have types of Postgres's own; a larger one is tried, and measured as text, before it
--            is sent. For a table with an enum, a domain or another type that somebody made, two calls and a subtransaction per row, which
--            takes no transaction id, about 7 µs.
-- Rights:    functions have a fixed search_path and run as their caller: a trigger, which runs as the owner of this schema, or a
--            server that reads history and was granted them (docs/sql.md). Execute is revoked from public.
--
-- Sizes in bytes, here and in the later files. They are literals because a writer pays for each call of a function:
--       2048  a room's text, and a single value that is sent whole out of a row that isn't
--       4096  the text that stands in for a value that is larger: longer than any room or id may be, so it is never
--             taken for one, and a payload of up to this size has none of it in it
--      16384  a stored row that becomes jsonb without being tried first: unpacked, it can't reach jsonb's limit of 256 MB
--      65536  the ids of a payload that is too large to send; a payload's template
--   16777216  a row as text, and a payload as text: the most that is ever sent (16 MB)

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

-- Whether a row of the table may fail to become jsonb: a json column can hold what jsonb refuses, and a type that is not
-- Postgres's own may have a cast to json that raises an error.
create function rowcast.needs_care(relation regclass) returns boolean
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

-- Whether each row of a source's table becomes jsonb without an error, and without code of anybody's. A type that is not Postgres's own, whose
-- oid is below 16384, is never plain: it can be given a cast to json at any time, and no plan is made anew for that. A partition has the types of
-- its parent, what inherits may have more. Where `may_be_styled` is false, no column may have a type with values of which settings decide,
-- besides the time zone, how they become text: one whose elements, or which itself, is not in the list.
--
-- IMMUTABLE lets the planner ask once per plan, so that a writer pays nothing. It is true enough: the answer depends on the
-- table's columns, and Postgres makes a new plan after any change of those, because the plan reads rows of that table.
-- A repeatable read transaction may write rows of a table that was altered after its snapshot, which it can't see here. So it
-- also asks what is not read by a snapshot: whether there is one column more, and whether the table was rewritten.
create function rowcast.is_plain(capture text, may_be_styled boolean default true) returns boolean
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  unstyled constant oid[] := array['boolean', 'smallint', 'integer', 'bigint', 'numeric', 'text', 'varchar', 'bpchar', 'name', 'uuid', 'jsonb',
    'date', 'timestamp', 'timestamptz', 'inet', 'cidr']::regtype[];
  relation oid;
  is_one boolean;
  plain boolean;
begin
  select max(t.tgrelid), count(distinct t.tgrelid) = 1 and bool_and(t.kind = 'r'),
         bool_and(a.atttypid < 16384 and a.atttypid not in ('json'::regtype, 'json[]'::regtype)
           and (may_be_styled or case when y.typlen = -1 and y.typelem <> 0 then y.typelem else y.oid end = any (unstyled)))
  into relation, is_one, plain
  from (
    select distinct t.tgrelid, c.relkind as kind
    from pg_proc p
    join pg_trigger t on t.tgfoid = p.oid and not t.tgisinternal
    join pg_class c on c.oid = t.tgrelid
    where p.pronamespace = 'rowcast'::regnamespace
      and p.proname in ('capture_' || capture || '_insert', 'capture_' || capture || '_update', 'capture_' || capture || '_delete')
      and not (c.relispartition and (t.tgparentid <> 0 or starts_with(t.tgname, 'rowcast_part_')))
  ) t
  join pg_attribute a on a.attrelid = t.tgrelid and a.attnum > 0 and not a.attisdropped
  join pg_type y on y.oid = a.atttypid;
  return plain is true and (current_setting('transaction_isolation') = 'read committed' or is_one and exists (
    select from pg_class c
    where c.oid = relation and c.relfilenode = pg_relation_filenode(c.oid)
      and has_column_privilege(c.oid, (c.relnatts + 1)::smallint, 'select') is null));
exception when others then
  return false;
end $$;

-- Writes the two functions that run as somebody else. `runs_as` is who: they refuse to work as anybody but that role; null where it
-- could not be made. Up to Postgres 15 code can end the read-only state of its transaction (RESET), and then alter functions that its
-- role owns, but not what is written in them: so they look for themselves, and qualify every name.
create function rowcast.write_confined(runs_as text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $write$
begin
  execute format($sql$
-- A row as jsonb. It raises what the row's types raise. It has its caller's search_path, because setting one would cost 3 µs.
-- The exception clause is there for its subtransaction, which the read-only state ends with.
create or replace function rowcast.confined_row(source_row record) returns jsonb
language plpgsql stable security definer as $$
declare
  result pg_catalog.jsonb;
  ignored pg_catalog.text;
begin
  if current_user operator(pg_catalog.<>) %1$L then
    raise exception 'rowcast.confined_row does not run as %% any more: select rowcast.confine()', %1$L;
  end if;
  begin
    ignored := pg_catalog.set_config('transaction_read_only', 'on', true);
    result := pg_catalog.to_jsonb(source_row);
  exception when others then
    raise;
  end;
  return result;
end $$;

-- A value as jsonb. One whose JSON is larger than 16 MB, or that can't be jsonb, becomes a text of 4096 bytes that differs when
-- the value does, so that an update of the column is still seen as a change. All of these begin alike: that is how a payload is
-- known to have one in it. The outer block's subtransaction ends the read-only state.
create or replace function rowcast.bounded_value(value anyelement) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  result pg_catalog.jsonb;
  ignored pg_catalog.text;
begin
  if current_user operator(pg_catalog.<>) %1$L then
    raise exception 'rowcast.bounded_value does not run as %% any more: select rowcast.confine()', %1$L;
  end if;
  begin
    ignored := pg_catalog.set_config('transaction_read_only', 'on', true);
    begin
      if pg_catalog.pg_column_size(value) operator(pg_catalog.<=) 16777216 then
        result := pg_catalog.to_jsonb(value);
        if result is null or pg_catalog.octet_length(result::pg_catalog.text) operator(pg_catalog.<=) 16777216 then
          return result;
        end if;
      end if;
    exception when others then
      null; -- It is replaced below.
    end;
    return pg_catalog.to_jsonb(pg_catalog.rpad(
      'rowcast:stand-in:'::pg_catalog.text operator(pg_catalog.||) pg_catalog.md5(value::pg_catalog.text), 4096, '.'));
  exception when others then
    return pg_catalog.to_jsonb(pg_catalog.rpad(
      'rowcast:stand-in:'::pg_catalog.text operator(pg_catalog.||) pg_catalog.pg_column_size(value)::pg_catalog.text, 4096, '.'));
  end;
end $$;
$sql$, runs_as);
end $write$;

-- A row as jsonb, column by column, each through bounded_value. Where that makes more than jsonb can hold, columns that are stored in more than
-- 2048 bytes are replaced. Where bounded_value does not work, no code of the row's types is called: their values are written as Postgres
-- prints them.
create function rowcast.bounded_row(typed anyelement, source_row record) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  -- What a column becomes: at first, where that is more than jsonb can hold, and where bounded_value does not work.
  ways constant text[] := array[
    'rowcast.bounded_value(($1).%1$I) as %1$I',
    'case when pg_column_size(($1).%1$I) <= 2048 then rowcast.bounded_value(($1).%1$I) '
      'else to_jsonb(rpad(''rowcast:stand-in:'' || pg_column_size(($1).%1$I), 4096, ''.'')) end as %1$I',
    'case when pg_column_size(($1).%1$I) > 2048 then to_jsonb(rpad(''rowcast:stand-in:'' || pg_column_size(($1).%1$I), 4096, ''.'')) '
      'when ($1).%1$I is distinct from null then to_jsonb(%2$s) end as %1$I'];
  way text;
  members text;
  result jsonb;
begin
  -- Columns can be named only in a row of a known type; `source_row` is an anonymous record.
  typed := source_row;
  foreach way in array ways loop
    begin
      select string_agg(format(way, attname, format(case when atttypid < 16384 and atttypid not in ('json'::regtype, 'json[]'::regtype)
          then '($1).%I' else 'format(''%%s'', ($1).%I)' end, attname)), ', ' order by attnum)
      into members
      from pg_attribute a join pg_type t on t.typrelid = a.attrelid
      where t.oid = pg_typeof(typed) and attnum > 0 and not attisdropped;
      execute format('select to_jsonb(o.*) from (select %s) o', members) into result using typed;
      return result;
    exception when others then
      null; -- The next way.
    end;
  end loop;
  return null;
end $$;

-- A row as jsonb that confined_row could not make, or made large: jsonb ends at 256 MB and text at 1 GB, and a json column may hold \u0000,
-- which jsonb refuses. The member that marks it says whether the row is whole or had values replaced. Where nothing helps, the row is empty,
-- and so has no room.
create function rowcast.measured_row(source_row record, capture text, whole jsonb) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  result jsonb;
  state text := 'whole';
begin
  begin
    if octet_length(whole::text) <= 16777216 then
      result := whole;
    end if;
  exception when others then
    null; -- The row is bounded below.
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
  return result || jsonb_build_object('rowcast:careful, a member with a name that no column of a table can have', state);
end $$;

-- A row as jsonb that may not become jsonb just like that, or not without code of its types. A small row whose JSON is small is not
-- marked: nothing of it has to be measured. Its names are qualified, because a search_path of its own would cost each row.
create function rowcast.careful_row(source_row record, capture text) returns jsonb
language plpgsql stable as $$
declare
  stored_bytes pg_catalog.int4 := pg_catalog.pg_column_size(source_row);
  result pg_catalog.jsonb;
begin
  begin
    if stored_bytes operator(pg_catalog.<=) 16777216 then
      result := rowcast.confined_row(source_row);
      if stored_bytes operator(pg_catalog.<=) 16384 and pg_catalog.pg_column_size(result) operator(pg_catalog.<=) 65536 then
        return result;
      end if;
    end if;
  exception when others then
    null; -- The row fails, or the function is gone: select rowcast.confine();
  end;
  return rowcast.measured_row(source_row, capture, result);
end $$;

-- The same for a trigger that has not all of the settings itself: it has only those that its table needed when it was attached.
create function rowcast.styled_row(source_row record, capture text) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp set timezone = 'UTC' set datestyle = 'ISO, MDY' set intervalstyle = 'postgres'
set bytea_output = 'hex' set extra_float_digits = 1 set lc_monetary = 'C' set quote_all_identifiers = off as $$
begin
  return rowcast.careful_row(source_row, capture);
end $$;

-- Gives the confined functions to the role rowcast_capture, which it makes where there is none. An error says what is in the way.
create function rowcast.give_confined_away() returns void
language plpgsql set search_path = pg_catalog, pg_temp set client_min_messages = warning as $$
declare
  is_superuser boolean := (select rolsuper from pg_roles where rolname = current_user);
  function text;
begin
  begin
    if not exists (select from pg_roles where rolname = 'rowcast_capture') then
      create role rowcast_capture nologin;
    end if;
  exception when duplicate_object or unique_violation then
    null; -- Another database of the cluster was quicker.
  end;
  if exists (select from pg_roles r where r.rolname = 'rowcast_capture'
             and (r.rolcanlogin or r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolreplication or r.rolbypassrls
                  or exists (select from pg_auth_members where member = r.oid))) then
    raise exception 'the role rowcast_capture has rights: it must not log in, have no attribute, and be a member of no role';
  end if;
  if not pg_has_role('rowcast_capture', 'usage') then
    execute format('grant rowcast_capture to %I', current_user);
  end if;
  if not is_superuser then
    -- Whoever gives a function away needs this for its new owner; nobody else ever sees it.
    grant create on schema rowcast to rowcast_capture;
  end if;
  perform rowcast.write_confined('rowcast_capture');
  foreach function in array array['rowcast.confined_row(record)', 'rowcast.bounded_value(anyelement)'] loop
    execute format('alter function %s owner to rowcast_capture', function);
  end loop;
  if not is_superuser then
    revoke create on schema rowcast from rowcast_capture;
  end if;
end $$;

-- The same, and says what is in the way; null if nothing is. Called again, it mends what was left undone, or was undone.
create function rowcast.confine() returns text
language plpgsql set search_path = pg_catalog, pg_temp set client_min_messages = warning as $$
declare
  obstacle text;
  role text;
begin
  begin
    perform rowcast.give_confined_away();
  exception when others then
    obstacle := sqlerrm;
    if not exists (select from pg_proc where pronamespace = 'rowcast'::regnamespace and proname = 'confined_row'
                   and pg_get_userbyid(proowner) = 'rowcast_capture') then
      perform rowcast.write_confined(null);
    end if;
  end;
  revoke all on function rowcast.confined_row(record), rowcast.bounded_value(anyelement) from public;
  -- Whoever owns the triggers calls them, and whoever reads history.
  for role in
    select nspowner::regrole::text from pg_namespace where nspname = 'rowcast'
    union
    select grantee::regrole::text from pg_proc p cross join aclexplode(p.proacl) a
    where p.oid = 'rowcast.careful_row(record, text)'::regprocedure and a.grantee <> 0 and a.privilege_type = 'EXECUTE'
  loop
    execute format('grant execute on function rowcast.confined_row(record), rowcast.measured_row(record, text, jsonb), '
                   'rowcast.bounded_value(anyelement), rowcast.is_plain(text, boolean) to %s', role);
  end loop;
  return obstacle;
end $$;
comment on function rowcast.confine is 'gives what runs code of attached tables'' types to a role without rights; says what is in the way';

-- The members of a JSON object that identify something, as text: id, ...Id, ..._id, and objects that contain such members.
create function rowcast.only_ids(data json) returns text
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare
  member record;
  nested text;
  kept text[] := '{}';
begin
  for member in select key, value, json_typeof(value) as type from json_each(data) loop
    if member.type = 'object' then
      nested := rowcast.only_ids(member.value);
      if nested <> '{}' then
        kept := kept || (to_json(member.key) || ':' || nested);
      end if;
    elsif member.type <> 'array' and member.key ~ '(^id|Id|_id)$' and octet_length(member.value::text) <= 2048 then
      kept := kept || (to_json(member.key) || ':' || member.value);
    end if;
  end loop;
  return '{' || array_to_string(kept, ',') || '}';
end $$;

-- What is sent instead of a payload that is too large: the same shape with its ids only, and "truncated": true.
-- It runs as its owner, so that a server's role needs a grant on this function and none on those that it calls.
create function rowcast.truncate_payload(data json) returns json
language plpgsql immutable security definer set search_path = pg_catalog, pg_temp as $$
declare
  ids text;
begin
  if json_typeof(data) = 'object' then
    ids := rowcast.only_ids(data);
  end if;
  if octet_length(ids) between 3 and 65536 then
    return '{"truncated":true,' || substr(ids, 2);
  end if;
  return '{"truncated":true}';
exception when others then
  -- For JSON that Postgres itself can't take apart: it is nested too deep, or near the limit of 1 GB.
  return '{"truncated":true}';
end $$;

-- The payload of an event that has no room, or whose row went through careful_row. One function serves both cases, because a statement pays
-- for each function that it names, called or not.
create function rowcast.unusual(room text, data json, origin jsonb, source text, key_columns text[]) returns json
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  if (octet_length(room) between 1 and 2048) is not true then
    return json_build_object(
      'source', source,
      'key', (select json_object_agg(name, left(origin ->> name, 200)) from unnest(key_columns) as name),
      'reason', 'the room is null or not <kind>:<id>, or its id (what follows the first colon) is empty or longer than 500 bytes, '
                'or its kind is rowcast, which is the servers'' own');
  elsif octet_length(data::text) <= 16777216
        and (origin ->> 'rowcast:careful, a member with a name that no column of a table can have' = 'whole'
             or strpos(data::text, 'rowcast:stand-in:') = 0) then
    return data;
  end if;
  return rowcast.truncate_payload(data);
end $$;

revoke all on function rowcast.needs_care, rowcast.is_plain, rowcast.styled_row, rowcast.write_confined, rowcast.bounded_row, rowcast.measured_row,
  rowcast.careful_row, rowcast.give_confined_away, rowcast.confine, rowcast.only_ids, rowcast.truncate_payload,
  rowcast.unusual from public;

do $$
begin
  perform rowcast.confine();
end $$;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
