-- Confined: whatever code a table brings along runs with no right at all, and can change nothing.
--
-- A type of somebody's own may have a cast to json, and that is code of theirs, which to_jsonb calls. The triggers run as the owner
-- of this schema, history as a server's role. So these two call to_jsonb only for rows whose types are all Postgres's own, which
-- nobody but a superuser can give a cast. Every other row becomes jsonb in rowcast.confined_row, and a value that can't in
-- rowcast.bounded_value: they run as the role rowcast_capture, which may not log in and has no right, in a transaction that is
-- read-only until they return.
--
-- Guarantee: no code of a table's runs as the owner of this schema or as a server's role. Where the role could not be made, such
--            code runs as the owner, read-only; `rowcast doctor` says so, and rowcast.confine() says why.
-- Cost:      none for a table whose columns have types of Postgres's own; for one with an enum, a domain or another type that
--            somebody made, two calls per row, about 7 µs.
-- Rights:    execute is revoked from public; a role that reads history is given what is new.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

-- Writes the two functions that run as somebody else. `runs_as` is who: they refuse to work as anybody but that role; null where it
-- could not be made. Up to Postgres 15 code can end the read-only state of its transaction (RESET), and then alter functions that its
-- role owns, but not what is written in them: so they look for themselves, and qualify every name.
create function rowcast.write_confined(runs_as text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $write$
begin
  execute format($sql$
-- A row as jsonb. It raises what the row's types raise. It has its caller's search_path, because setting one would cost 3 µs.
create or replace function rowcast.confined_row(source_row record) returns jsonb
language plpgsql stable security definer set transaction_read_only = on as $$
begin
  if current_user operator(pg_catalog.<>) %1$L then
    raise exception 'rowcast.confined_row does not run as %% any more: select rowcast.confine()', %1$L;
  end if;
  return pg_catalog.to_jsonb(source_row);
end $$;

-- As in 0011_capture.sql, but confined.
create or replace function rowcast.bounded_value(value anyelement) returns jsonb
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set transaction_read_only = on as $$
declare
  result pg_catalog.jsonb;
begin
  if current_user operator(pg_catalog.<>) %1$L then
    raise exception 'rowcast.bounded_value does not run as %% any more: select rowcast.confine()', %1$L;
  end if;
  begin
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

select rowcast.write_confined(null);

-- A row as jsonb, column by column, as in 0011_capture.sql. Where bounded_value does not work, no code of the row's types is called:
-- their values are written as Postgres prints them.
create or replace function rowcast.bounded_row(typed anyelement, source_row record) returns jsonb
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

-- A row as jsonb that confined_row could not make, or made large. As careful_row was in 0011_capture.sql.
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
  if not result ? 'rowcast:careful' then
    result := result || jsonb_build_object('rowcast:careful', state);
  end if;
  return result || jsonb_build_object('rowcast:careful, a member with a name that no column of a table can have', state);
end $$;

-- A row as jsonb that may not become jsonb just like that, or not without code of its types. A small row whose JSON is small is not
-- marked: nothing of it has to be measured. Its names are qualified, because a search_path of its own would cost each row.
create or replace function rowcast.careful_row(source_row record, capture text) returns jsonb
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

-- Whether each row of a source's table becomes jsonb without an error, and without code of anybody's. As in 0011_capture.sql, but a
-- type that is not Postgres's own is never plain: it can be given a cast to json at any time, and no plan is made anew for that.
-- Postgres's own types have oids below 16384.
create or replace function rowcast.is_plain(capture text) returns boolean
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
  return plain is true and (current_setting('transaction_isolation') = 'read committed' or exists (
    select from pg_class c
    where c.oid = relation and c.relfilenode = pg_relation_filenode(c.oid)
      and has_column_privilege(c.oid, (c.relnatts + 1)::smallint, 'select') is null));
exception when others then
  return false;
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
                   'rowcast.bounded_value(anyelement), rowcast.is_plain(text) to %s', role);
  end loop;
  return obstacle;
end $$;
comment on function rowcast.confine is 'gives what runs code of attached tables'' types to a role without rights; says what is in the way';

revoke all on function rowcast.confined_row(record), rowcast.measured_row(record, text, jsonb), rowcast.write_confined(text),
  rowcast.give_confined_away(), rowcast.confine() from public;

do $$
begin
  perform rowcast.confine();
end $$;

-- Plans that took a type of somebody's own for a plain one are made anew.
select rowcast.regenerate();

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
