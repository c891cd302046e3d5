--
-- PostgreSQL database dump
--


-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: rowcast; Type: SCHEMA; Schema: -; Owner: postgres
--

CREATE SCHEMA rowcast;


ALTER SCHEMA rowcast OWNER TO postgres;

--
-- Name: whatsapp_item; Type: TYPE; Schema: rowcast; Owner: postgres
--

CREATE TYPE rowcast.whatsapp_item AS (
	nr bigint,
	kind text,
	external_id text,
	contact_id text,
	direction text,
	author text,
	body text,
	status text,
	error text,
	at timestamp with time zone,
	problem text,
	item jsonb
);


ALTER TYPE rowcast.whatsapp_item OWNER TO postgres;

--
-- Name: ask_may_join(text[], bigint[], text[]); Type: FUNCTION; Schema: rowcast; Owner: rowcast_policy
--

CREATE FUNCTION rowcast.ask_may_join(claims text[], askers bigint[], rooms text[]) RETURNS TABLE(allowed boolean)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  return query
  with c as materialized (
    select u.text::jsonb as claims, u.place from unnest(ask_may_join.claims) with ordinality u (text, place)
  )
  select (rowcast.may_join(c.claims, q.room)) is true
  from rows from (unnest(ask_may_join.askers), unnest(ask_may_join.rooms)) with ordinality q (asker, room, place)
  join c on c.place = q.asker
  order by q.place;
end $$;


ALTER FUNCTION rowcast.ask_may_join(claims text[], askers bigint[], rooms text[]) OWNER TO rowcast_policy;

--
-- Name: FUNCTION ask_may_join(claims text[], askers bigint[], rooms text[]); Type: COMMENT; Schema: rowcast; Owner: rowcast_policy
--

COMMENT ON FUNCTION rowcast.ask_may_join(claims text[], askers bigint[], rooms text[]) IS 'asks rowcast.may_join as the role rowcast_policy, which can''t be left meanwhile';


--
-- Name: attach(regclass, text, text, text, text, text[], jsonb, jsonpath, jsonb, text[], text, text, boolean, jsonb, jsonb, jsonb, jsonb, text[], text[], text, text, boolean); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.attach(source regclass, room text DEFAULT NULL::text, on_insert text DEFAULT NULL::text, on_update text DEFAULT NULL::text, on_delete text DEFAULT NULL::text, update_columns text[] DEFAULT NULL::text[], rules jsonb DEFAULT NULL::jsonb, condition jsonpath DEFAULT NULL::jsonpath, payload jsonb DEFAULT NULL::jsonb, omit text[] DEFAULT '{}'::text[], key_case text DEFAULT 'camel'::text, order_column text DEFAULT NULL::text, dry_run boolean DEFAULT false, rooms jsonb DEFAULT NULL::jsonb, lookups jsonb DEFAULT NULL::jsonb, words jsonb DEFAULT NULL::jsonb, defaults jsonb DEFAULT NULL::jsonb, as_text text[] DEFAULT NULL::text[], order_columns text[] DEFAULT NULL::text[], timezone text DEFAULT NULL::text, capture text DEFAULT 'statement'::text, always boolean DEFAULT false) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET quote_all_identifiers TO 'off'
    SET jit TO 'off'
    AS $_$
#variable_conflict use_variable
declare
  definition rowcast.attached;
  other record;
  statements text := '';
  doubt text;
  -- What is dropped that isn't there would be told.
  loud text := current_setting('client_min_messages');
  limited boolean := current_setting('lock_timeout') <> '0';
  -- As in rowcast.check_reader.
  caller text := case current_setting('role') when 'none' then session_user else current_setting('role') end;
begin
  if source is null then
    perform rowcast.refuse('source is null; accepted: the name of a table');
  end if;
  if capture is null or capture not in ('statement', 'row') then
    perform rowcast.refuse(format('capture is "%s"; accepted: statement, row', capture));
  end if;
  definition := rowcast.define(source, jsonb_build_object('room', room, 'on_insert', on_insert, 'on_update', on_update, 'on_delete', on_delete,
    'update_columns', update_columns, 'rules', rules, 'payload', payload), rooms, condition::text, omit, key_case, order_column, order_columns,
    lookups, words, defaults, as_text, timezone, capture = 'row', coalesce(always, false));

  -- A table may have been renamed since it was attached, and another table may have its old name.
  for other in
    select a.source, a.capture, rowcast.relation_of(a.capture) as relation, a.by_row is true as by_row, a.tree is true as tree
    from rowcast.attached a
  loop
    if other.source = definition.source and other.relation <> source then
      -- The tables were swapped: the definition moves to the one that has the name now.
      if not has_table_privilege(caller, other.relation, 'select') then
        perform rowcast.refuse(format('the definition of %s belongs to %s, which was renamed and which %s may not read', other.source,
          other.relation, caller), format('select rowcast.detach(%L);', other.relation));
      end if;
      raise notice 'rowcast.attach: % was attached as %, and is captured no more', other.relation, other.source;
      statements := rowcast.drop_functions_sql(definition) || statements;
    elsif other.source = definition.source and (other.by_row <> definition.by_row or other.tree <> definition.tree) then
      statements := rowcast.drop_functions_sql(definition) || statements;
    elsif other.relation = source and other.source <> definition.source then
      statements := format(E'select rowcast.detach(%L);\n\n', other.source) || statements;
    elsif other.relation in (select p.part from rowcast.parts_of(source) p) then
      raise notice 'rowcast.attach: % was attached by itself, and is captured as a part of % instead', other.source, definition.source;
      statements := format(E'select rowcast.detach(%L);\n\n', other.source) || statements;
    end if;
  end loop;
  statements := statements || rowcast.attach_sql(definition);
  if to_jsonb(definition)::text ~ '\$(capture|lookup)\$' then
    perform rowcast.refuse('an argument or a column contains $capture$ or $lookup$, which quote the generated code');
  end if;

  for doubt in select d from rowcast.doubts(definition, source, order_column is not null or order_columns is not null) as d loop
    raise notice 'rowcast.attach: %', doubt;
  end loop;
  if not dry_run then
    if not limited then
      perform set_config('lock_timeout', '5s', true);
    end if;
    perform set_config('client_min_messages', 'warning', true);
    begin
      execute statements;
    exception when lock_not_available then
      raise exception 'rowcast.attach: % could not be locked within %: a transaction that wrote to it is still open',
        definition.source, current_setting('lock_timeout') using errcode = '55P03', hint = 'Try again, or set lock_timeout.';
    end;
    perform set_config('client_min_messages', loud, true);
    if not limited then
      perform set_config('lock_timeout', '0', true);
    end if;
  end if;
  return statements;
end $_$;


ALTER FUNCTION rowcast.attach(source regclass, room text, on_insert text, on_update text, on_delete text, update_columns text[], rules jsonb, condition jsonpath, payload jsonb, omit text[], key_case text, order_column text, dry_run boolean, rooms jsonb, lookups jsonb, words jsonb, defaults jsonb, as_text text[], order_columns text[], timezone text, capture text, always boolean) OWNER TO postgres;

--
-- Name: FUNCTION attach(source regclass, room text, on_insert text, on_update text, on_delete text, update_columns text[], rules jsonb, condition jsonpath, payload jsonb, omit text[], key_case text, order_column text, dry_run boolean, rooms jsonb, lookups jsonb, words jsonb, defaults jsonb, as_text text[], order_columns text[], timezone text, capture text, always boolean); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.attach(source regclass, room text, on_insert text, on_update text, on_delete text, update_columns text[], rules jsonb, condition jsonpath, payload jsonb, omit text[], key_case text, order_column text, dry_run boolean, rooms jsonb, lookups jsonb, words jsonb, defaults jsonb, as_text text[], order_columns text[], timezone text, capture text, always boolean) IS 'makes changes of a table events; returns the SQL it ran, or with dry_run would run';


--
-- Name: attach_call(text, jsonb); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.attach_call(source text, arguments jsonb) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
  parameter record;
  call text := format('select rowcast.attach(%L', source);
  known text[] := '{}';
  unknown text;
begin
  if jsonb_typeof(arguments) is distinct from 'object' then
    perform rowcast.refuse('the arguments are no object; accepted: {"room": "conversation:{customer_id}", "on_insert": "message:new"}');
  end if;
  for parameter in
    select a.name, format_type(a.type, null) as type, arguments -> a.name as value, jsonb_typeof(arguments -> a.name) as kind
    from pg_proc p cross join unnest(p.proargnames, p.proargtypes::oid[]) with ordinality as a (name, type, place)
    where p.pronamespace = 'rowcast'::regnamespace and p.proname = 'attach' and a.place <= p.pronargs
      and a.name not in ('source', 'dry_run')
    order by a.place
  loop
    known := known || parameter.name;
    continue when coalesce(parameter.kind, 'null') = 'null';
    case parameter.type
      when 'text[]' then
        if parameter.kind <> 'array' or jsonb_path_exists(parameter.value, 'strict $[*] ? (@.type() != "string")') then
          perform rowcast.refuse(format('%s is %s; accepted: an array of texts', parameter.name, parameter.value));
        end if;
        call := call || format(', %I => %L', parameter.name, array(select jsonb_array_elements_text(parameter.value))::text);
      when 'jsonb' then
        call := call || format(', %I => %L', parameter.name, parameter.value::text);
      when 'boolean' then
        if parameter.kind <> 'boolean' then
          perform rowcast.refuse(format('%s is %s; accepted: true, false', parameter.name, parameter.value));
        end if;
        call := call || format(', %I => %s', parameter.name, parameter.value);
      else
        if parameter.kind <> 'string' then
          perform rowcast.refuse(format('%s is %s; accepted: a text', parameter.name, parameter.value));
        end if;
        call := call || format(', %I => %L', parameter.name, parameter.value #>> '{}');
    end case;
  end loop;
  select key into unknown from jsonb_object_keys(arguments) as key where key <> all (known) limit 1;
  if unknown is not null then
    perform rowcast.refuse(format('there is no argument "%s"; accepted: %s', unknown, array_to_string(known, ', ')));
  end if;
  return call || ')';
end $_$;


ALTER FUNCTION rowcast.attach_call(source text, arguments jsonb) OWNER TO postgres;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: attached; Type: TABLE; Schema: rowcast; Owner: postgres
--

CREATE TABLE rowcast.attached (
    source text NOT NULL,
    capture text NOT NULL,
    room text NOT NULL,
    events jsonb NOT NULL,
    condition text,
    key_columns text[] NOT NULL,
    room_columns text[] NOT NULL,
    columns text[] NOT NULL,
    omit text[] NOT NULL,
    key_case text NOT NULL,
    order_column text,
    careful boolean NOT NULL,
    row_sql text NOT NULL,
    attached_at timestamp with time zone DEFAULT now() NOT NULL,
    made jsonb,
    forms jsonb,
    as_text text[],
    words jsonb,
    defaults jsonb,
    timezone text,
    lookups jsonb,
    rooms jsonb,
    order_columns text[],
    feeds jsonb,
    tree boolean,
    by_row boolean,
    always boolean
);


ALTER TABLE rowcast.attached OWNER TO postgres;

--
-- Name: TABLE attached; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON TABLE rowcast.attached IS 'one row per attached table: the arguments of rowcast.attach, with what it chose where an argument was left out';


--
-- Name: COLUMN attached.source; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.attached.source IS 'the table''s name when it was attached, with its schema, quoted where SQL needs that';


--
-- Name: COLUMN attached.capture; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.attached.capture IS 'the trigger functions are rowcast.capture_<this>_insert, _update and _delete';


--
-- Name: COLUMN attached.room; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.attached.room IS 'the template of the room, such as conversation:{customer_id}';


--
-- Name: COLUMN attached.events; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.attached.events IS 'in the order they fire: [{"on", "columns", "event", "payload"}]';


--
-- Name: COLUMN attached.room_columns; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.attached.room_columns IS 'the columns that the room''s template names';


--
-- Name: COLUMN attached.columns; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.attached.columns IS 'the table''s columns when it was attached';


--
-- Name: COLUMN attached.omit; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.attached.omit IS 'the columns that {row} leaves out';


--
-- Name: COLUMN attached.order_column; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.attached.order_column IS 'the column that history is sorted by, before the key';


--
-- Name: COLUMN attached.careful; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.attached.careful IS 'a column''s type may refuse to become jsonb, so each row is tried first';


--
-- Name: COLUMN attached.row_sql; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.attached.row_sql IS '{row} as an SQL expression over "after", the row as jsonb';


--
-- Name: COLUMN attached.made; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.attached.made IS 'what attach found and made: {"types": {column: type}, "code": {operation: the trigger function''s [xmin, md5]}}';


--
-- Name: COLUMN attached.forms; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.attached.forms IS 'how columns become JSON, where that is not as to_jsonb has it: text, texts (an array of them), instant (timestamptz), local (timestamp)';


--
-- Name: COLUMN attached.as_text; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.attached.as_text IS 'further columns that are sent as text';


--
-- Name: COLUMN attached.words; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.attached.words IS 'what is sent for values: {"ack": {"0": "sent"}}';


--
-- Name: COLUMN attached.defaults; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.attached.defaults IS 'what is sent for null: {"author": "bot"}';


--
-- Name: COLUMN attached.timezone; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.attached.timezone IS 'the zone of columns of type timestamp; null for UTC';


--
-- Name: COLUMN attached.lookups; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.attached.lookups IS 'rows of other tables, by name: {"chat": {"table", "column": [ours], "key": [theirs], "types": [of the key], "row": [shown in {row}], "columns": {name: form}}}';


--
-- Name: COLUMN attached.rooms; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.attached.rooms IS 'where there is more to say than room and events do: [{"room", "condition", "events"}], in the order in which they get their events';


--
-- Name: COLUMN attached.order_columns; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.attached.order_columns IS 'the columns that history is sorted by, before the key; null for order_column alone';


--
-- Name: COLUMN attached.feeds; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.attached.feeds IS 'what history reads, one per room that message:new goes to: {"room", "columns", "lookups", "room_sql", "belongs_sql", "row_sql", "key_sql", "id_column", "key", "order", "members"}, SQL over "after"';


--
-- Name: COLUMN attached.tree; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.attached.tree IS 'whether it has parts: partitions, or tables that inherit from it';


--
-- Name: COLUMN attached.by_row; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.attached.by_row IS 'whether its triggers are called for each row';


--
-- Name: COLUMN attached.always; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.attached.always IS 'whether its triggers fire whatever session_replication_role says';


--
-- Name: attach_sql(rowcast.attached); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.attach_sql(definition rowcast.attached) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select coalesce(rowcast.lookup_functions_sql(definition), '')
    || string_agg(case when operation = 'truncate' or rowcast.captures(definition, operation) then rowcast.trigger_sql(definition, operation)
    else format('drop function if exists rowcast.%I() cascade;', rowcast.capture_name(definition, operation)) end,
    E'\n\n' order by place)
    || coalesce((
      -- Written once, and not for each of many parts.
      select E'\n\n' || string_agg(replace(t.template, chr(1), p.name), E'\n' order by p.name)
      from pg_class c join pg_namespace n on n.oid = c.relnamespace cross join rowcast.parts_of(c.oid) p
      join (select is_partition, rowcast.part_sql(definition, chr(1), is_partition) as template from (values (true), (false)) as w (is_partition)
            offset 0) t using (is_partition)
      where definition.tree and array[n.nspname, c.relname]::text[] = parse_ident(definition.source) and p.kind in ('r', 'p')), '')
    || format(E'\n\ndelete from rowcast.attached where source = %L;\n'
              'insert into rowcast.attached select * from jsonb_populate_record(null::rowcast.attached, %L);',
              definition.source, to_jsonb(definition))
  from unnest('{insert,update,delete,truncate}'::text[]) with ordinality as o (operation, place)
$$;


ALTER FUNCTION rowcast.attach_sql(definition rowcast.attached) OWNER TO postgres;

--
-- Name: bounded_row(anyelement, record); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.bounded_row(typed anyelement, source_row record) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
end $_$;


ALTER FUNCTION rowcast.bounded_row(typed anyelement, source_row record) OWNER TO postgres;

--
-- Name: bounded_value(anyelement); Type: FUNCTION; Schema: rowcast; Owner: rowcast_capture
--

CREATE FUNCTION rowcast.bounded_value(value anyelement) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  result pg_catalog.jsonb;
  ignored pg_catalog.text;
begin
  if current_user operator(pg_catalog.<>) 'rowcast_capture' then
    raise exception 'rowcast.bounded_value does not run as % any more: select rowcast.confine()', 'rowcast_capture';
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


ALTER FUNCTION rowcast.bounded_value(value anyelement) OWNER TO rowcast_capture;

--
-- Name: camel(text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.camel(name text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select substring(name from '^_*') || string_agg(
    case when place = 1 then part else upper(left(part, 1)) || substr(part, 2) end, '' order by place)
  from regexp_split_to_table(ltrim(name, '_'), '_+') with ordinality as p (part, place)
$$;


ALTER FUNCTION rowcast.camel(name text) OWNER TO postgres;

--
-- Name: capture_name(rowcast.attached, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.capture_name(definition rowcast.attached, operation text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select 'capture_' || definition.capture || '_' || operation
$$;


ALTER FUNCTION rowcast.capture_name(definition rowcast.attached, operation text) OWNER TO postgres;

--
-- Name: capture_public_conversations_delete(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.capture_public_conversations_delete() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET jit TO 'off'
    AS $_$
begin
  insert into rowcast.events (room, event, data, source)
  select room,
         'message:deleted',
         case when room is not null and not origin ? 'rowcast:careful, a member with a name that no column of a table can have' then data
              else rowcast.unusual(room, data, origin, 'public.conversations', '{contact_id}') end,
         'public.conversations'
  from (
    select before as origin, case when octet_length(room_before) between 7 and 506 then room_before end as room, row_to_json(rowcast_payload.*) as data
    from (
      select before, 'inbox:all' as room_before
      from (select case when rowcast.is_plain('public_conversations', false) and pg_column_size(t.*) <= 16384 then to_jsonb(t.*) else rowcast.styled_row(t.*, 'public_conversations') end as before from old_rows t offset 0) t
      where (before @@ '($."last_message_at" != null)') is true
    ) t
    cross join lateral (
      select 'all' as "contactId", before ->> 'contact_id' as "messageId"
    ) rowcast_payload
    offset 0
  ) e;
  return null;
end $_$;


ALTER FUNCTION rowcast.capture_public_conversations_delete() OWNER TO postgres;

--
-- Name: FUNCTION capture_public_conversations_delete(); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.capture_public_conversations_delete() IS 'Rowcast: captures each delete of public.conversations';


--
-- Name: capture_public_conversations_insert(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.capture_public_conversations_insert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET jit TO 'off'
    AS $_$
begin
  insert into rowcast.events (room, event, data, source)
  select room,
         'message:new',
         case when room is not null and not origin ? 'rowcast:careful, a member with a name that no column of a table can have' then data
              else rowcast.unusual(room, data, origin, 'public.conversations', '{contact_id}') end,
         'public.conversations'
  from (
    select after as origin, case when octet_length(room_after) between 7 and 506 then room_after end as room, row_to_json(rowcast_payload.*) as data
    from (
      select after, 'inbox:all' as room_after
      from (select case when rowcast.is_plain('public_conversations', false) and pg_column_size(t.*) <= 16384 then to_jsonb(t.*) else rowcast.styled_row(t.*, 'public_conversations') end as after from new_rows t offset 0) t
      where (after @@ '($."last_message_at" != null)') is true
    ) t
    cross join lateral (
      select after ->> 'contact_id' as id, after ->> 'contact_id' as "contactId", after -> 'last_message' as "lastMessage", replace(after ->> 'last_message_at', '+00:00', 'Z') as "lastMessageAt", after -> 'unread' as unread, replace(after ->> 'updated_at', '+00:00', 'Z') as "updatedAt"
    ) rowcast_row
    cross join lateral (
      select rowcast_row as message, 'all' as "contactId"
    ) rowcast_payload
    offset 0
  ) e;
  return null;
end $_$;


ALTER FUNCTION rowcast.capture_public_conversations_insert() OWNER TO postgres;

--
-- Name: FUNCTION capture_public_conversations_insert(); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.capture_public_conversations_insert() IS 'Rowcast: captures each insert of public.conversations';


--
-- Name: capture_public_conversations_truncate(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.capture_public_conversations_truncate() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  perform rowcast.tell_to_reload('public.conversations', '{inbox:all}', 'truncate');
  return null;
end $$;


ALTER FUNCTION rowcast.capture_public_conversations_truncate() OWNER TO postgres;

--
-- Name: FUNCTION capture_public_conversations_truncate(); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.capture_public_conversations_truncate() IS 'Rowcast: tells of each truncate of public.conversations';


--
-- Name: capture_public_conversations_update(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.capture_public_conversations_update() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET jit TO 'off'
    AS $_$
begin
  insert into rowcast.events (room, event, data, source)
  select room,
         event,
         case when room is not null and not origin ? 'rowcast:careful, a member with a name that no column of a table can have' then data
              else rowcast.unusual(room, data, origin, 'public.conversations', '{contact_id}') end,
         'public.conversations'
  from (
    select room, event, origin, case when moved then (left(data::text, -1) || ',"moved":true}')::json else data end as data
    from (
    select case when octet_length(e.room) between 7 and 506 then e.room end as room, e.event, e.origin, e.moved,
           case e.payload
             when 1 then (select row_to_json(o.*) from (select 'all' as "contactId", before ->> 'contact_id' as "messageId") o)
             when 2 then (select row_to_json(o.*) from (select (select row_to_json(o.*) from (select after ->> 'contact_id' as id, after ->> 'contact_id' as "contactId", after -> 'last_message' as "lastMessage", replace(after ->> 'last_message_at', '+00:00', 'Z') as "lastMessageAt", after -> 'unread' as unread, replace(after ->> 'updated_at', '+00:00', 'Z') as "updatedAt") o) as message, 'all' as "contactId") o)
           end as data
    from (
      select *, was_in and is_in and room_before is not distinct from room_after as stays
      from (select place, before, after, (before @@ '($."last_message_at" != null)') is true as was_in, (after @@ '($."last_message_at" != null)') is true as is_in,
                   'inbox:all' as room_before,
                   'inbox:all' as room_after
      -- One call of the executor fills both tables, so position pairs the rows, even when keys change.
      -- FULL, because a full join never runs as a nested loop, and the plan is kept for updates of any size.
      from (select row_number() over () as place, case when rowcast.is_plain('public_conversations', false) and pg_column_size(t.*) <= 16384 then to_jsonb(t.*) else rowcast.styled_row(t.*, 'public_conversations') end as before from old_rows t) b
      full join (select row_number() over () as place, case when rowcast.is_plain('public_conversations', false) and pg_column_size(t.*) <= 16384 then to_jsonb(t.*) else rowcast.styled_row(t.*, 'public_conversations') end as after from new_rows t) a using (place)
      offset 0) t
    ) t
    cross join lateral (
      select 1 as step, room_before as room, 'message:deleted' as event, before as origin, 1 as payload, was_in and is_in as moved
      where was_in and not (stays and before -> 'contact_id' is not distinct from after -> 'contact_id') and room_before is not null
      union all
      select 2 as step, room_after as room, 'message:new' as event, after as origin, 2 as payload, was_in and is_in as moved
      where is_in and not (stays and before -> 'contact_id' is not distinct from after -> 'contact_id')
      union all
      select 3 as step, room_after as room, 'message:new' as event, after as origin, 2 as payload, false as moved
      where stays and before -> 'contact_id' is not distinct from after -> 'contact_id' and (before -> 'last_message' is distinct from after -> 'last_message'
        or before -> 'last_message_at' is distinct from after -> 'last_message_at'
        or before -> 'unread' is distinct from after -> 'unread')
    ) e
    order by t.place, e.step) e
  ) e;
  return null;
end $_$;


ALTER FUNCTION rowcast.capture_public_conversations_update() OWNER TO postgres;

--
-- Name: FUNCTION capture_public_conversations_update(); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.capture_public_conversations_update() IS 'Rowcast: captures each update of public.conversations';


--
-- Name: capture_public_letters_insert(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.capture_public_letters_insert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET jit TO 'off'
    SET "DateStyle" TO 'ISO, MDY'
    SET "IntervalStyle" TO 'postgres'
    SET bytea_output TO 'hex'
    SET extra_float_digits TO '1'
    SET lc_monetary TO 'C'
    SET quote_all_identifiers TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_variable
begin
  if starts_with(tg_name, 'rowcast_part_') and not rowcast.is_part(tg_relid, 'rowcast.capture_public_letters_insert'::regproc) then
    return null;
  end if;
  insert into rowcast.events (room, event, data, source)
  select room,
         'message:new',
         case when room is not null and not origin ? 'rowcast:careful, a member with a name that no column of a table can have' then data
              else rowcast.unusual(room, data, origin, 'public.letters', '{id,sent}') end,
         'public.letters'
  from (
    select after as origin, case when octet_length(room_after) between 14 and 513 then room_after end as room, row_to_json(rowcast_payload.*) as data
    from (
      select after, 'conversation:' || (after ->> 'chat') as room_after
      from (select case when rowcast.is_plain('public_letters') and pg_column_size(t.*) <= 16384 then to_jsonb(t.*) else rowcast.careful_row(t.*, tg_relid::text) end as after from new_rows t offset 0) t
      where true
    ) t
    cross join lateral (
      select after ->> 'id' as id, after ->> 'chat' as chat, after -> 'body' as body, replace(after ->> 'sent', '+00:00', 'Z') as sent
    ) rowcast_row
    cross join lateral (
      select rowcast_row as message, (after ->> 'chat') as "contactId"
    ) rowcast_payload
    offset 0
  ) e;
  return null;
end $$;


ALTER FUNCTION rowcast.capture_public_letters_insert() OWNER TO postgres;

--
-- Name: FUNCTION capture_public_letters_insert(); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.capture_public_letters_insert() IS 'Rowcast: captures each insert of public.letters';


--
-- Name: capture_public_letters_truncate(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.capture_public_letters_truncate() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  if starts_with(tg_name, 'rowcast_part_') and not rowcast.is_part(tg_relid, 'rowcast.capture_public_letters_truncate'::regproc) then
    return null;
  end if;
  perform rowcast.tell_to_reload('public.letters', '{conversation:%}', 'truncate');
  return null;
end $$;


ALTER FUNCTION rowcast.capture_public_letters_truncate() OWNER TO postgres;

--
-- Name: FUNCTION capture_public_letters_truncate(); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.capture_public_letters_truncate() IS 'Rowcast: tells of each truncate of public.letters';


--
-- Name: capture_public_letters_update(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.capture_public_letters_update() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET jit TO 'off'
    SET "DateStyle" TO 'ISO, MDY'
    SET "IntervalStyle" TO 'postgres'
    SET bytea_output TO 'hex'
    SET extra_float_digits TO '1'
    SET lc_monetary TO 'C'
    SET quote_all_identifiers TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
#variable_conflict use_variable
begin
  if starts_with(tg_name, 'rowcast_part_') and not rowcast.is_part(tg_relid, 'rowcast.capture_public_letters_update'::regproc) then
    return null;
  end if;
  insert into rowcast.events (room, event, data, source)
  select room,
         event,
         case when room is not null and not origin ? 'rowcast:careful, a member with a name that no column of a table can have' then data
              else rowcast.unusual(room, data, origin, 'public.letters', '{id,sent}') end,
         'public.letters'
  from (
    select room, event, origin, case when moved then (left(data::text, -1) || ',"moved":true}')::json else data end as data
    from (
    select case when octet_length(e.room) between 14 and 513 then e.room end as room, e.event, e.origin, e.moved,
           case e.payload
             when 1 then (select row_to_json(o.*) from (select (select row_to_json(o.*) from (select after ->> 'id' as id, after ->> 'chat' as chat, after -> 'body' as body, replace(after ->> 'sent', '+00:00', 'Z') as sent) o) as message, (after ->> 'chat') as "contactId") o)
           end as data
    from (
      select *, was_in and is_in and room_before is not distinct from room_after as stays
      from (select place, before, after, true as was_in, true as is_in,
                   'conversation:' || (before ->> 'chat') as room_before,
                   'conversation:' || (after ->> 'chat') as room_after
      -- One call of the executor fills both tables, so position pairs the rows, even when keys change.
      -- FULL, because a full join never runs as a nested loop, and the plan is kept for updates of any size.
      from (select row_number() over () as place, case when rowcast.is_plain('public_letters') and pg_column_size(t.*) <= 16384 then to_jsonb(t.*) else rowcast.careful_row(t.*, tg_relid::text) end as before from old_rows t) b
      full join (select row_number() over () as place, case when rowcast.is_plain('public_letters') and pg_column_size(t.*) <= 16384 then to_jsonb(t.*) else rowcast.careful_row(t.*, tg_relid::text) end as after from new_rows t) a using (place)
      offset 0) t
    ) t
    cross join lateral (
      select 1 as step, room_after as room, 'message:new' as event, after as origin, 1 as payload, was_in and is_in as moved
      where is_in and not (stays)
    ) e
    order by t.place, e.step) e
  ) e;
  return null;
end $$;


ALTER FUNCTION rowcast.capture_public_letters_update() OWNER TO postgres;

--
-- Name: FUNCTION capture_public_letters_update(); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.capture_public_letters_update() IS 'Rowcast: captures each update of public.letters';


--
-- Name: capture_public_messages_delete(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.capture_public_messages_delete() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET jit TO 'off'
    AS $$
begin
  insert into rowcast.events (room, event, data, source)
  select room,
         'message:deleted',
         case when room is not null and not origin ? 'rowcast:careful, a member with a name that no column of a table can have' then data
              else rowcast.unusual(room, data, origin, 'public.messages', '{id}') end,
         'public.messages'
  from (
    select before as origin, case when octet_length(room_before) between 14 and 513 then room_before end as room, row_to_json(rowcast_payload.*) as data
    from (
      select before, 'conversation:' || (before ->> 'contact_id') as room_before
      from (select case when rowcast.is_plain('public_messages', false) and pg_column_size(t.*) <= 16384 then to_jsonb(t.*) else rowcast.styled_row(t.*, 'public_messages') end as before from old_rows t offset 0) t
      where true
    ) t
    cross join lateral (
      select (before ->> 'contact_id') as "contactId", before ->> 'id' as "messageId"
    ) rowcast_payload
    offset 0
  ) e;
  return null;
end $$;


ALTER FUNCTION rowcast.capture_public_messages_delete() OWNER TO postgres;

--
-- Name: FUNCTION capture_public_messages_delete(); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.capture_public_messages_delete() IS 'Rowcast: captures each delete of public.messages';


--
-- Name: capture_public_messages_insert(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.capture_public_messages_insert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET jit TO 'off'
    AS $$
begin
  insert into rowcast.events (room, event, data, source)
  select room,
         'message:new',
         case when room is not null and not origin ? 'rowcast:careful, a member with a name that no column of a table can have' then data
              else rowcast.unusual(room, data, origin, 'public.messages', '{id}') end,
         'public.messages'
  from (
    select after as origin, case when octet_length(room_after) between 14 and 513 then room_after end as room, row_to_json(rowcast_payload.*) as data
    from (
      select after, 'conversation:' || (after ->> 'contact_id') as room_after
      from (select case when rowcast.is_plain('public_messages', false) and pg_column_size(t.*) <= 16384 then to_jsonb(t.*) else rowcast.styled_row(t.*, 'public_messages') end as after from new_rows t offset 0) t
      where true
    ) t
    cross join lateral (
      select after ->> 'id' as id, after ->> 'contact_id' as "contactId", after -> 'direction' as direction, after -> 'author' as author, after -> 'body' as body, after -> 'status' as status, after -> 'external_id' as "externalId", after -> 'metadata' as metadata, replace(after ->> 'created_at', '+00:00', 'Z') as "createdAt", replace(after ->> 'updated_at', '+00:00', 'Z') as "updatedAt"
    ) rowcast_row
    cross join lateral (
      select rowcast_row as message, (after ->> 'contact_id') as "contactId"
    ) rowcast_payload
    offset 0
  ) e;
  return null;
end $$;


ALTER FUNCTION rowcast.capture_public_messages_insert() OWNER TO postgres;

--
-- Name: FUNCTION capture_public_messages_insert(); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.capture_public_messages_insert() IS 'Rowcast: captures each insert of public.messages';


--
-- Name: capture_public_messages_truncate(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.capture_public_messages_truncate() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  perform rowcast.tell_to_reload('public.messages', '{conversation:%}', 'truncate');
  return null;
end $$;


ALTER FUNCTION rowcast.capture_public_messages_truncate() OWNER TO postgres;

--
-- Name: FUNCTION capture_public_messages_truncate(); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.capture_public_messages_truncate() IS 'Rowcast: tells of each truncate of public.messages';


--
-- Name: capture_public_messages_update(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.capture_public_messages_update() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET jit TO 'off'
    AS $$
begin
  insert into rowcast.events (room, event, data, source)
  select room,
         event,
         case when room is not null and not origin ? 'rowcast:careful, a member with a name that no column of a table can have' then data
              else rowcast.unusual(room, data, origin, 'public.messages', '{id}') end,
         'public.messages'
  from (
    select room, event, origin, case when moved then (left(data::text, -1) || ',"moved":true}')::json else data end as data
    from (
    select case when octet_length(e.room) between 14 and 513 then e.room end as room, e.event, e.origin, e.moved,
           case e.payload
             when 1 then (select row_to_json(o.*) from (select (before ->> 'contact_id') as "contactId", before ->> 'id' as "messageId") o)
             when 2 then (select row_to_json(o.*) from (select (select row_to_json(o.*) from (select after ->> 'id' as id, after ->> 'contact_id' as "contactId", after -> 'direction' as direction, after -> 'author' as author, after -> 'body' as body, after -> 'status' as status, after -> 'external_id' as "externalId", after -> 'metadata' as metadata, replace(after ->> 'created_at', '+00:00', 'Z') as "createdAt", replace(after ->> 'updated_at', '+00:00', 'Z') as "updatedAt") o) as message, (after ->> 'contact_id') as "contactId") o)
             when 3 then (select row_to_json(o.*) from (select replace(after ->> 'updated_at', '+00:00', 'Z') as at, after -> 'status' as status, (after ->> 'contact_id') as "contactId", after ->> 'id' as "messageId") o)
           end as data
    from (
      select *, was_in and is_in and room_before is not distinct from room_after as stays
      from (select place, before, after, true as was_in, true as is_in,
                   'conversation:' || (before ->> 'contact_id') as room_before,
                   'conversation:' || (after ->> 'contact_id') as room_after
      -- One call of the executor fills both tables, so position pairs the rows, even when keys change.
      -- FULL, because a full join never runs as a nested loop, and the plan is kept for updates of any size.
      from (select row_number() over () as place, case when rowcast.is_plain('public_messages', false) and pg_column_size(t.*) <= 16384 then to_jsonb(t.*) else rowcast.styled_row(t.*, 'public_messages') end as before from old_rows t) b
      full join (select row_number() over () as place, case when rowcast.is_plain('public_messages', false) and pg_column_size(t.*) <= 16384 then to_jsonb(t.*) else rowcast.styled_row(t.*, 'public_messages') end as after from new_rows t) a using (place)
      offset 0) t
    ) t
    cross join lateral (
      select 1 as step, room_before as room, 'message:deleted' as event, before as origin, 1 as payload, was_in and is_in as moved
      where was_in and not (stays and before -> 'id' is not distinct from after -> 'id') and room_before is not null
      union all
      select 2 as step, room_after as room, 'message:new' as event, after as origin, 2 as payload, was_in and is_in as moved
      where is_in and not (stays and before -> 'id' is not distinct from after -> 'id')
      union all
      select 3 as step, room_after as room, 'message:status' as event, after as origin, 3 as payload, false as moved
      where stays and before -> 'id' is not distinct from after -> 'id' and (before -> 'status' is distinct from after -> 'status')
      union all
      select 4 as step, room_after as room, 'message:updated' as event, after as origin, 2 as payload, false as moved
      where stays and before -> 'id' is not distinct from after -> 'id' and (before -> 'id' is distinct from after -> 'id'
        or before -> 'contact_id' is distinct from after -> 'contact_id'
        or before -> 'direction' is distinct from after -> 'direction'
        or before -> 'author' is distinct from after -> 'author'
        or before -> 'body' is distinct from after -> 'body'
        or before -> 'external_id' is distinct from after -> 'external_id'
        or before -> 'metadata' is distinct from after -> 'metadata'
        or before -> 'created_at' is distinct from after -> 'created_at')
    ) e
    order by t.place, e.step) e
  ) e;
  return null;
end $$;


ALTER FUNCTION rowcast.capture_public_messages_update() OWNER TO postgres;

--
-- Name: FUNCTION capture_public_messages_update(); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.capture_public_messages_update() IS 'Rowcast: captures each update of public.messages';


--
-- Name: capture_public_notes_insert(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.capture_public_notes_insert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET jit TO 'off'
    SET "DateStyle" TO 'ISO, MDY'
    SET "IntervalStyle" TO 'postgres'
    SET bytea_output TO 'hex'
    SET extra_float_digits TO '1'
    SET lc_monetary TO 'C'
    SET quote_all_identifiers TO 'off'
    AS $$
begin
  insert into rowcast.events (room, event, data, source)
  select room,
         'message:new',
         case when room is not null and not origin ? 'rowcast:careful, a member with a name that no column of a table can have' then data
              else rowcast.unusual(room, data, origin, 'public.notes', '{id}') end,
         'public.notes'
  from (
    select after as origin, case when octet_length(room_after) between 7 and 506 then room_after end as room, row_to_json(rowcast_payload.*) as data
    from (
      select after, 'order:' || (after -> 'chat' ->> 'jid') as room_after
      from (with rows_0 as materialized (select case when rowcast.is_plain('public_notes') and pg_column_size(t.*) <= 16384 then to_jsonb(t.*) else rowcast.careful_row(t.*, 'public_notes') end as after from new_rows t), found_1 as materialized (
        select rowcast.lookup_public_notes_1(array_agg(key)) as looked_up from (select after ->> 'chat_id' as key from rows_0 group by 1) k
      ), rows_1 as materialized (
        select after || jsonb_build_object('chat', (select looked_up from found_1) -> (after ->> 'chat_id')) as after from rows_0
      ) select after from rows_1 offset 0) t
      where true
    ) t
    cross join lateral (
      select after ->> 'id' as id, after ->> 'chat_id' as "chatId", after -> 'body' as body
    ) rowcast_row
    cross join lateral (
      select rowcast_row as message, (after -> 'chat' ->> 'jid') as "contactId"
    ) rowcast_payload
    offset 0
  ) e;
  return null;
end $$;


ALTER FUNCTION rowcast.capture_public_notes_insert() OWNER TO postgres;

--
-- Name: FUNCTION capture_public_notes_insert(); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.capture_public_notes_insert() IS 'Rowcast: captures each insert of public.notes';


--
-- Name: capture_public_notes_truncate(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.capture_public_notes_truncate() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  perform rowcast.tell_to_reload('public.notes', '{order:%}', 'truncate');
  return null;
end $$;


ALTER FUNCTION rowcast.capture_public_notes_truncate() OWNER TO postgres;

--
-- Name: FUNCTION capture_public_notes_truncate(); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.capture_public_notes_truncate() IS 'Rowcast: tells of each truncate of public.notes';


--
-- Name: capture_public_notes_update(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.capture_public_notes_update() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET jit TO 'off'
    SET "DateStyle" TO 'ISO, MDY'
    SET "IntervalStyle" TO 'postgres'
    SET bytea_output TO 'hex'
    SET extra_float_digits TO '1'
    SET lc_monetary TO 'C'
    SET quote_all_identifiers TO 'off'
    AS $$
begin
  insert into rowcast.events (room, event, data, source)
  select room,
         event,
         case when room is not null and not origin ? 'rowcast:careful, a member with a name that no column of a table can have' then data
              else rowcast.unusual(room, data, origin, 'public.notes', '{id}') end,
         'public.notes'
  from (
    select room, event, origin, case when moved then (left(data::text, -1) || ',"moved":true}')::json else data end as data
    from (
    select case when octet_length(e.room) between 7 and 506 then e.room end as room, e.event, e.origin, e.moved,
           case e.payload
             when 1 then (select row_to_json(o.*) from (select (select row_to_json(o.*) from (select after ->> 'id' as id, after ->> 'chat_id' as "chatId", after -> 'body' as body) o) as message, (after -> 'chat' ->> 'jid') as "contactId") o)
           end as data
    from (
      select *, was_in and is_in and room_before is not distinct from room_after as stays
      from (select place, before, after, true as was_in, true as is_in,
                   'order:' || (before -> 'chat' ->> 'jid') as room_before,
                   'order:' || (after -> 'chat' ->> 'jid') as room_after
      from (with rows_0 as materialized (select place, before, after
      -- One call of the executor fills both tables, so position pairs the rows, even when keys change.
      -- FULL, because a full join never runs as a nested loop, and the plan is kept for updates of any size.
      from (select row_number() over () as place, case when rowcast.is_plain('public_notes') and pg_column_size(t.*) <= 16384 then to_jsonb(t.*) else rowcast.careful_row(t.*, 'public_notes') end as before from old_rows t) b
      full join (select row_number() over () as place, case when rowcast.is_plain('public_notes') and pg_column_size(t.*) <= 16384 then to_jsonb(t.*) else rowcast.careful_row(t.*, 'public_notes') end as after from new_rows t) a using (place)), found_1 as materialized (
        select rowcast.lookup_public_notes_1(array_agg(key)) as looked_up from (select before ->> 'chat_id' as key from rows_0 union select after ->> 'chat_id' as key from rows_0) k
      ), rows_1 as materialized (
        select place, before || jsonb_build_object('chat', (select looked_up from found_1) -> (before ->> 'chat_id')) as before, after || jsonb_build_object('chat', (select looked_up from found_1) -> (after ->> 'chat_id')) as after from rows_0
      ) select place, before, after from rows_1) t
      offset 0) t
    ) t
    cross join lateral (
      select 1 as step, room_after as room, 'message:new' as event, after as origin, 1 as payload, was_in and is_in as moved
      where is_in and not (stays)
    ) e
    order by t.place, e.step) e
  ) e;
  return null;
end $$;


ALTER FUNCTION rowcast.capture_public_notes_update() OWNER TO postgres;

--
-- Name: FUNCTION capture_public_notes_update(); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.capture_public_notes_update() IS 'Rowcast: captures each update of public.notes';


--
-- Name: capture_public_wa_delete(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.capture_public_wa_delete() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET jit TO 'off'
    AS $$
begin
  insert into rowcast.events (room, event, data, source)
  select room,
         'message:deleted',
         case when room is not null and not origin ? 'rowcast:careful, a member with a name that no column of a table can have' then data
              else rowcast.unusual(room, data, origin, 'public.wa', '{wa_id}') end,
         'public.wa'
  from (
    select before as origin, case when octet_length(room_before) between 14 and 513 then room_before end as room, row_to_json(rowcast_payload.*) as data
    from (
      select before, 'conversation:' || (before ->> 'chat') as room_before
      from (select case when rowcast.is_plain('public_wa', false) and pg_column_size(t.*) <= 16384 then to_jsonb(t.*) else rowcast.styled_row(t.*, 'public_wa') end as before from old_rows t offset 0) t
      where true
    ) t
    cross join lateral (
      select (before ->> 'chat') as "contactId", before ->> 'wa_id' as "messageId"
    ) rowcast_payload
    offset 0
  ) e;
  return null;
end $$;


ALTER FUNCTION rowcast.capture_public_wa_delete() OWNER TO postgres;

--
-- Name: FUNCTION capture_public_wa_delete(); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.capture_public_wa_delete() IS 'Rowcast: captures each delete of public.wa';


--
-- Name: capture_public_wa_insert(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.capture_public_wa_insert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET jit TO 'off'
    AS $$
begin
  insert into rowcast.events (room, event, data, source)
  select room,
         'message:new',
         case when room is not null and not origin ? 'rowcast:careful, a member with a name that no column of a table can have' then data
              else rowcast.unusual(room, data, origin, 'public.wa', '{wa_id}') end,
         'public.wa'
  from (
    select after as origin, case when octet_length(room_after) between 14 and 513 then room_after end as room, row_to_json(rowcast_payload.*) as data
    from (
      select after, 'conversation:' || (after ->> 'chat') as room_after
      from (select case when rowcast.is_plain('public_wa', false) and pg_column_size(t.*) <= 16384 then to_jsonb(t.*) else rowcast.styled_row(t.*, 'public_wa') end as after from new_rows t offset 0) t
      where true
    ) t
    cross join lateral (
      select after ->> 'wa_id' as id, after ->> 'wa_id' as "waId", after ->> 'chat' as chat, coalesce('{"0": "sent", "1": "delivered", "2": "read"}'::jsonb -> (after ->> 'ack'), after -> 'ack') as ack, after -> 'body' as body, rowcast.zoned(after ->> 'sent', 'America/Bogota') as sent
    ) rowcast_row
    cross join lateral (
      select rowcast_row as message, (after ->> 'chat') as "contactId"
    ) rowcast_payload
    offset 0
  ) e;
  return null;
end $$;


ALTER FUNCTION rowcast.capture_public_wa_insert() OWNER TO postgres;

--
-- Name: FUNCTION capture_public_wa_insert(); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.capture_public_wa_insert() IS 'Rowcast: captures each insert of public.wa';


--
-- Name: capture_public_wa_truncate(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.capture_public_wa_truncate() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  perform rowcast.tell_to_reload('public.wa', '{conversation:%}', 'truncate');
  return null;
end $$;


ALTER FUNCTION rowcast.capture_public_wa_truncate() OWNER TO postgres;

--
-- Name: FUNCTION capture_public_wa_truncate(); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.capture_public_wa_truncate() IS 'Rowcast: tells of each truncate of public.wa';


--
-- Name: capture_public_wa_update(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.capture_public_wa_update() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET jit TO 'off'
    AS $$
begin
  insert into rowcast.events (room, event, data, source)
  select room,
         event,
         case when room is not null and not origin ? 'rowcast:careful, a member with a name that no column of a table can have' then data
              else rowcast.unusual(room, data, origin, 'public.wa', '{wa_id}') end,
         'public.wa'
  from (
    select room, event, origin, case when moved then (left(data::text, -1) || ',"moved":true}')::json else data end as data
    from (
    select case when octet_length(e.room) between 14 and 513 then e.room end as room, e.event, e.origin, e.moved,
           case e.payload
             when 1 then (select row_to_json(o.*) from (select (before ->> 'chat') as "contactId", before ->> 'wa_id' as "messageId") o)
             when 2 then (select row_to_json(o.*) from (select (select row_to_json(o.*) from (select after ->> 'wa_id' as id, after ->> 'wa_id' as "waId", after ->> 'chat' as chat, coalesce('{"0": "sent", "1": "delivered", "2": "read"}'::jsonb -> (after ->> 'ack'), after -> 'ack') as ack, after -> 'body' as body, rowcast.zoned(after ->> 'sent', 'America/Bogota') as sent) o) as message, (after ->> 'chat') as "contactId") o)
             when 3 then (select row_to_json(o.*) from (select replace(to_jsonb(clock_timestamp()) #>> '{}', '+00:00', 'Z') as at, coalesce('{"0": "sent", "1": "delivered", "2": "read"}'::jsonb -> (after ->> 'ack'), after -> 'ack') as status, (after ->> 'chat') as "contactId", after ->> 'wa_id' as "messageId") o)
           end as data
    from (
      select *, was_in and is_in and room_before is not distinct from room_after as stays
      from (select place, before, after, true as was_in, true as is_in,
                   'conversation:' || (before ->> 'chat') as room_before,
                   'conversation:' || (after ->> 'chat') as room_after
      -- One call of the executor fills both tables, so position pairs the rows, even when keys change.
      -- FULL, because a full join never runs as a nested loop, and the plan is kept for updates of any size.
      from (select row_number() over () as place, case when rowcast.is_plain('public_wa', false) and pg_column_size(t.*) <= 16384 then to_jsonb(t.*) else rowcast.styled_row(t.*, 'public_wa') end as before from old_rows t) b
      full join (select row_number() over () as place, case when rowcast.is_plain('public_wa', false) and pg_column_size(t.*) <= 16384 then to_jsonb(t.*) else rowcast.styled_row(t.*, 'public_wa') end as after from new_rows t) a using (place)
      offset 0) t
    ) t
    cross join lateral (
      select 1 as step, room_before as room, 'message:deleted' as event, before as origin, 1 as payload, was_in and is_in as moved
      where was_in and not (stays and before -> 'wa_id' is not distinct from after -> 'wa_id') and room_before is not null
      union all
      select 2 as step, room_after as room, 'message:new' as event, after as origin, 2 as payload, was_in and is_in as moved
      where is_in and not (stays and before -> 'wa_id' is not distinct from after -> 'wa_id')
      union all
      select 3 as step, room_after as room, 'message:status' as event, after as origin, 3 as payload, false as moved
      where stays and before -> 'wa_id' is not distinct from after -> 'wa_id' and (before -> 'ack' is distinct from after -> 'ack')
    ) e
    order by t.place, e.step) e
  ) e;
  return null;
end $$;


ALTER FUNCTION rowcast.capture_public_wa_update() OWNER TO postgres;

--
-- Name: FUNCTION capture_public_wa_update(); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.capture_public_wa_update() IS 'Rowcast: captures each update of public.wa';


--
-- Name: capture_sql(rowcast.attached, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.capture_sql(definition rowcast.attached, operation text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
  rule record;
  payload text;
  payloads text[] := '{}';
  events text[] := '{}';
  rows text := rowcast.rows_sql(definition, operation);
  -- Whether a row that moved from one room to another says so: by a member of the payloads that are ours.
  says_moved boolean := false;
  moved text;
  joinable text := rowcast.joinable_sql(definition);
  -- The statement where there is one event.
  one text;
begin
  for rule in
    select r.room, r.suffix, r.condition, rowcast.keeps_key_sql(definition, r.events) as keeps_key, e as rule, e ->> 'event' as event, e -> 'payload' as payload,
           case e ->> 'on' when 'delete' then 'before' else 'after' end as side
    from rowcast.rooms_of(definition) r cross join jsonb_array_elements(r.events) with ordinality as x (e, nth)
    where e ->> 'on' = operation or operation = 'update'
    order by r.place, array_position(array['delete', 'insert', 'update'], e ->> 'on'), nth
  loop
    definition.room := rule.room;
    -- Each payload stands in the text once, however many events carry it: a writer pays for every expression.
    payload := rowcast.payload_sql(definition, rule.payload, rule.side);
    if payload <> all (payloads) then
      payloads := payloads || payload;
    end if;
    one := rowcast.one_event_sql(definition, rule.rule, rule.suffix, rule.side,
      rowcast.cause_sql(operation, rule.rule, rule.suffix, rule.condition, rule.keeps_key), joinable, rows);
    moved := null;
    if operation = 'update' then
      moved := ', false as moved';
      if rule.rule ->> 'on' <> 'update' and (rule.payload = '{"message": "{row}", "contactId": "{contactId}"}'
          or rule.payload ?& '{messageId,contactId}' and rule.payload - '{messageId,contactId}'::text[] = '{}') then
        says_moved := true;
        moved := format(', was_in%1$s and is_in%1$s as moved', rule.suffix);
      end if;
    end if;
    events := events || (format('      select %s as step, room_%s%s as room, %L as event, %s as origin, %s as payload',
        cardinality(events) + 1, rule.side, rule.suffix, rule.event, rule.side, array_position(payloads, payload)) || coalesce(moved, '')
      || coalesce(E'\n      where ' || rowcast.cause_sql(operation, rule.rule, rule.suffix, rule.condition, rule.keeps_key), ''));
  end loop;
  if operation <> 'update' and cardinality(events) = 1 and one is not null then
    return one;
  end if;

  return format($sql$  insert into rowcast.events (room, event, data, source)
  select room,
         event,
         case when room is not null and not origin ? 'rowcast:careful, a member with a name that no column of a table can have' then data
              else rowcast.unusual(room, data, origin, %1$L, %2$L) end,
         %1$L
  from (%8$s
    select case when %7$s then e.room end as room, e.event, e.origin,%9$s
           case e.payload
%3$s
           end as data
    from (%4$s
    ) t
    cross join lateral (
%5$s
    ) e
    %6$s%10$s
  ) e;$sql$,
    definition.source,
    definition.key_columns,
    (select string_agg(format('             when %s then %s', place, expression), E'\n' order by place)
     from unnest(payloads) with ordinality as p (expression, place)),
    rows,
    replace(array_to_string(events, E'\n      union all\n'), case when says_moved then '' else ', false as moved' end, ''),
    -- The full join of an update may return its rows in another order. Inserted and deleted rows come as they were written.
    case operation when 'update' then 'order by t.place, e.step' else 'offset 0' end,
    regexp_replace(joinable, '\mroom\M', 'e.room', 'g'),
    case when says_moved then E'\n    select room, event, origin, '
      || E'case when moved then (left(data::text, -1) || \',"moved":true}\')::json else data end as data\n    from (' else '' end,
    case when says_moved then ' e.moved,' else '' end,
    case when says_moved then ') e' else '' end);
end $_$;


ALTER FUNCTION rowcast.capture_sql(definition rowcast.attached, operation text) OWNER TO postgres;

--
-- Name: captures(rowcast.attached, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.captures(definition rowcast.attached, operation text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select definition.events @> jsonb_build_array(jsonb_build_object('on', operation))
    or operation = 'update' and (definition.room_columns <> '{}' or definition.condition is not null
      or exists (select from rowcast.rooms_of(definition) r
                 where r.condition is not null
                    or exists (select from rowcast.pieces(r.room) p where p.name is not null)))
$$;


ALTER FUNCTION rowcast.captures(definition rowcast.attached, operation text) OWNER TO postgres;

--
-- Name: careful_row(record, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.careful_row(source_row record, capture text) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    AS $$
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


ALTER FUNCTION rowcast.careful_row(source_row record, capture text) OWNER TO postgres;

--
-- Name: cause_sql(text, jsonb, text, text, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.cause_sql(operation text, rule jsonb, suffix text, condition text, keeps_key text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  select nullif(concat_ws(' and ',
    case when operation <> 'update' then rowcast.meets_sql(condition, side)
      when rule ->> 'on' = 'delete' then format('was_in%1$s and not (%2$s) and room_before%1$s is not null', suffix, stays)
      when rule ->> 'on' = 'insert' then format('is_in%1$s and not (%2$s)', suffix, stays)
      else format('%s and (%s)', stays, (
        select string_agg(format('before -> %1$L is distinct from after -> %1$L', name), E'\n        or ' order by place)
        from jsonb_array_elements_text(rule -> 'columns') with ordinality as c (name, place))) end,
    rowcast.meets_sql(rule ->> 'condition', side)), '')
  from (select case rule ->> 'on' when 'delete' then 'before' else 'after' end as side,
               concat_ws(' and ', 'stays' || suffix, keeps_key) as stays) s
$_$;


ALTER FUNCTION rowcast.cause_sql(operation text, rule jsonb, suffix text, condition text, keeps_key text) OWNER TO postgres;

--
-- Name: chat_apply_status(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.chat_apply_status() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  statuses constant text[] := array['queued', 'sent', 'failed', 'delivered', 'read'];
begin
  update public.messages m set status = new.status
  where m.id = new.message_id and array_position(statuses, m.status) < array_position(statuses, new.status);
  return null;
end $$;


ALTER FUNCTION rowcast.chat_apply_status() OWNER TO postgres;

--
-- Name: chat_note(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.chat_note() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  if tg_op = 'INSERT' then
    insert into rowcast.inbox_due (contact_id, unread)
    select j ->> 'contact_id', count(*) filter (where j ->> 'direction' = 'inbound' and j ->> 'status' <> 'read')
    from new_rows r cross join lateral to_jsonb(r) j where j ->> 'contact_id' is not null group by 1;
  elsif tg_op = 'DELETE' then
    insert into rowcast.inbox_due (contact_id, unread)
    select j ->> 'contact_id', -count(*) filter (where j ->> 'direction' = 'inbound' and j ->> 'status' <> 'read')
    from old_rows r cross join lateral to_jsonb(r) j where j ->> 'contact_id' is not null group by 1;
  else
    insert into rowcast.inbox_due (contact_id, unread)
    select j ->> 'contact_id', coalesce(sum(side) filter (where j ->> 'direction' = 'inbound' and j ->> 'status' <> 'read'), 0)
    from (select to_jsonb(n), 1 from new_rows n union all select to_jsonb(o), -1 from old_rows o) r (j, side)
    where j ->> 'contact_id' is not null group by 1;
  end if;
  return null;
end $$;


ALTER FUNCTION rowcast.chat_note() OWNER TO postgres;

--
-- Name: chat_place_statuses(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.chat_place_statuses() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  statuses constant text[] := array['queued', 'sent', 'failed', 'delivered', 'read'];
begin
  with placed as (
    delete from public.webhook_leftovers l
    where l.kind = 'status' and l.external_id = new.external_id
      and array_position(statuses, l.item ->> 'status') <= array_position(statuses, new.status)
    returning l.id, l.item, l.received_at
  )
  insert into public.message_statuses (message_id, status, error, occurred_at)
  select new.id, item ->> 'status', rowcast.whatsapp_error(item), coalesce(rowcast.whatsapp_time(item -> 'timestamp'), received_at)
  from placed order by 4, id;
  return null;
end $$;


ALTER FUNCTION rowcast.chat_place_statuses() OWNER TO postgres;

--
-- Name: chat_preview(uuid, text, text, text, text, jsonb); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.chat_preview(id uuid, direction text, author text, body text, status text, metadata jsonb) RETURNS jsonb
    LANGUAGE sql STABLE
    RETURN jsonb_strip_nulls(jsonb_build_object('id', id, 'direction', direction, 'author', "left"(author, 200), 'body', "left"(body, 200), 'status', status, 'type', CASE WHEN (jsonb_typeof((metadata -> 'type'::text)) = 'string'::text) THEN "left"((metadata ->> 'type'::text), 200) ELSE NULL::text END));


ALTER FUNCTION rowcast.chat_preview(id uuid, direction text, author text, body text, status text, metadata jsonb) OWNER TO postgres;

--
-- Name: chat_settle(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.chat_settle() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET lock_timeout TO '100ms'
    AS $$
declare
  due record;
begin
  if current_setting('rowcast.inbox_late', true) = pg_current_xact_id()::text then
    return null;
  end if;
  begin
    for due in
      with mine as (delete from rowcast.inbox_due d where d.xid = pg_current_xact_id() returning d.contact_id, d.unread)
      select m.contact_id, sum(m.unread)::int as unread from mine m group by 1 order by m.contact_id collate "C"
    loop
      perform rowcast.chat_show(due.contact_id, due.unread);
    end loop;
  exception when others then
    -- What was noted is noted still, since this block is undone; and is tried once in a transaction.
    perform set_config('rowcast.inbox_late', pg_current_xact_id()::text, true);
    -- The index goes with the table, which somebody may have dropped, and have put another one in its place.
    if to_regclass('public.conversations_inbox') is null then
      delete from rowcast.inbox_due d where d.xid = pg_current_xact_id();
    end if;
  end;
  return null;
end $$;


ALTER FUNCTION rowcast.chat_settle() OWNER TO postgres;

--
-- Name: chat_show(text, integer); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.chat_show(contact text, more_unread integer) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
  known record;
  last_at timestamptz;
  preview jsonb;
  unread_now int;
begin
  loop
    select c.last_message, c.last_message_at, c.unread into known from public.conversations c where c.contact_id = contact for no key update;
    exit when found;
    -- Made without what it says, since what is read before the lock may be old.
    insert into public.conversations (contact_id) values (contact) on conflict (contact_id) do nothing;
  end loop;

  select m.created_at, rowcast.chat_preview(m.id, m.direction, m.author, m.body, m.status, m.metadata) into last_at, preview
  from public.messages m where m.contact_id = contact order by m.created_at desc, m.id desc limit 1;
  if not found then
    delete from public.conversations c where c.contact_id = contact;
    return;
  end if;
  unread_now := known.unread + more_unread;
  -- A count takes time in a long conversation. It is made once, and after writes that were not noted (session_replication_role).
  if unread_now is null or unread_now < 0 then
    delete from rowcast.inbox_due d where d.ctid = any (array(
      select p.ctid from rowcast.inbox_due p where p.contact_id = contact for update skip locked));
    -- What is due to others they will add.
    unread_now := (select count(*) from public.messages m where m.contact_id = contact and m.direction = 'inbound' and m.status <> 'read')
      - (select coalesce(sum(p.unread), 0) from rowcast.inbox_due p where p.contact_id = contact);
  end if;
  if (known.last_message, known.last_message_at, known.unread) is distinct from (preview, last_at, unread_now) then
    update public.conversations c
    set last_message = preview, last_message_at = last_at, unread = unread_now, updated_at = clock_timestamp()
    where c.contact_id = contact;
  end if;
end $$;


ALTER FUNCTION rowcast.chat_show(contact text, more_unread integer) OWNER TO postgres;

--
-- Name: chat_stamp(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.chat_stamp() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  new.created_at := clock_timestamp();
  new.updated_at := new.created_at;
  return new;
end $$;


ALTER FUNCTION rowcast.chat_stamp() OWNER TO postgres;

--
-- Name: chat_store_items(rowcast.whatsapp_item[]); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.chat_store_items(items rowcast.whatsapp_item[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
begin
  insert into public.messages (contact_id, direction, author, body, external_id, metadata, created_at)
  select i.contact_id, i.direction, i.author, i.body, i.external_id, i.item, coalesce(i.at, clock_timestamp())
  from unnest(items) i where i.kind = 'message' and i.problem is null order by i.nr
  on conflict (external_id) do nothing;

  insert into public.message_statuses (message_id, status, error, occurred_at)
  select id, status, error, coalesce(at, clock_timestamp())
  from (
    select distinct on (m.id, i.status, i.at) m.id, i.status, i.error, i.at, i.nr
    from unnest(items) i join public.messages m on m.external_id = i.external_id
    where i.kind = 'status' and i.problem is null and not exists (
      select from public.message_statuses s
      where s.message_id = m.id and s.status = i.status and s.occurred_at = coalesce(i.at, s.occurred_at))
    order by m.id, i.status, i.at, i.nr
  ) fresh order by id, at, nr;

  insert into public.webhook_leftovers (kind, external_id, reason, item)
  -- An id that no index can hold stands in the item.
  select i.kind, case when octet_length(i.external_id) <= 2000 then i.external_id end, coalesce(i.problem, 'its message is not stored yet'), i.item
  from unnest(items) i
  where i.problem is not null
     or i.kind = 'status' and not exists (select from public.messages m where m.external_id = i.external_id)
  order by i.nr
  on conflict (md5(item::text)) do nothing;
end $$;


ALTER FUNCTION rowcast.chat_store_items(items rowcast.whatsapp_item[]) OWNER TO postgres;

--
-- Name: chat_take_status(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.chat_take_status() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  statuses constant text[] := array['queued', 'sent', 'failed', 'delivered', 'read'];
  kept int := (select max(array_position(statuses, l.item ->> 'status')) from public.webhook_leftovers l
               where l.kind = 'status' and l.external_id = new.external_id);
begin
  if kept > array_position(statuses, new.status) then
    new.status := statuses[kept];
  end if;
  return new;
end $$;


ALTER FUNCTION rowcast.chat_take_status() OWNER TO postgres;

--
-- Name: chat_touch(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.chat_touch() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  new.updated_at := clock_timestamp();
  return new;
end $$;


ALTER FUNCTION rowcast.chat_touch() OWNER TO postgres;

--
-- Name: chat_truncate(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.chat_truncate() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '100ms'
    AS $$
begin
  delete from rowcast.inbox_due;
  if to_regclass('public.conversations_inbox') is not null then
    truncate public.conversations;
  end if;
  return null;
exception when others then
  -- Somebody reads the list at this moment.
  insert into rowcast.inbox_uncounted values (null);
  return null;
end $$;


ALTER FUNCTION rowcast.chat_truncate() OWNER TO postgres;

--
-- Name: check_columns(text, text[], text[], text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.check_columns(argument text, names text[], known text[], source text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  unknown text := (select name from unnest(names) as name where name is null or name <> all (known) limit 1);
begin
  if exists (select from unnest(names) as name where name is null or name <> all (known)) then
    perform rowcast.refuse(format('%s names "%s", which is not a column of %s; accepted: %s',
      argument, unknown, source, array_to_string(known, ', ')));
  end if;
end $$;


ALTER FUNCTION rowcast.check_columns(argument text, names text[], known text[], source text) OWNER TO postgres;

--
-- Name: check_event_name(text, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.check_event_name(caller text, event text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  if event is null or btrim(event) = '' or length(event) > 100 then
    raise exception '%: event name "%" is not accepted: it must have 1 to 100 characters', caller, left(event, 100)
      using errcode = '22023';
  end if;
  if event in ('connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener')
     or event like 'rowcast:%' or event like 'typing:%' then
    raise exception '%: event name "%" is reserved, as are %', caller, event,
      'connect, connect_error, disconnect, disconnecting, newListener, removeListener, rowcast:* and typing:*'
      using errcode = '22023';
  end if;
end $$;


ALTER FUNCTION rowcast.check_event_name(caller text, event text) OWNER TO postgres;

--
-- Name: check_payload(rowcast.attached, text, jsonb); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.check_payload(definition rowcast.attached, event text, payload jsonb) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
  perform rowcast.check_references(definition, argument,
    array(select name from rowcast.placeholders(payload)), '{row,room,contactId,at}');
end $_$;


ALTER FUNCTION rowcast.check_payload(definition rowcast.attached, event text, payload jsonb) OWNER TO postgres;

--
-- Name: check_reader(regclass); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.check_reader(relation regclass) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  caller text := case current_setting('role') when 'none' then session_user else current_setting('role') end;
  source record;
begin
  select format('%I.%I', nspname, relname) as name, n.oid as namespace, nspname,
         relrowsecurity and not rolsuper and not rolbypassrls
           and (relforcerowsecurity or not pg_has_role(caller, relowner, 'usage')) as is_hidden
  into source
  from pg_class c join pg_namespace n on n.oid = relnamespace left join pg_roles on rolname = caller where c.oid = relation;
  if not has_schema_privilege(caller, source.namespace, 'usage') then
    perform rowcast.refuse(format('%s may not use schema %I, and so not attach %s', caller, source.nspname, source.name),
      format('grant usage on schema %I to %I;', source.nspname, caller));
  end if;
  if not has_table_privilege(caller, relation, 'select') and exists (
      select from pg_attribute where attrelid = relation and attnum > 0 and not attisdropped
                                 and not has_column_privilege(caller, relation, attnum, 'select')) then
    perform rowcast.refuse(format('%s may not read %s, and so not attach it', caller, source.name),
      format('grant select on %s to %I;', source.name, caller));
  end if;
  if source.is_hidden is not false then
    perform rowcast.refuse(format('row security may hide rows of %s from %s, and an attached table sends them all', source.name, caller),
      'Attach it as the table''s owner, or as a role that has BYPASSRLS.');
  end if;
end $$;


ALTER FUNCTION rowcast.check_reader(relation regclass) OWNER TO postgres;

--
-- Name: check_references(rowcast.attached, text, text[], text[]); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.check_references(definition rowcast.attached, argument text, names text[], others text[]) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  unknown text[] := array(
    select name from unnest(names) as name
    where name is null or name <> all (others) and not exists (select from rowcast.reference(definition, name)));
begin
  if unknown <> '{}' then
    perform rowcast.check_columns(argument, unknown, rowcast.known_names(definition, others), definition.source);
  end if;
end $$;


ALTER FUNCTION rowcast.check_references(definition rowcast.attached, argument text, names text[], others text[]) OWNER TO postgres;

--
-- Name: check_room(rowcast.attached); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.check_room(definition rowcast.attached) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  names text[] := array(select name from rowcast.pieces(definition.room) where name is not null);
  accepted constant text := 'accepted: <kind>:<id>, such as conversation:{customer_id}';
begin
  if definition.room is null or btrim(definition.room) = '' then
    perform rowcast.refuse('room is empty; accepted: text with columns in braces, such as conversation:{customer_id}');
  end if;
  if starts_with(definition.room, 'rowcast:') then
    perform rowcast.refuse(format('room "%s" is reserved, as are all of the kind rowcast:', left(definition.room, 100)));
  end if;
  if exists (select from rowcast.pieces(definition.room) where literal in ('{', '}')) then
    perform rowcast.refuse(format('room "%s" has a brace without its partner', definition.room));
  end if;
  perform rowcast.check_references(definition, 'room', names, '{}');
  if names = '{}' and (definition.room !~ '^[^:]+:.' or octet_length(definition.room) > 2048
                       or octet_length(substr(definition.room, strpos(definition.room, ':') + 1)) > 500)
     or starts_with(definition.room, ':') then
    perform rowcast.refuse(format('room "%s" is none that a client could join; %s', left(definition.room, 100), accepted));
  end if;
  if not exists (select from rowcast.pieces(definition.room) where strpos(literal, ':') > 0) then
    if not exists (select from unnest(names) as name where rowcast.may_have_colon(definition, name)) then
      perform rowcast.refuse(format('room "%s" is none that a client could join: it has no kind; %s', definition.room, accepted));
    end if;
    raise notice 'rowcast.attach: %', rowcast.doubtful_room(definition.room);
  end if;
end $$;


ALTER FUNCTION rowcast.check_room(definition rowcast.attached) OWNER TO postgres;

--
-- Name: check_source(regclass, boolean, boolean); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.check_source(relation regclass, by_row boolean, always boolean) RETURNS void
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  source record;
  kind text;
  above text := (select i.inhparent::regclass::text from pg_inherits i where i.inhrelid = relation limit 1);
  barred text;
  bare text := (select string_agg(p.name, ', ') from rowcast.parts_of(relation) p where not has_table_privilege(p.part, 'trigger'));
begin
  select format('%I.%I', nspname, relname) as name, nspname, relkind, relpersistence, relispartition, relowner
  into source from pg_class c join pg_namespace n on n.oid = relnamespace where c.oid = relation;
  kind := case
    when source.relkind = 'v' then 'a view'
    when source.relkind = 'm' then 'a materialized view'
    when source.relkind = 'f' then 'a foreign table'
    when source.relkind not in ('r', 'p') then 'not a table'
    when source.relpersistence = 't' then 'a temporary table'
    when source.nspname = 'rowcast' then 'one of Rowcast''s own tables'
    when source.nspname in ('pg_catalog', 'information_schema') then 'a system table'
  end;
  if kind is not null then
    perform rowcast.refuse(format('%s is %s; accepted: ordinary and partitioned tables', source.name, kind));
  end if;
  if not by_row and above is not null then
    perform rowcast.refuse(format('%s is %s %s, through which its rows can be written, too; accepted: that table, or capture => ''row''', source.name,
      case when source.relispartition then 'a partition of' else 'a table that inherits from' end, above));
  end if;
  barred := (select p.name from rowcast.parts_of(relation) p where p.kind not in ('r', 'p') limit 1);
  if not by_row and barred is not null then
    perform rowcast.refuse(format('%s has the part %s, a foreign table, which no trigger of a statement can tell the rows of; accepted: '
      'capture => ''row''', source.name, barred));
  end if;
  if not has_schema_privilege(source.nspname, 'usage') then
    perform rowcast.refuse(format('%s may not use schema %I', current_user, source.nspname),
      format('grant usage on schema %I to %I;', source.nspname, current_user));
  end if;
  if not has_table_privilege(relation, 'trigger') then
    perform rowcast.refuse(format('%s may not create triggers on %s', current_user, source.name),
      format('grant trigger on %s to %I;', source.name, current_user));
  end if;
  if bare is not null then
    perform rowcast.refuse(format('%s may not create triggers on %s', current_user, bare), format('grant trigger on %s to %I;', bare, current_user));
  end if;
  -- Only an owner may say that a trigger fires always.
  if always and not pg_has_role(source.relowner, 'usage') then
    perform rowcast.refuse(format('always needs the owner of %s, and %s is not', source.name, current_user),
      format('grant %I to %I;', pg_get_userbyid(source.relowner), current_user));
  end if;
  perform rowcast.check_reader(relation);
end $$;


ALTER FUNCTION rowcast.check_source(relation regclass, by_row boolean, always boolean) OWNER TO postgres;

--
-- Name: check_told(rowcast.attached); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.check_told(definition rowcast.attached) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
  told record;
begin
  if jsonb_typeof(definition.words) <> 'object'
     or jsonb_path_exists(definition.words, 'strict $.* ? (@.type() != "object")', silent => true)
     or jsonb_path_exists(definition.words, 'strict $.*.* ? (@.type() == "object" || @.type() == "array" || @.type() == "null")', silent => true) then
    perform rowcast.refuse(format('words is %s; accepted: {"column": {"value": "word"}}', definition.words));
  end if;
  if jsonb_typeof(definition.defaults) <> 'object' or jsonb_path_exists(definition.defaults, '$.* ? (@ == null)') then
    perform rowcast.refuse(format('defaults is %s; accepted: {"column": value}', definition.defaults));
  end if;
  for told in
    select 'words' as argument, key as name from jsonb_each(definition.words)
    union all select 'defaults', key from jsonb_each(definition.defaults)
    union all select 'as_text', unnest(definition.as_text)
  loop
    perform rowcast.check_references(definition, told.argument, array[told.name], '{}');
    if (select manner is not null from rowcast.reference(definition, told.name)) then
      perform rowcast.refuse(format('%s names "%s"; accepted: the column by itself', told.argument, told.name));
    end if;
    if told.argument <> 'as_text' and told.name = any (definition.key_columns) then
      perform rowcast.refuse(format('%s names "%s", which is of the primary key; accepted: other columns', told.argument, told.name));
    end if;
  end loop;
end $_$;


ALTER FUNCTION rowcast.check_told(definition rowcast.attached) OWNER TO postgres;

--
-- Name: checked_condition(rowcast.attached, text, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.checked_condition(definition rowcast.attached, argument text, condition text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
  -- Tried on a made-up row: a predicate gives one of true, false and null; any other path gives a value of the row or nothing.
  sample jsonb := (select jsonb_object_agg(name, 'sample') from unnest(definition.columns) as name) || coalesce(
    (select jsonb_object_agg(l.key, (select jsonb_object_agg(col, 'sample') from jsonb_object_keys(l.value -> 'columns') as col))
     from jsonb_each(definition.lookups) l), '{}');
  results jsonb;
begin
  begin
    condition := condition::jsonpath::text;
  exception when others then
    perform rowcast.refuse(format('%s %s is no jsonpath: %s', argument, condition, sqlerrm));
  end;
  results := jsonb_path_query_array(sample, condition::jsonpath, silent => true);
  if results <> all (array['[true]', '[false]', '[null]']::jsonb[]) then
    perform rowcast.refuse(format('%s %s is not a predicate; accepted: one such as $.direction == "inbound"', argument, condition));
  end if;
  perform rowcast.check_references(definition, argument, array(select name from rowcast.named_by(definition, condition) as name), '{}');
  return condition;
end $_$;


ALTER FUNCTION rowcast.checked_condition(definition rowcast.attached, argument text, condition text) OWNER TO postgres;

--
-- Name: has_prefix(jsonb, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.has_prefix(prefixes jsonb, room text) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (EXISTS (SELECT FROM jsonb_array_elements_text(has_prefix.prefixes) p(prefix) WHERE (("right"(p.prefix, 1) = '*'::text) AND starts_with(has_prefix.room, "left"(p.prefix, '-1'::integer)))));


ALTER FUNCTION rowcast.has_prefix(prefixes jsonb, room text) OWNER TO postgres;

--
-- Name: FUNCTION has_prefix(prefixes jsonb, room text); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.has_prefix(prefixes jsonb, room text) IS 'whether a room begins as one of the prefixes, which end in *';


--
-- Name: claims_allow(jsonb, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.claims_allow(claims jsonb, room text) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (COALESCE(CASE WHEN starts_with(room, 'conversation:'::text) THEN CASE jsonb_typeof((claims -> 'conversations'::text)) WHEN 'string'::text THEN ((claims ->> 'conversations'::text) = '*'::text) WHEN 'array'::text THEN (((claims -> 'conversations'::text) @> to_jsonb(substr(room, 14))) OR CASE WHEN (substr(room, 14) ~ '^(0|-?[1-9][0-9]*)$'::text) THEN ((claims -> 'conversations'::text) @> (substr(room, 14))::jsonb) ELSE false END) ELSE NULL::boolean END ELSE NULL::boolean END, false) OR CASE WHEN (jsonb_typeof((claims -> 'rooms'::text)) = 'array'::text) THEN (((claims -> 'rooms'::text) @> to_jsonb(room)) OR rowcast.has_prefix((claims -> 'rooms'::text), room)) ELSE false END);


ALTER FUNCTION rowcast.claims_allow(claims jsonb, room text) OWNER TO postgres;

--
-- Name: FUNCTION claims_allow(claims jsonb, room text); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.claims_allow(claims jsonb, room text) IS 'whether claims.conversations (contact ids, or "*") or claims.rooms (rooms, or prefixes that end in *) has the room';


--
-- Name: column_sql(rowcast.attached, text, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.column_sql(definition rowcast.attached, name text, side text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select rowcast.json_sql(definition, null, name, null, side)
$$;


ALTER FUNCTION rowcast.column_sql(definition rowcast.attached, name text, side text) OWNER TO postgres;

--
-- Name: confine(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.confine() RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET client_min_messages TO 'warning'
    AS $$
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


ALTER FUNCTION rowcast.confine() OWNER TO postgres;

--
-- Name: FUNCTION confine(); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.confine() IS 'gives what runs code of attached tables'' types to a role without rights; says what is in the way';


--
-- Name: confine_policy(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.confine_policy() RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET client_min_messages TO 'warning'
    AS $$
declare
  server text;
begin
  perform rowcast.give_policy_away();
  for server in
    select nspowner::regrole::text from pg_namespace where nspname = 'rowcast'
    union
    select a.grantee::regrole::text from pg_class c cross join aclexplode(c.relacl) a
    where c.oid = 'rowcast.sessions'::regclass and a.privilege_type = 'SELECT' and a.grantee <> 0
  loop
    execute format('grant execute on function rowcast.ask_may_join(text[], bigint[], text[]) to %s', server);
  end loop;
  return null;
exception when others then
  return sqlerrm;
end $$;


ALTER FUNCTION rowcast.confine_policy() OWNER TO postgres;

--
-- Name: FUNCTION confine_policy(); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.confine_policy() IS 'gives rowcast.ask_may_join to the role rowcast_policy; says what is in the way';


--
-- Name: confined_row(record); Type: FUNCTION; Schema: rowcast; Owner: rowcast_capture
--

CREATE FUNCTION rowcast.confined_row(source_row record) RETURNS jsonb
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    AS $$
declare
  result pg_catalog.jsonb;
  ignored pg_catalog.text;
begin
  if current_user operator(pg_catalog.<>) 'rowcast_capture' then
    raise exception 'rowcast.confined_row does not run as % any more: select rowcast.confine()', 'rowcast_capture';
  end if;
  begin
    ignored := pg_catalog.set_config('transaction_read_only', 'on', true);
    result := pg_catalog.to_jsonb(source_row);
  exception when others then
    raise;
  end;
  return result;
end $$;


ALTER FUNCTION rowcast.confined_row(source_row record) OWNER TO rowcast_capture;

--
-- Name: contact_of(text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.contact_of(number text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  select case
    when digits ~ '^55[1-9][0-9][6-9][0-9]{7}$' then overlay(digits placing '9' from 5 for 0)
    when digits ~ '^54[1-3][0-9]{9}$' then overlay(digits placing '9' from 3 for 0)
    when digits ~ '^521[0-9]{10}$' then '52' || right(digits, 10)
    else digits
  end
  from (select case when number ~ '^[+][0-9 ().-]+$' then regexp_replace(number, '[^0-9]', '', 'g') else number end as digits) given
$_$;


ALTER FUNCTION rowcast.contact_of(number text) OWNER TO postgres;

--
-- Name: contact_sql(rowcast.attached, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.contact_sql(definition rowcast.attached, side text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
  if definition.room ~ '^[^{}]*:' then
    definition.room := regexp_replace(definition.room, '^[^{}:]*:', '');
    return rowcast.room_sql(definition, side);
  end if;
  return format('substr(%1$s, strpos(%1$s, '':'') + 1)', '(' || rowcast.room_sql(definition, side) || ')');
end $_$;


ALTER FUNCTION rowcast.contact_sql(definition rowcast.attached, side text) OWNER TO postgres;

--
-- Name: create_inbox(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.create_inbox() RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET client_min_messages TO 'warning'
    AS $_$
declare
  ours constant text[] := array['contact_id text!', 'last_message jsonb', 'last_message_at timestamp with time zone', 'unread integer',
    'updated_at timestamp with time zone!'];
  found text[] := array(
    select format('%s %s%s', a.attname, format_type(a.atttypid, a.atttypmod), case when a.attnotnull then '!' end)
    from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.oid = to_regclass('public.conversations') and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped);
begin
  if to_regclass('public.conversations') is not null and not (found @> ours and found <@ ours) then
    return 'another public.conversations is there and left alone: no inbox, unless it is renamed and rowcast.create_inbox() called';
  end if;

  -- Each new message changes a row here. A status that does leaves the index alone, where the page has space.
  create table if not exists public.conversations (
    contact_id text primary key,
    last_message jsonb,
    last_message_at timestamptz,
    unread int,
    updated_at timestamptz not null default clock_timestamp()
  ) with (fillfactor = 80, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0.05);
  create index if not exists conversations_inbox on public.conversations (last_message_at, contact_id);

  create or replace trigger note_insert after insert on public.messages
  referencing new table as new_rows for each statement execute function rowcast.chat_note();
  create or replace trigger note_update after update on public.messages
  referencing old table as old_rows new table as new_rows for each statement execute function rowcast.chat_note();
  create or replace trigger note_delete after delete on public.messages
  referencing old table as old_rows for each statement execute function rowcast.chat_note();
  create or replace trigger note_truncate after truncate on public.messages
  for each statement execute function rowcast.chat_truncate();
  if not exists (select from pg_trigger where tgrelid = 'rowcast.inbox_due'::regclass and tgname = 'settle') then
    create constraint trigger settle after insert on rowcast.inbox_due deferrable initially deferred
    for each row when (current_setting('transaction_isolation') in ('read committed', 'read uncommitted'))
    execute function rowcast.chat_settle();
  end if;

  -- A conversation that is made in this moment has no message yet: the condition keeps it out until it has one.
  perform rowcast.attach(
    'public.conversations',
    room => 'inbox:all',
    rules => '[
      {"on": "insert", "event": "message:new"},
      {"on": "update", "event": "message:new", "columns": ["last_message", "last_message_at", "unread"]},
      {"on": "delete", "event": "message:deleted"}]',
    condition => '$.last_message_at != null',
    order_column => 'last_message_at'
  );
  -- What is there already is counted once the triggers are: this transaction has a lock for which writers wait.
  perform rowcast.recount_conversations();
  return 'public.conversations is made';
end $_$;


ALTER FUNCTION rowcast.create_inbox() OWNER TO postgres;

--
-- Name: FUNCTION create_inbox(); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.create_inbox() IS 'makes public.conversations of the chat tables, unless there is another table of that name; says which';


--
-- Name: default_payload(rowcast.attached, text, text, text[]); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.default_payload(definition rowcast.attached, operation text, event text, columns text[]) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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


ALTER FUNCTION rowcast.default_payload(definition rowcast.attached, operation text, event text, columns text[]) OWNER TO postgres;

--
-- Name: default_payload(rowcast.attached, text, text, text[], boolean); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.default_payload(definition rowcast.attached, operation text, event text, columns text[], has_messages boolean) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  if operation <> 'delete' and event = 'message:status' and (operation = 'insert' or not has_messages) then
    perform rowcast.refuse(format('message:status of %s needs a payload: whose messageId it carries can''t be guessed', definition.source),
      'Such as: "payload": {"messageId": "{message_id}", "status": "{status}", "contactId": "{contactId}", "at": "{at}"}');
  end if;
  return rowcast.default_payload(definition, operation, event, columns);
end $$;


ALTER FUNCTION rowcast.default_payload(definition rowcast.attached, operation text, event text, columns text[], has_messages boolean) OWNER TO postgres;

--
-- Name: define(regclass, jsonb, jsonb, text, text[], text, text, text[], jsonb, jsonb, jsonb, text[], text, boolean, boolean); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.define(relation regclass, specs jsonb, rooms jsonb, condition text, omit text[], key_case text, order_column text, order_columns text[], lookups jsonb, words jsonb, defaults jsonb, as_text text[], timezone text, by_row boolean, always boolean) RETURNS rowcast.attached
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
#variable_conflict use_variable
declare
  definition rowcast.attached;
  resolved jsonb;
  twice text;
begin
  perform rowcast.check_source(relation, by_row, always);
  select format('%I.%I', nspname, relname), nspname || '_' || relname into definition.source, definition.capture
  from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = relation;
  -- The name of the trigger functions: schema_table where that is a short, plain name and no other table's, else with a hash.
  -- A table that is attached again keeps the name it had.
  if definition.capture !~ '^[a-z0-9_]{1,40}$'
     or exists (select from rowcast.attached a where a.capture = definition.capture and a.source <> definition.source) then
    definition.capture := left(regexp_replace(definition.capture, '[^a-z0-9_]', '_', 'g'), 31)
      || '_' || left(md5(definition.source), 8);
  end if;
  definition.capture := coalesce(
    (select a.capture from rowcast.attached a where a.source = definition.source), definition.capture);
  -- Virtual generated columns have no value in a trigger.
  definition.columns := array(select attname from pg_attribute
    where attrelid = relation and attnum > 0 and not attisdropped and attgenerated <> 'v' order by attnum);
  definition.forms := rowcast.forms_of(relation);
  definition.key_columns := array(
    select attname from pg_index i
    cross join unnest(i.indkey) with ordinality as k (attnum, place)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where i.indrelid = relation and i.indisprimary order by place);
  definition.by_row := by_row;
  definition.always := always;
  definition.tree := (select relkind = 'p' from pg_class where oid = relation) or exists (select from rowcast.parts_of(relation));
  definition.key_case := key_case;
  if key_case is null or key_case not in ('camel', 'as_is') then
    perform rowcast.refuse(format('key_case is "%s"; accepted: camel, as_is', key_case));
  end if;
  if timezone is not null then
    begin
      perform now() at time zone timezone;
    exception when others then
      perform rowcast.refuse(format('timezone is "%s"; accepted: a name of pg_timezone_names', timezone));
    end;
  end if;
  definition.timezone := timezone;
  if lookups is not null then
    definition.lookups := rowcast.resolve_lookups(definition, relation, lookups);
  end if;
  definition.words := words;
  definition.defaults := defaults;
  definition.as_text := as_text;
  perform rowcast.check_told(definition);
  definition.omit := coalesce(omit, '{}');
  perform rowcast.check_columns('omit', definition.omit, definition.columns, definition.source);
  if condition is not null then
    definition.condition := rowcast.checked_condition(definition, 'condition', condition);
  end if;

  resolved := rowcast.resolve_rooms(definition, specs, rooms);
  definition.room := resolved -> 0 ->> 'room';
  definition.events := (
    select jsonb_agg(e order by place, nth)
    from jsonb_array_elements(resolved) with ordinality as x (r, place) cross join jsonb_array_elements(r -> 'events') with ordinality as y (e, nth));
  if jsonb_array_length(resolved) > 1 or resolved -> 0 ? 'condition' then
    definition.rooms := resolved;
  end if;
  definition.room_columns := array(
    select distinct n.col from rowcast.rooms_of(definition) r cross join rowcast.pieces(r.room) p
    cross join lateral rowcast.reference(definition, p.name) n where n.lookup is null);
  for resolved in select e from jsonb_array_elements(definition.events) as e loop
    perform rowcast.check_payload(definition, resolved ->> 'event', resolved -> 'payload');
  end loop;
  if (select count(*) from jsonb_object_keys(definition.lookups)) > (select count(*) from jsonb_object_keys(rowcast.needed_lookups(definition))) then
    perform rowcast.refuse('a lookup is not used; accepted: one that a room, a payload, a condition or its own "row" names');
  end if;
  definition.lookups := rowcast.needed_lookups(definition);

  select string_agg(name, ' and ') into twice from unnest(definition.columns) as name where name <> all (definition.omit)
  group by rowcast.wire_name(definition, name) having count(*) > 1 limit 1;
  if twice is not null then
    perform rowcast.refuse(format('%s would have one key; omit one, or give key_case => ''as_is''', twice));
  end if;
  if definition.columns <@ definition.omit then
    perform rowcast.refuse('omit leaves no column');
  end if;
  if order_column is not null and order_columns is not null then
    perform rowcast.refuse('order_column and order_columns are both given; accepted: one of them');
  end if;
  order_columns := coalesce(order_columns, array[order_column]);
  if order_columns = '{}' or cardinality(order_columns) > 8 then
    perform rowcast.refuse('order_columns is empty or too long; accepted: 1 to 8 columns');
  end if;
  order_columns := nullif(order_columns, array[null::text]);
  perform rowcast.check_columns(case when cardinality(order_columns) > 1 then 'order_columns' else 'order_column' end,
    order_columns, definition.columns, definition.source);
  definition.order_column := coalesce(order_columns[1], rowcast.guessed_order(relation, definition.columns),
    case when cardinality(definition.key_columns) = 1 then definition.key_columns[1] end);
  if cardinality(order_columns) > 1 then
    definition.order_columns := order_columns;
  end if;
  definition.careful := rowcast.needs_care(relation);
  definition.row_sql := rowcast.row_sql(definition, 'after');
  definition.feeds := rowcast.feeds_of(definition);
  definition.attached_at := now();
  return definition;
end $_$;


ALTER FUNCTION rowcast.define(relation regclass, specs jsonb, rooms jsonb, condition text, omit text[], key_case text, order_column text, order_columns text[], lookups jsonb, words jsonb, defaults jsonb, as_text text[], timezone text, by_row boolean, always boolean) OWNER TO postgres;

--
-- Name: definition_of(text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.definition_of(source text) RETURNS rowcast.attached
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  name constant text[] := parse_ident(definition_of.source);
  found rowcast.attached;
  others text[];
begin
  select a.* into found from rowcast.attached a
  where name in (parse_ident(a.source), parse_ident(rowcast.relation_of(a.capture)::text))
  order by parse_ident(a.source) = name desc limit 1;
  if found.source is not null or cardinality(name) <> 1 then
    return found;
  end if;
  others := array(
    select a.source from rowcast.attached a
    where name[1] in ((parse_ident(a.source))[2], (parse_ident(rowcast.relation_of(a.capture)::text))[2])
    order by a.source);
  if cardinality(others) > 1 then
    raise exception '% tables are attached that are called %: %; say which with its schema', cardinality(others), definition_of.source,
      array_to_string(others, ', ') using errcode = '42P09';
  end if;
  select a.* into found from rowcast.attached a where a.source = others[1];
  return found;
end $$;


ALTER FUNCTION rowcast.definition_of(source text) OWNER TO postgres;

--
-- Name: detach(text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.detach(source text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET client_min_messages TO 'warning'
    SET quote_all_identifiers TO 'off'
    AS $_$
declare
  definition rowcast.attached;
  name text;
  limited boolean := current_setting('lock_timeout') <> '0';
  -- As in rowcast.check_reader.
  caller text := case current_setting('role') when 'none' then session_user else current_setting('role') end;
  relation regclass;
begin
  definition := rowcast.definition_of(source);
  if definition.source is null then
    return format('%s was not attached', detach.source);
  end if;
  relation := rowcast.relation_of(definition.capture);
  if relation is not null and not has_table_privilege(caller, relation, 'select') then
    raise exception 'rowcast.detach: % may not read %, and so not detach it', caller, definition.source
      using errcode = '42501', hint = format('Let its owner detach it, or: grant select on %s to %I;', definition.source, caller);
  end if;
  if not limited then
    perform set_config('lock_timeout', '5s', true);
  end if;
  begin
    foreach name in array array['insert', 'update', 'delete', 'truncate'] loop
      execute format('drop function if exists rowcast.%I() cascade', rowcast.capture_name(definition, name));
    end loop;
  exception when lock_not_available then
    raise exception 'rowcast.detach: % could not be locked within %: a transaction that used it is still open',
      definition.source, current_setting('lock_timeout') using errcode = '55P03', hint = 'Try again, or set lock_timeout.';
  end;
  for name in select proname from pg_proc where pronamespace = 'rowcast'::regnamespace and proname ~ ('^lookup_' || definition.capture || '_[0-9]$') loop
    execute format('drop function rowcast.%I(text[])', name);
  end loop;
  if not limited then
    perform set_config('lock_timeout', '0', true);
  end if;
  delete from rowcast.attached a where a.source = definition.source;
  return format('%s is detached', definition.source);
end $_$;


ALTER FUNCTION rowcast.detach(source text) OWNER TO postgres;

--
-- Name: FUNCTION detach(source text); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.detach(source text) IS 'removes the triggers, functions and definition of a source; says what it did';


--
-- Name: doubtful_cascades(rowcast.attached, regclass); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.doubtful_cascades(definition rowcast.attached, relation regclass) RETURNS SETOF text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  with recursive needed (room, lookup) as (
    select r.room, n.lookup
    from rowcast.rooms_of(definition) r
    cross join lateral (
      select p.name from rowcast.pieces(r.room) p where p.name is not null
      union
      select name from unnest(array[definition.condition, r.condition]) as c (condition) cross join lateral rowcast.named_by(definition, c.condition) as name
    ) named
    cross join lateral rowcast.reference(definition, named.name) n
    where n.lookup is not null and r.events @> '[{"on": "delete"}]'
    union
    -- What points to what is looked up may itself be looked up.
    select needed.room, n.lookup
    from needed cross join jsonb_array_elements_text(definition.lookups -> needed.lookup -> 'column') as col
    cross join lateral rowcast.reference(definition, col) n
    where col <> all (definition.columns) and n.lookup is not null
  ), pointing as (
    select c.*, array(select a.attname::text from pg_attribute a where a.attrelid = c.conrelid and a.attnum = any (c.conkey) order by 1) as names
    from pg_constraint c
    where c.contype = 'f' and (c.conrelid = relation or c.conparentid = 0 and c.conrelid in (select p.part from rowcast.parts_of(relation) p))
  )
  select format('the room "%s" needs the row of %s (the lookup "%s"), and the foreign key %s %s when that row is deleted: such deletes have no room, so '
    'nobody hears of them; delete the rows of %s before it, or call rowcast.reload(%L) after it, or give a room out of columns of its own',
    needed.room, definition.lookups -> needed.lookup ->> 'table', needed.lookup, c.conname,
    case c.confdeltype when 'c' then format('deletes rows of %s', definition.source) else format('lets rows of %s point to nothing', definition.source) end,
    definition.source, definition.source)
  from needed
  cross join lateral (select array(select name from jsonb_array_elements_text(definition.lookups -> needed.lookup -> 'column') as name order by 1)) by (names)
  join pointing c on c.confdeltype in ('c', 'n', 'd') and c.confrelid = to_regclass(definition.lookups -> needed.lookup ->> 'table')
    -- Where the lookup goes by a foreign key of its own, another one points to another row.
    and (c.names = by.names or not exists (
      select from pointing own where own.conrelid = c.conrelid and own.confrelid = c.confrelid and own.names = by.names))
  order by needed.room, needed.lookup, c.conname
$$;


ALTER FUNCTION rowcast.doubtful_cascades(definition rowcast.attached, relation regclass) OWNER TO postgres;

--
-- Name: doubtful_ids(rowcast.attached); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.doubtful_ids(definition rowcast.attached) RETURNS SETOF text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select format('%s in the room "%s" has the messageId "%s", and the client kit knows a row of %s by %s: it does not find the row; give "messageId": "%s"%s',
    rule.event, feed.room, rule.message_id, definition.source,
    case when feed.key = '[]' then format('its member "id", "%s"', known.id)
         else format('its key (%s)%s', array_to_string(definition.key_columns, ', '),
                     case when cardinality(definition.key_columns) > 1 then ', joined by ":"' else '' end) end,
    known.id, case when feed.key <> '[]' then ', or no payload' else '' end)
  from (select f ->> 'room' as room, f -> 'key' as key, nth from jsonb_array_elements(definition.feeds) with ordinality as x (f, nth)) feed
  cross join lateral (select r.events from rowcast.rooms_of(definition) r where r.room = feed.room) room
  cross join lateral (
    select e -> 'payload' -> 'message' as template from jsonb_array_elements(room.events) with ordinality as x (e, nth)
    where e ->> 'on' = 'insert' and e ->> 'event' = 'message:new' order by nth limit 1
  ) message
  cross join lateral (
    select case
      when feed.key <> '[]' then rowcast.key_template(definition)
      when jsonb_typeof(message.template) = 'object' then message.template ->> 'id'
      else (select rowcast.placeholder(m.col) from rowcast.row_members(definition, 'after') m where m.member = 'id' and m.col is not null) end as id
  ) known
  cross join lateral (
    select e ->> 'event' as event, e -> 'payload' ->> 'messageId' as message_id, min(nth) as place
    from jsonb_array_elements(room.events) with ordinality as x (e, nth)
    where jsonb_typeof(e -> 'payload' -> 'messageId') = 'string' and not e -> 'payload' ? 'message' and e ->> 'event' like 'message:%'
    group by 1, 2
  ) rule
  where replace(rule.message_id, ':text}', '}') <> replace(known.id, ':text}', '}')
  order by feed.nth, rule.place
$$;


ALTER FUNCTION rowcast.doubtful_ids(definition rowcast.attached) OWNER TO postgres;

--
-- Name: doubtful_messages(rowcast.attached); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.doubtful_messages(definition rowcast.attached) RETURNS SETOF text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select case when shown.id is null
    then format('the message of %s in the room "%s" has no "id", and the client kit can''t tell such rows of %s apart: give "id": "%s"',
                shown.event, shown.room, definition.source, coalesce(rowcast.key_template(definition), '{a column that is unique}'))
    else format('the message of %s in the room "%s" has the "id" "%s", that of message:new has "%s": the client kit takes them for two rows of %s; give both the same',
                shown.event, shown.room, shown.id, first.id, definition.source) end
  from (
    select r.room, f.nth, e.nth as place, e.event ->> 'event' as event,
           case when jsonb_typeof(e.event -> 'payload' -> 'message') = 'object' then e.event -> 'payload' -> 'message' ->> 'id'
                else coalesce((select rowcast.placeholder(m.col) from rowcast.row_members(definition, 'after') m where m.member = 'id' and m.col is not null),
                              rowcast.key_template(definition)) end as id
    from rowcast.rooms_of(definition) r
    join (select x.f ->> 'room' as room, x.f -> 'key' as key, x.nth from jsonb_array_elements(definition.feeds) with ordinality as x (f, nth)) f on f.room = r.room and f.key = '[]'
    cross join lateral jsonb_array_elements(r.events) with ordinality as e (event, nth)
    where e.event -> 'payload' ? 'message' and e.event ->> 'event' like 'message:%'
  ) shown
  cross join lateral (
    select n.e -> 'payload' -> 'message' ->> 'id' as id from rowcast.rooms_of(definition) r cross join lateral jsonb_array_elements(r.events) with ordinality as n (e, nth)
    where r.room = shown.room and n.e ->> 'on' = 'insert' and n.e ->> 'event' = 'message:new' and jsonb_typeof(n.e -> 'payload' -> 'message') = 'object'
    order by n.nth limit 1
  ) first
  where shown.id is null or first.id is not null and replace(shown.id, ':text}', '}') <> replace(first.id, ':text}', '}')
  order by shown.nth, shown.place limit 1
$$;


ALTER FUNCTION rowcast.doubtful_messages(definition rowcast.attached) OWNER TO postgres;

--
-- Name: doubtful_order(rowcast.attached, regclass, boolean); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.doubtful_order(definition rowcast.attached, relation regclass, was_given boolean) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  select case
    when definition.feeds = '[]' then null
    when not was_given and definition.order_column is null then format(
      'history of %s is sorted by its key alone (%s): give order_columns', definition.source, array_to_string(definition.key_columns, ', '))
    when not was_given and definition.order_column = any (definition.key_columns) then case when random.col is not null then format(
      'history of %s is sorted by %s, which is %s and may be random: give order_columns', definition.source, random.col, random.type) end
    when not was_given then format('history of %s is sorted by %s, a guess by its name%s: say so by order_columns => ''{%2$s}'', or give others',
      definition.source, definition.order_column,
      case when random.col is not null then format('; where that is equal, by %s, which is %s and may be random', random.col, random.type) else '' end)
    when random.col is not null then format(
      'where %s is equal, history of %s is sorted by %s, which is %s and may be random: give one more of order_columns, which grows',
      array_to_string(coalesce(definition.order_columns, array[definition.order_column]), ', '), definition.source, random.col, random.type)
    when definition.key_columns = '{}' then format('history of %s has one page: the table has no primary key', definition.source) end
  from (select) one
  left join lateral (
    select a.attname as col, format_type(a.atttypid, null) as type
    from pg_attribute a
    where a.attrelid = relation and a.attname = any (definition.key_columns) and a.attname <> all (coalesce(definition.order_columns, '{}'))
      and a.atttypid in ('uuid'::regtype, 'text'::regtype, 'varchar'::regtype)
      -- No two rows are equal where one of the columns is unique.
      and not exists (
        select from pg_index i join pg_attribute o on o.attrelid = relation and o.attnum = i.indkey[0]
        where i.indrelid = relation and i.indisunique and i.indpred is null and i.indexprs is null and i.indnkeyatts = 1
          and o.attname = any (coalesce(definition.order_columns, array[definition.order_column])) and o.attname <> all (definition.key_columns))
      -- So it is where one has a sequence of its own.
      and not exists (
        select from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S' join pg_attribute o on o.attrelid = relation and o.attnum = d.refobjsubid
        where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = relation and d.deptype in ('a', 'i')
          and o.attname = any (coalesce(definition.order_columns, array[definition.order_column])) and o.attname <> all (definition.key_columns))
    order by a.attnum limit 1
  ) random on true
$_$;


ALTER FUNCTION rowcast.doubtful_order(definition rowcast.attached, relation regclass, was_given boolean) OWNER TO postgres;

--
-- Name: doubtful_room(text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.doubtful_room(template text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select format('the room "%s" has no kind of its own: a row is sent only where its columns make a room <kind>:<id>, such as inbox:7', template)
  where not exists (select from rowcast.pieces(template) where strpos(literal, ':') > 0)
$$;


ALTER FUNCTION rowcast.doubtful_room(template text) OWNER TO postgres;

--
-- Name: doubts(rowcast.attached, regclass, boolean); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.doubts(definition rowcast.attached, relation regclass, order_was_given boolean) RETURNS SETOF text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select doubt from (
    select 1 as place, rowcast.doubtful_order(definition, relation, order_was_given) as doubt
    union all select 2, d from rowcast.doubtful_ids(definition) as d
    union all select 3, d from rowcast.doubtful_messages(definition) as d
    union all select 4, d from rowcast.doubtful_cascades(definition, relation) as d
  ) doubts where doubt is not null order by place
$$;


ALTER FUNCTION rowcast.doubts(definition rowcast.attached, relation regclass, order_was_given boolean) OWNER TO postgres;

--
-- Name: drop_functions_sql(rowcast.attached); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.drop_functions_sql(definition rowcast.attached) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select string_agg(format(E'drop function if exists rowcast.%I() cascade;\n', rowcast.capture_name(definition, operation)), '' order by place) || E'\n'
  from unnest('{insert,update,delete,truncate}'::text[]) with ordinality as o (operation, place)
$$;


ALTER FUNCTION rowcast.drop_functions_sql(definition rowcast.attached) OWNER TO postgres;

--
-- Name: emit(text, text, json); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.emit(room text, event text, data json) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  new_id bigint;
begin
  if room is null or room = '' or octet_length(room) > 2048 then
    raise exception 'rowcast.emit: room is %; it must be 1 to 2048 bytes',
      case when room is null then 'null' else octet_length(room) || ' bytes' end using errcode = '22023';
  end if;
  if starts_with(room, 'rowcast:') then
    raise exception 'rowcast.emit: room "%" is reserved, as are all of the kind rowcast:', left(room, 100) using errcode = '22023';
  end if;
  if strpos(room, ':') < 2 then
    raise exception 'rowcast.emit: room "%" is none that a client could join; accepted: <kind>:<id>, such as conversation:42', left(room, 100)
      using errcode = '22023';
  end if;
  if octet_length(substr(room, strpos(room, ':') + 1)) not between 1 and 500 then
    raise exception 'rowcast.emit: the room''s id (what follows the first colon) is % bytes; it must be 1 to 500',
      octet_length(substr(room, strpos(room, ':') + 1)) using errcode = '22023';
  end if;
  perform rowcast.check_event_name('rowcast.emit', event);
  if data is null then
    raise exception 'rowcast.emit: data is null; pass JSON, ''null'' for a JSON null' using errcode = '22023';
  end if;
  if octet_length(data::text) > 16777216 then
    raise exception 'rowcast.emit: data is % bytes; at most 16777216 are accepted', octet_length(data::text)
      using errcode = '22023';
  end if;
  insert into rowcast.events (room, event, data) values (emit.room, emit.event, emit.data) returning id into new_id;
  return new_id;
end $$;


ALTER FUNCTION rowcast.emit(room text, event text, data json) OWNER TO postgres;

--
-- Name: FUNCTION emit(room text, event text, data json); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.emit(room text, event text, data json) IS 'stores an event for a room, in this transaction; returns its id';


--
-- Name: emit(text, text, jsonb); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.emit(room text, event text, data jsonb) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$ select rowcast.emit(room, event, data::json) $$;


ALTER FUNCTION rowcast.emit(room text, event text, data jsonb) OWNER TO postgres;

--
-- Name: emit(text, text, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.emit(room text, event text, data text) RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$ select rowcast.emit(room, event, data::json) $$;


ALTER FUNCTION rowcast.emit(room text, event text, data text) OWNER TO postgres;

--
-- Name: examples(rowcast.attached, regclass); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.examples(definition rowcast.attached, relation regclass) RETURNS json
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET jit TO 'off'
    SET "DateStyle" TO 'ISO, MDY'
    SET "IntervalStyle" TO 'postgres'
    SET bytea_output TO 'hex'
    SET extra_float_digits TO '1'
    SET lc_monetary TO 'C'
    SET quote_all_identifiers TO 'off'
    AS $_$
declare
  rule record;
  branches text[] := '{}';
  lookups text := rowcast.lookup_functions_sql(definition);
  query text;
  result json;
begin
  definition := jsonb_populate_record(definition, '{"tree": false, "by_row": false}');
  for rule in
    select r.place, r.room, r.condition, e as rule, case e ->> 'on' when 'delete' then 'before' else 'after' end as side
    from rowcast.rooms_of(definition) r cross join jsonb_array_elements(r.events) with ordinality as x (e, nth)
    order by r.place, array_position('{insert,update,delete}'::text[], e ->> 'on'), nth
  loop
    definition.room := rule.room;
    branches := branches || format($sql$
      select %1$s as step, %2$L::jsonb as rule, t.room, case when t.room is not null then %3$s end as data
      from (select) one left join (
        select * from (select place, before, after, %4$s as room from found where %5$s offset 0) r
        where %6$s order by place limit 1
      ) t on true$sql$,
      cardinality(branches) + 1, rule.rule, rowcast.payload_sql(definition, rule.rule -> 'payload', rule.side),
      rowcast.room_sql(definition, rule.side),
      coalesce(nullif(concat_ws(' and ', rowcast.meets_sql(definition.condition, rule.side), rowcast.meets_sql(rule.condition, rule.side),
        rowcast.meets_sql(rule.rule ->> 'condition', rule.side)), ''), 'true'),
      rowcast.joinable_sql(rule.room));
  end loop;
  query := format($sql$
    with new_rows as materialized (
      select %1$s from %2$s t where pg_column_size(t.*) <= 65536 %3$s limit 100
    ), found as materialized (
      select row_number() over () as place, after, after as before from (%4$s) x
    )
    select json_build_object('rows', (select count(*) from found), 'examples', (
      select json_agg(json_build_object('on', rule -> 'on', 'columns', rule -> 'columns', 'event', rule -> 'event', 'room', room, 'data', data)
                      order by step)
      from (%5$s) e))$sql$,
    (select string_agg(format('%I', name), ', ' order by place) from unnest(definition.columns) with ordinality as c (name, place)),
    (select format('%I.%I', nspname, relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = relation),
    -- By Postgres's own types alone: comparing others may run code of whoever made them.
    (select 'order by ' || string_agg(format('t.%I desc', attname), ', ' order by array_position(definition.key_columns, attname::text))
     from pg_attribute where attrelid = relation and attname = any (definition.key_columns) having bool_and(atttypid < 16384)),
    case when exists (select from rowcast.lookups_of(definition)) then rowcast.found_rows_sql(definition, 'insert')
         else format('select %s as after from new_rows t', rowcast.json_row_sql(definition)) end,
    array_to_string(branches, ' union all '));
  -- The lookups' functions are made for this alone. What a block with an exception has done is undone.
  if lookups is null then
    execute query into result;
  else
    begin
      execute lookups;
      execute query into result;
      raise exception using errcode = 'RC001';
    exception when sqlstate 'RC001' then
      null;
    end;
  end if;
  return result;
end $_$;


ALTER FUNCTION rowcast.examples(definition rowcast.attached, relation regclass) OWNER TO postgres;

--
-- Name: feeds_of(rowcast.attached); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.feeds_of(definition rowcast.attached) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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


ALTER FUNCTION rowcast.feeds_of(definition rowcast.attached) OWNER TO postgres;

--
-- Name: follow_tables(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.follow_tables() RETURNS SETOF text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET client_min_messages TO 'warning'
    SET quote_all_identifiers TO 'off'
    SET jit TO 'off'
    SET lock_timeout TO '100ms'
    AS $$
declare
  definition rowcast.attached;
  relation regclass;
  todo record;
  was_written boolean;
  tables integer := 0;
begin
  -- One at a time: (1919903602, 3) is this lock's own number.
  if not pg_try_advisory_xact_lock(1919903602, 3) then
    return;
  end if;
  for definition in select a.* from rowcast.attached a order by a.source loop
    relation := rowcast.relation_of(definition.capture);
    continue when relation is null;
    for todo in select u.* from rowcast.unfollowed(definition, relation) u loop
      if tables >= 20 then
        return;
      end if;
      begin
        execute todo.statements;
        was_written := false;
        if todo.is_new then
          -- Whether anything was ever written to it: a TRUNCATE gives it another file.
          was_written := (select bool_or(pg_relation_size(c.oid) > 0 or c.relfilenode <> c.oid) from pg_class c
                       where c.relkind = 'r' and c.oid in (select todo.part union all select part from rowcast.parts_of(todo.part))) is true;
          if was_written then
            perform rowcast.tell_to_reload(definition.source, rowcast.room_patterns(definition), format('%s is a part of it now', todo.name));
          end if;
        end if;
        tables := tables + 1;
        return next format(case when not todo.is_new then '%s: the triggers of %s are as they should be'
          when was_written then '%s: writes to %s are captured from now on, and listeners are told to reload, because it was written to before'
          else '%s: writes to %s are captured from now on' end, definition.source, todo.name);
      exception when others then
        null; -- rowcast.sources says what is amiss.
      end;
    end loop;
  end loop;
end $$;


ALTER FUNCTION rowcast.follow_tables() OWNER TO postgres;

--
-- Name: FUNCTION follow_tables(); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.follow_tables() IS 'captures partitions that came since a table was attached, and lets those go that are none any more';


--
-- Name: form_of(oid); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.form_of(type oid) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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


ALTER FUNCTION rowcast.form_of(type oid) OWNER TO postgres;

--
-- Name: forms_of(oid); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.forms_of(relation oid) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select coalesce(jsonb_object_agg(attname, form), '{}')
  from (select attname, rowcast.form_of(atttypid) as form
        from pg_attribute where attrelid = forms_of.relation and attnum > 0 and not attisdropped) a
  where form is not null
$$;


ALTER FUNCTION rowcast.forms_of(relation oid) OWNER TO postgres;

--
-- Name: found_member_sql(text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.found_member_sql(name text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  select format('case when c.%1$I is distinct from null and pg_column_size(c.%1$I) <= 65536 then case when pg_typeof(c.%1$I)::oid < 16384 '
    'and pg_typeof(c.%1$I)::oid not in (''json''::regtype, ''json[]''::regtype) then to_jsonb(c.%1$I) '
    'else to_jsonb(format(''%%s'', c.%1$I)) end end', name)
$_$;


ALTER FUNCTION rowcast.found_member_sql(name text) OWNER TO postgres;

--
-- Name: found_rows_sql(rowcast.attached, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.found_rows_sql(definition rowcast.attached, operation text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
  json_row text := rowcast.json_row_sql(definition);
  sides text[] := case operation when 'insert' then '{after}' when 'delete' then '{before}' else '{before,after}' end;
  place text := case operation when 'update' then 'place, ' else '' end;
  result text := case
    when definition.by_row then rowcast.own_row_sql(operation) else case operation
    when 'insert' then format('select %s as after from new_rows t', json_row)
    when 'delete' then format('select %s as before from old_rows t', json_row)
    else format($sql$select place, before, after
      -- One call of the executor fills both tables, so position pairs the rows, even when keys change.
      -- FULL, because a full join never runs as a nested loop, and the plan is kept for updates of any size.
      from (select row_number() over () as place, %1$s as before from old_rows t) b
      full join (select row_number() over () as place, %1$s as after from new_rows t) a using (place)$sql$, json_row) end end;
  lookup record;
begin
  result := format('with rows_0 as materialized (%s)', result);
  for lookup in select l.place, l.name, l.lookup from rowcast.lookups_of(definition) l order by l.place loop
    result := result || format($sql$, found_%1$s as materialized (
        select rowcast.%2$I(array_agg(key)) as looked_up from (%3$s) k
      ), rows_%1$s as materialized (
        select %4$s%5$s from rows_%6$s
      )$sql$, lookup.place, 'lookup_' || definition.capture || '_' || lookup.place,
      (select string_agg(format('select %s as key from rows_%s', rowcast.lookup_key_sql(definition, lookup.lookup, side), lookup.place - 1),
                         ' union ' order by nth) || case when cardinality(sides) = 1 then ' group by 1' else '' end
       from unnest(sides) with ordinality as s (side, nth)),
      place,
      (select string_agg(format('%1$s || jsonb_build_object(%2$L, (select looked_up from found_%3$s) -> (%4$s)) as %1$s', side, lookup.name,
                                lookup.place, rowcast.lookup_key_sql(definition, lookup.lookup, side)), ', ' order by nth)
       from unnest(sides) with ordinality as s (side, nth)),
      lookup.place - 1);
  end loop;
  return result || format(' select %s%s from rows_%s', place, array_to_string(sides, ', '), (select count(*) from rowcast.lookups_of(definition)));
end $_$;


ALTER FUNCTION rowcast.found_rows_sql(definition rowcast.attached, operation text) OWNER TO postgres;

--
-- Name: found_sql(jsonb); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.found_sql(lookup jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select format('jsonb_build_object(%s)', string_agg(format('%L, %s', name, rowcast.found_member_sql(name)), ', ' order by name))
  from jsonb_object_keys(lookup -> 'columns') as name
$$;


ALTER FUNCTION rowcast.found_sql(lookup jsonb) OWNER TO postgres;

--
-- Name: function_sql(rowcast.attached, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.function_sql(definition rowcast.attached, operation text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  select format($sql$create or replace function rowcast.%1$I() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC' set jit = off%7$s%6$s as $capture$
%4$sbegin
%5$s%2$s
  return null;
end $capture$;
revoke all on function rowcast.%1$I() from public;
comment on function rowcast.%1$I() is %3$L;$sql$,
    rowcast.capture_name(definition, operation),
    rowcast.capture_sql(definition, operation),
    format('Rowcast: captures each %s of %s', operation, definition.source),
    case when definition.tree or definition.by_row then E'#variable_conflict use_variable\n' else '' end,
    rowcast.only_of_parts_sql(definition, operation),
    -- Its plan has parameters, and would be made anew for each of the first calls.
    case when definition.tree or definition.by_row then ' set plan_cache_mode = force_generic_plan' else '' end,
    case when rowcast.sets_style(definition) then $settings$ set datestyle = 'ISO, MDY'
set intervalstyle = 'postgres' set bytea_output = 'hex' set extra_float_digits = 1 set lc_monetary = 'C'
set quote_all_identifiers = off$settings$ else '' end)
$_$;


ALTER FUNCTION rowcast.function_sql(definition rowcast.attached, operation text) OWNER TO postgres;

--
-- Name: give_confined_away(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.give_confined_away() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET client_min_messages TO 'warning'
    AS $$
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


ALTER FUNCTION rowcast.give_confined_away() OWNER TO postgres;

--
-- Name: give_policy_away(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.give_policy_away() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET client_min_messages TO 'warning'
    AS $$
declare
  is_superuser boolean := (select rolsuper from pg_roles where rolname = current_user);
  function text;
begin
  begin
    if not exists (select from pg_roles where rolname = 'rowcast_policy') then
      create role rowcast_policy nologin;
    end if;
  exception when duplicate_object or unique_violation then
    null; -- Another database of the cluster was quicker.
  end;
  grant usage on schema rowcast to rowcast_policy;
  for function in
    select format('rowcast.%I(%s)', proname, pg_get_function_identity_arguments(oid)) from pg_proc
    where pronamespace = 'rowcast'::regnamespace and proname in ('may_join', 'claims_allow', 'has_prefix')
      and not has_function_privilege('rowcast_policy', oid, 'execute')
  loop
    execute format('grant execute on function %s to rowcast_policy', function);
  end loop;
  if exists (select from pg_proc where oid = 'rowcast.ask_may_join(text[], bigint[], text[])'::regprocedure
             and pg_get_userbyid(proowner) = 'rowcast_policy') then
    return;
  end if;
  if not pg_has_role('rowcast_policy', 'usage') then
    execute format('grant rowcast_policy to %I', current_user);
  end if;
  if not is_superuser then
    -- Whoever gives a function away needs this for its new owner; nobody else ever sees it.
    grant create on schema rowcast to rowcast_policy;
  end if;
  alter function rowcast.ask_may_join(text[], bigint[], text[]) owner to rowcast_policy;
  if not is_superuser then
    revoke create on schema rowcast from rowcast_policy;
  end if;
  -- Who owns the schema gives it to servers, also where a superuser had to give the function away.
  execute format('grant execute on function rowcast.ask_may_join(text[], bigint[], text[]) to %s with grant option',
    (select nspowner::regrole from pg_namespace where nspname = 'rowcast'));
end $$;


ALTER FUNCTION rowcast.give_policy_away() OWNER TO postgres;

--
-- Name: guessed_order(regclass, text[]); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.guessed_order(relation regclass, columns text[]) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select attname
  from pg_attribute
  cross join lateral (
    select case when lower(attname) in ('created_at', 'createdat') then -1
      when lower(attname) in ('created', 'inserted_at', 'sent_at', 'received_at', 'occurred_at') then 0
      else array_position(array['createdat', 'insertedat', 'sentat', 'receivedat', 'occurredat', 'createdon', 'createdtime', 'creationtime',
        'datecreated', 'createdts', 'inserted', 'sent', 'senton', 'senttime', 'datesent', 'sentts', 'received', 'receivedon', 'occurred',
        'occurredon', 'messagetimestamp', 'messagetime', 'timestamp', 'ts', 'datetime', 'eventtime', 'postedat', 'posted', 'addedat',
        'epoch', 'messagedate', 'time', 'at', 'date', 'day'], replace(lower(attname), '_', '')) end as place) known
  where attrelid = relation and attname = any (columns) and known.place is not null
    and (atttypid in ('timestamptz'::regtype, 'timestamp'::regtype)
         -- Seconds since some moment, or a day.
         or atttypid in ('bigint'::regtype, 'integer'::regtype, 'numeric'::regtype, 'float8'::regtype) and known.place <= 30
         or atttypid = 'date'::regtype)
  order by atttypid not in ('timestamptz'::regtype, 'timestamp'::regtype), known.place, attnum limit 1
$$;


ALTER FUNCTION rowcast.guessed_order(relation regclass, columns text[]) OWNER TO postgres;

--
-- Name: is_flushed(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.is_flushed() RETURNS boolean
    LANGUAGE plpgsql
    AS $$
begin
  return pg_catalog.pg_current_wal_insert_lsn() operator(pg_catalog.<=) pg_catalog.pg_current_wal_flush_lsn();
exception when others then
  return false;
end $$;


ALTER FUNCTION rowcast.is_flushed() OWNER TO postgres;

--
-- Name: FUNCTION is_flushed(); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.is_flushed() IS 'whether everything that is visible is on disk; false where the service does not tell';


--
-- Name: is_part(oid, oid); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.is_part(relation oid, function oid) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  above oid;
begin
  for above in select i.inhparent from pg_inherits i where i.inhrelid = relation and not i.inhdetachpending loop
    if exists (select from pg_trigger t where t.tgrelid = above and t.tgfoid = function and not starts_with(t.tgname, 'rowcast_part_'))
       or rowcast.is_part(above, function) then
      return true;
    end if;
  end loop;
  return false;
end $$;


ALTER FUNCTION rowcast.is_part(relation oid, function oid) OWNER TO postgres;

--
-- Name: is_plain(text, boolean); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.is_plain(capture text, may_be_styled boolean DEFAULT true) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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


ALTER FUNCTION rowcast.is_plain(capture text, may_be_styled boolean) OWNER TO postgres;

--
-- Name: is_styled(oid); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.is_styled(type oid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select not exists (
    select from pg_type t
    where t.oid = is_styled.type
      and case when t.typlen = -1 and t.typelem <> 0 then t.typelem else t.oid end in (
        'boolean'::regtype, 'smallint'::regtype, 'integer'::regtype, 'bigint'::regtype, 'numeric'::regtype, 'text'::regtype,
        'varchar'::regtype, 'bpchar'::regtype, 'name'::regtype, 'uuid'::regtype, 'jsonb'::regtype, 'date'::regtype,
        'timestamp'::regtype, 'timestamptz'::regtype, 'inet'::regtype, 'cidr'::regtype))
$$;


ALTER FUNCTION rowcast.is_styled(type oid) OWNER TO postgres;

--
-- Name: joinable_sql(text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.joinable_sql(template text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select case when kind is null
    then 'strpos(room, '':'') > 1 and octet_length(substr(room, strpos(room, '':'') + 1)) between 1 and 500 and octet_length(room) <= 2048 '
         'and not starts_with(room, ''rowcast:'')'
    else format('octet_length(room) between %s and %s', octet_length(kind) + 1, least(octet_length(kind) + 500, 2048)) end
  from substring(template from '^[^{}:]*:') as kind
$$;


ALTER FUNCTION rowcast.joinable_sql(template text) OWNER TO postgres;

--
-- Name: joinable_sql(rowcast.attached); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.joinable_sql(definition rowcast.attached) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select case when count(distinct test) = 1 then min(test) else rowcast.joinable_sql('{any}') end
  from (select rowcast.joinable_sql(r.room) as test from rowcast.rooms_of(definition) r) tests
$$;


ALTER FUNCTION rowcast.joinable_sql(definition rowcast.attached) OWNER TO postgres;

--
-- Name: json_row_sql(rowcast.attached); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.json_row_sql(definition rowcast.attached) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  select format('case when rowcast.is_plain(%1$L%3$s) and pg_column_size(t.*) <= 16384 then to_jsonb(t.*) '
                'else rowcast.%4$s(t.*, %2$s) end', definition.capture,
                case when definition.tree then 'tg_relid::text' else quote_literal(definition.capture) end,
                case when not sets_style then ', false' end,
                case when sets_style then 'careful_row' else 'styled_row' end)
  from rowcast.sets_style(definition) as sets_style
$_$;


ALTER FUNCTION rowcast.json_row_sql(definition rowcast.attached) OWNER TO postgres;

--
-- Name: json_sql(rowcast.attached, text, text, text, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.json_sql(definition rowcast.attached, lookup text, col text, manner text, side text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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


ALTER FUNCTION rowcast.json_sql(definition rowcast.attached, lookup text, col text, manner text, side text) OWNER TO postgres;

--
-- Name: keeps_key_sql(rowcast.attached, jsonb); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.keeps_key_sql(definition rowcast.attached, events jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  select string_agg(format('before -> %1$L is not distinct from after -> %1$L', name), ' and ' order by place)
  from unnest(definition.key_columns) with ordinality as k (name, place)
  where events @> '[{"on": "insert"}, {"on": "delete"}]'
$_$;


ALTER FUNCTION rowcast.keeps_key_sql(definition rowcast.attached, events jsonb) OWNER TO postgres;

--
-- Name: key_sql(rowcast.attached, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.key_sql(definition rowcast.attached, side text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select case when count(*) = 1 then min(part) when count(*) > 1 then format('concat_ws('':'', %s)', string_agg(part, ', ' order by place)) end
  from (
    select rowcast.text_sql(definition, null, name, null, side) as part, place
    from unnest(definition.key_columns) with ordinality as k (name, place)
  ) parts
$$;


ALTER FUNCTION rowcast.key_sql(definition rowcast.attached, side text) OWNER TO postgres;

--
-- Name: key_template(rowcast.attached); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.key_template(definition rowcast.attached) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select string_agg(rowcast.placeholder(name), ':' order by place) from unnest(definition.key_columns) with ordinality as k (name, place)
$$;


ALTER FUNCTION rowcast.key_template(definition rowcast.attached) OWNER TO postgres;

--
-- Name: key_type(text, text, oid); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.key_type(argument text, name text, type oid) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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


ALTER FUNCTION rowcast.key_type(argument text, name text, type oid) OWNER TO postgres;

--
-- Name: known_names(rowcast.attached, text[]); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.known_names(definition rowcast.attached, others text[]) RETURNS text[]
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select definition.columns || others || array(
    select l.key || '.' || col from jsonb_each(definition.lookups) l cross join jsonb_object_keys(l.value -> 'columns') as col)
$$;


ALTER FUNCTION rowcast.known_names(definition rowcast.attached, others text[]) OWNER TO postgres;

--
-- Name: look_up_what_is_left(jsonb, text[]); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.look_up_what_is_left(lookup jsonb, keys text[]) RETURNS jsonb
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET row_security TO 'off'
    AS $_$
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
end $_$;


ALTER FUNCTION rowcast.look_up_what_is_left(lookup jsonb, keys text[]) OWNER TO postgres;

--
-- Name: lookup_functions_sql(rowcast.attached); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.lookup_functions_sql(definition rowcast.attached) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;


ALTER FUNCTION rowcast.lookup_functions_sql(definition rowcast.attached) OWNER TO postgres;

--
-- Name: lookup_join_sql(jsonb, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.lookup_join_sql(lookup jsonb, key text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select string_agg(format('c.%I = %s::%s', col,
      case when jsonb_array_length(lookup -> 'key') = 1 then key else format('(%s::jsonb ->> %s)', key, place - 1) end,
      lookup -> 'types' ->> (place::int - 1)), ' and ' order by place)
  from jsonb_array_elements_text(lookup -> 'key') with ordinality as k (col, place)
$$;


ALTER FUNCTION rowcast.lookup_join_sql(lookup jsonb, key text) OWNER TO postgres;

--
-- Name: lookup_key_sql(rowcast.attached, jsonb, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.lookup_key_sql(definition rowcast.attached, lookup jsonb, side text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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


ALTER FUNCTION rowcast.lookup_key_sql(definition rowcast.attached, lookup jsonb, side text) OWNER TO postgres;

--
-- Name: lookup_public_notes_1(text[]); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.lookup_public_notes_1(keys text[]) RETURNS jsonb
    LANGUAGE plpgsql STRICT
    SET row_security TO 'off'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
begin
  lock table public.chats in access share mode;
  if not (select c.relkind = 'r' and c.relfilenode = pg_relation_filenode(c.oid) and not exists (
      select from pg_attribute a join pg_type t on t.oid = a.atttypid
      where a.attrelid = c.oid and a.attname = any ('{id}') and t.oid >= 16384 and not (t.typtype = 'd' and t.typbasetype < 16384))
      and rowcast.plans_no_code(c.oid) from pg_class c where c.oid = 'public.chats'::regclass) then
    return null;
  end if;
  return (
    select jsonb_object_agg(k.key, jsonb_build_object('jid', case when c.jid is distinct from null and pg_column_size(c.jid) <= 65536 then case when pg_typeof(c.jid)::oid < 16384 and pg_typeof(c.jid)::oid not in ('json'::regtype, 'json[]'::regtype) then to_jsonb(c.jid) else to_jsonb(format('%s', c.jid)) end end))
    from unnest(keys) as k (key)
    join public.chats c on c.id = k.key::bigint);
exception
  when lock_not_available or deadlock_detected or serialization_failure then
    raise;
  when undefined_column then
    return rowcast.look_up_what_is_left('{"key": ["id"], "row": [], "table": "public.chats", "types": ["bigint"], "column": ["chat_id"], "columns": {"jid": null}}', keys);
  when others then
    return null;
end $$;


ALTER FUNCTION rowcast.lookup_public_notes_1(keys text[]) OWNER TO postgres;

--
-- Name: FUNCTION lookup_public_notes_1(keys text[]); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.lookup_public_notes_1(keys text[]) IS 'Rowcast: looks up public.chats for public.notes';


--
-- Name: lookups_of(rowcast.attached); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.lookups_of(definition rowcast.attached) RETURNS TABLE(place bigint, name text, lookup jsonb)
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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


ALTER FUNCTION rowcast.lookups_of(definition rowcast.attached) OWNER TO postgres;

--
-- Name: made_by_attach(rowcast.attached); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.made_by_attach(definition rowcast.attached) RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select jsonb_build_object(
    'types', (
      select jsonb_object_agg(attname, case when atttypid < 16384 then atttypid::text
                                            else (select typname::text from pg_type where oid = atttypid) end)
      from pg_attribute
      where attrelid = coalesce(
          rowcast.relation_of(definition.capture),
          (select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
           where array[nspname, relname]::text[] = parse_ident(definition.source)))
        and attname = any (definition.columns) and not attisdropped),
    'code', (
      select jsonb_object_agg(operation, jsonb_build_array(p.xmin::text, md5(p.prosecdef || p.prosrc)))
      from unnest('{insert,update,delete}'::text[]) as operation
      join pg_proc p on p.pronamespace = 'rowcast'::regnamespace
                    and p.proname = 'capture_' || definition.capture || '_' || operation))
$$;


ALTER FUNCTION rowcast.made_by_attach(definition rowcast.attached) OWNER TO postgres;

--
-- Name: may_have_colon(rowcast.attached, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.may_have_colon(definition rowcast.attached, name text) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;


ALTER FUNCTION rowcast.may_have_colon(definition rowcast.attached, name text) OWNER TO postgres;

--
-- Name: may_join(jsonb, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.may_join(claims jsonb, room text) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN rowcast.claims_allow(claims, room);


ALTER FUNCTION rowcast.may_join(claims jsonb, room text) OWNER TO postgres;

--
-- Name: FUNCTION may_join(claims jsonb, room text); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.may_join(claims jsonb, room text) IS 'whether a token with these claims may join the room: yours to replace, no migration touches it again';


--
-- Name: measured_row(record, text, jsonb); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.measured_row(source_row record, capture text, whole jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
end $_$;


ALTER FUNCTION rowcast.measured_row(source_row record, capture text, whole jsonb) OWNER TO postgres;

--
-- Name: meets_sql(text, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.meets_sql(condition text, side text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select format('(%s @@ %L) is true', side, condition) where condition is not null
$$;


ALTER FUNCTION rowcast.meets_sql(condition text, side text) OWNER TO postgres;

--
-- Name: member_sql(text, text, text, boolean); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.member_sql(lookup text, col text, side text, is_text boolean) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select case when lookup is null then format('%s %s %L', side, arrow, col) else format('%s -> %L %s %L', side, lookup, arrow, col) end
  from (select case when is_text then '->>' else '->' end as arrow) a
$$;


ALTER FUNCTION rowcast.member_sql(lookup text, col text, side text, is_text boolean) OWNER TO postgres;

--
-- Name: members_sql(rowcast.attached, jsonb, text, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.members_sql(definition rowcast.attached, template jsonb, side text, row_alias text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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


ALTER FUNCTION rowcast.members_sql(definition rowcast.attached, template jsonb, side text, row_alias text) OWNER TO postgres;

--
-- Name: named_by(rowcast.attached, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.named_by(definition rowcast.attached, condition text) RETURNS SETOF text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  select case when first <> all (definition.columns) and definition.lookups ? first and second is not null then first || '.' || second
              else first end
  from (
    select ('"' || name[1] || '"')::jsonb #>> '{}' as first, ('"' || name[2] || '"')::jsonb #>> '{}' as second
    from regexp_matches(condition, '\$\."((?:[^"\\]|\\.)*)"(?:\."((?:[^"\\]|\\.)*)")?', 'g') as name
  ) names
$_$;


ALTER FUNCTION rowcast.named_by(definition rowcast.attached, condition text) OWNER TO postgres;

--
-- Name: names_of(text, jsonb); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.names_of(argument text, value jsonb) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
begin
  if jsonb_typeof(value) = 'string' then
    return array[value #>> '{}'];
  elsif jsonb_typeof(value) = 'array' and value <> '[]' and not jsonb_path_exists(value, 'strict $[*] ? (@.type() != "string")') then
    return array(select jsonb_array_elements_text(value));
  end if;
  perform rowcast.refuse(format('%s is %s; accepted: a column''s name, or an array of them', argument, value));
end $_$;


ALTER FUNCTION rowcast.names_of(argument text, value jsonb) OWNER TO postgres;

--
-- Name: needed_lookups(rowcast.attached); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.needed_lookups(definition rowcast.attached) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  with names (name) as (
    select p.name from rowcast.rooms_of(definition) r cross join rowcast.pieces(r.room) p where p.name is not null
    union select p.name from rowcast.rooms_of(definition) r cross join jsonb_array_elements(r.events) e cross join rowcast.placeholders(e -> 'payload') p
    union select n from rowcast.rooms_of(definition) r cross join jsonb_array_elements(r.events) e
      cross join unnest(array[r.condition, definition.condition, e ->> 'condition']) as c (condition)
      cross join lateral rowcast.named_by(definition, c.condition) n
    union select col from jsonb_each(definition.lookups) l cross join jsonb_array_elements_text(l.value -> 'column') as col
      where col <> all (definition.columns)
    union select l.key || '.' || col from jsonb_each(definition.lookups) l cross join jsonb_array_elements_text(l.value -> 'row') as col
  ), needed as (
    select distinct r.lookup, r.col from names cross join lateral rowcast.reference(definition, names.name) r where r.lookup is not null
  )
  select jsonb_object_agg(l.key, l.value || jsonb_build_object('columns', coalesce(
    (select jsonb_object_agg(n.col, l.value -> 'columns' -> n.col) from needed n where n.lookup = l.key), '{}')))
  from jsonb_each(definition.lookups) l
  where exists (select from needed n where n.lookup = l.key)
$$;


ALTER FUNCTION rowcast.needed_lookups(definition rowcast.attached) OWNER TO postgres;

--
-- Name: needs_care(regclass); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.needs_care(relation regclass) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select coalesce(bool_or(base.typname in ('json', '_json')
    or base.typtype <> 'e' and base.typnamespace <> 'pg_catalog'::regnamespace
    or base.typtype = 'e' and exists (select from pg_cast where castsource = base.oid and casttarget = 'json'::regtype)), false)
  from pg_attribute a
  join pg_type t on t.oid = a.atttypid
  join pg_type element on element.oid = case when t.typlen = -1 and t.typelem <> 0 then t.typelem else t.oid end
  join pg_type base on base.oid = coalesce(nullif(element.typbasetype, 0), element.oid)
  where a.attrelid = relation and a.attnum > 0 and not a.attisdropped
$$;


ALTER FUNCTION rowcast.needs_care(relation regclass) OWNER TO postgres;

--
-- Name: no_code_sql(jsonb); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.no_code_sql(lookup jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  select format($sql$c.relkind = 'r' and c.relfilenode = pg_relation_filenode(c.oid) and not exists (
      select from pg_attribute a join pg_type t on t.oid = a.atttypid
      where a.attrelid = c.oid and a.attname = any (%L) and t.oid >= 16384 and not (t.typtype = 'd' and t.typbasetype < 16384))
      and rowcast.plans_no_code(c.oid)$sql$,
    array(select jsonb_array_elements_text(lookup -> 'key')))
$_$;


ALTER FUNCTION rowcast.no_code_sql(lookup jsonb) OWNER TO postgres;

--
-- Name: note_removal(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.note_removal() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  seen pg_snapshot;
  -- Only transactions below this one may have lost events.
  bound bigint;
begin
  if tg_op = 'TRUNCATE' then
    -- What is truncated need not be visible to whoever truncates: with an older snapshot it has events of later commits. So no
    -- snapshot can name it, and every offset is void.
    update rowcast.epoch set value = ('x' || left(replace(gen_random_uuid()::text, '-', ''), 16))::bit(64)::bigint;
  elsif tg_when = 'BEFORE' then
    -- Whatever the statement removes is visible now.
    perform set_config('rowcast.removable', coalesce((select xid from rowcast.events order by xid desc limit 1)::text, '-1'), true);
  -- No row was removed (the count is this transaction's, kept unless track_counts is off).
  elsif pg_stat_get_xact_tuples_deleted(tg_relid) > 0 or not current_setting('track_counts')::bool then
    -- Locked first, so that of two who remove at once the second one's snapshot is the later one.
    select greatest(pg_snapshot_xmax(e.removed)::text::bigint, current_setting('rowcast.removable')::bigint + 1)
    into bound from rowcast.epoch e for update;
    -- What is seen now, up to there: who has read the last of the events that are gone has read all of them.
    seen := pg_current_snapshot();
    update rowcast.epoch set removed = format('%s:%s:%s', least(pg_snapshot_xmin(seen)::text::bigint, bound), bound,
      (select string_agg(x::text, ',' order by x) from pg_snapshot_xip(seen) xip (x) where x::text::bigint < bound))::pg_snapshot;
  end if;
  return null;
end $$;


ALTER FUNCTION rowcast.note_removal() OWNER TO postgres;

--
-- Name: one_event_sql(rowcast.attached, jsonb, text, text, text, text, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.one_event_sql(definition rowcast.attached, rule jsonb, suffix text, side text, cause text, joinable text, rows text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
  template jsonb := rule -> 'payload';
begin
  if jsonb_typeof(template) is distinct from 'object' or template = '{}' then
    return null;
  end if;
  if exists (
    select from (
      select jsonb_object_keys(template) union all select member from rowcast.row_members(definition, side)
    ) names (name)
    where name in ('after', 'before', 'rowcast_row', 'rowcast_payload') or starts_with(name, 'room_')) then
    return null;
  end if;
  return format($sql$  insert into rowcast.events (room, event, data, source)
  select room,
         %4$L,
         case when room is not null and not origin ? 'rowcast:careful, a member with a name that no column of a table can have' then data
              else rowcast.unusual(room, data, origin, %1$L, %2$L) end,
         %1$L
  from (
    select %5$s as origin, case when %3$s then room_%5$s%6$s end as room, row_to_json(rowcast_payload.*) as data
    from (%7$s
    ) t%8$s
    cross join lateral (
      select %9$s
    ) rowcast_payload%10$s
    offset 0
  ) e;$sql$,
    definition.source, definition.key_columns, regexp_replace(joinable, '\mroom\M', format('room_%s%s', side, suffix), 'g'), rule ->> 'event',
    side, suffix, rows,
    case when exists (select from jsonb_each(template) where value = '"{row}"') then format(E'\n    cross join lateral (\n      select %s\n    ) rowcast_row', (
      select string_agg(format('%s as %I', value, member), ', ' order by place) from rowcast.row_members(definition, side))) else '' end,
    rowcast.members_sql(definition, template, side, 'rowcast_row'),
    coalesce(E'\n    where ' || cause, ''));
end $_$;


ALTER FUNCTION rowcast.one_event_sql(definition rowcast.attached, rule jsonb, suffix text, side text, cause text, joinable text, rows text) OWNER TO postgres;

--
-- Name: only_ids(json); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.only_ids(data json) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
end $_$;


ALTER FUNCTION rowcast.only_ids(data json) OWNER TO postgres;

--
-- Name: only_of_parts_sql(rowcast.attached, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.only_of_parts_sql(definition rowcast.attached, operation text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  select case when definition.tree then format($sql$  if starts_with(tg_name, 'rowcast_part_') and not rowcast.is_part(tg_relid, %L::regproc) then
    return null;
  end if;
$sql$, format('rowcast.%I', rowcast.capture_name(definition, operation))) else '' end
$_$;


ALTER FUNCTION rowcast.only_of_parts_sql(definition rowcast.attached, operation text) OWNER TO postgres;

--
-- Name: own_row_sql(text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.own_row_sql(operation text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select case operation
    when 'insert' then 'select rowcast.careful_row(new, tg_relid::text) as after'
    when 'delete' then 'select rowcast.careful_row(old, tg_relid::text) as before'
    else 'select 1 as place, rowcast.careful_row(old, tg_relid::text) as before, rowcast.careful_row(new, tg_relid::text) as after' end
$$;


ALTER FUNCTION rowcast.own_row_sql(operation text) OWNER TO postgres;

--
-- Name: part_operations(rowcast.attached, boolean); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.part_operations(definition rowcast.attached, is_partition boolean) RETURNS text[]
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select array(
    select operation from unnest('{insert,update,delete,truncate}'::text[]) as operation
    where operation = 'truncate' or not (is_partition and definition.by_row is true) and rowcast.captures(definition, operation))
$$;


ALTER FUNCTION rowcast.part_operations(definition rowcast.attached, is_partition boolean) OWNER TO postgres;

--
-- Name: part_sql(rowcast.attached, text, boolean); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.part_sql(definition rowcast.attached, name text, is_partition boolean) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select string_agg(rowcast.trigger_on_sql(definition, operation, name, 'rowcast_part_' || operation), E'\n' order by place)
  from unnest(rowcast.part_operations(definition, is_partition)) with ordinality as o (operation, place)
$$;


ALTER FUNCTION rowcast.part_sql(definition rowcast.attached, name text, is_partition boolean) OWNER TO postgres;

--
-- Name: parts_of(oid); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.parts_of(relation oid) RETURNS TABLE(part oid, name text, kind "char", is_partition boolean)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  with recursive below (relation) as (
    select inhrelid from pg_inherits where inhparent = parts_of.relation and not inhdetachpending
    union
    select i.inhrelid from below join pg_inherits i on i.inhparent = below.relation where not i.inhdetachpending
  )
  select c.oid, format('%I.%I', n.nspname, c.relname), c.relkind, c.relispartition
  from below join pg_class c on c.oid = below.relation join pg_namespace n on n.oid = c.relnamespace
  where n.nspname <> '_timescaledb_internal'
  order by 2
$$;


ALTER FUNCTION rowcast.parts_of(relation oid) OWNER TO postgres;

--
-- Name: payload_sql(rowcast.attached, jsonb, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.payload_sql(definition rowcast.attached, template jsonb, side text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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


ALTER FUNCTION rowcast.payload_sql(definition rowcast.attached, template jsonb, side text) OWNER TO postgres;

--
-- Name: pieces(text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.pieces(template text) RETURNS TABLE(place bigint, literal text, name text)
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select place, coalesce(piece[1], piece[3]), piece[2]
  from regexp_matches(template, '([^{}]+)|\{([^{}]*)\}|([{}])', 'g') with ordinality as m (piece, place)
$$;


ALTER FUNCTION rowcast.pieces(template text) OWNER TO postgres;

--
-- Name: placeholder(text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.placeholder(name text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select case when name in ('row', 'room', 'contactId', 'at') then '{.' || name || '}' else '{' || name || '}' end
$$;


ALTER FUNCTION rowcast.placeholder(name text) OWNER TO postgres;

--
-- Name: placeholder_column(rowcast.attached, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.placeholder_column(definition rowcast.attached, name text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select case when name in ('.row', '.room', '.contactId', '.at') and name <> all (definition.columns)
                   and substr(name, 2) = any (definition.columns)
              then substr(name, 2) else name end
$$;


ALTER FUNCTION rowcast.placeholder_column(definition rowcast.attached, name text) OWNER TO postgres;

--
-- Name: placeholder_sql(rowcast.attached, text, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.placeholder_sql(definition rowcast.attached, name text, side text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select case name
    when 'row' then rowcast.row_sql(definition, side)
    when 'room' then rowcast.room_sql(definition, side)
    when 'contactId' then rowcast.contact_sql(definition, side)
    when 'at' then 'replace(to_jsonb(clock_timestamp()) #>> ''{}'', ''+00:00'', ''Z'')'
    else (select rowcast.json_sql(definition, lookup, col, manner, side) from rowcast.reference(definition, name))
  end
$$;


ALTER FUNCTION rowcast.placeholder_sql(definition rowcast.attached, name text, side text) OWNER TO postgres;

--
-- Name: placeholder_text_sql(rowcast.attached, text, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.placeholder_text_sql(definition rowcast.attached, name text, side text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select rowcast.text_sql(definition, lookup, col, manner, side) from rowcast.reference(definition, name)
$$;


ALTER FUNCTION rowcast.placeholder_text_sql(definition rowcast.attached, name text, side text) OWNER TO postgres;

--
-- Name: placeholders(jsonb); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.placeholders(template jsonb) RETURNS TABLE(name text, alone boolean)
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  select p.name, string #>> '{}' = '{' || p.name || '}'
  from jsonb_path_query(template, 'strict $.** ? (@.type() == "string")') as string
  cross join rowcast.pieces(string #>> '{}') as p
  where p.name is not null
$_$;


ALTER FUNCTION rowcast.placeholders(template jsonb) OWNER TO postgres;

--
-- Name: plans_no_code(oid); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.plans_no_code(relation oid) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
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


ALTER FUNCTION rowcast.plans_no_code(relation oid) OWNER TO postgres;

--
-- Name: preview(regclass, jsonb, boolean); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.preview(source regclass, arguments jsonb, with_examples boolean DEFAULT true) RETURNS json
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET quote_all_identifiers TO 'off'
    AS $_$
#variable_conflict use_variable
declare
  name text := (select format('%I.%I', nspname, relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = source);
  call text;
  statements text;
  definition rowcast.attached;
  unread text;
  examples json;
begin
  if name is null then
    perform rowcast.refuse('source is null; accepted: the name of a table');
  end if;
  call := rowcast.attach_call(name, arguments);
  execute left(call, -1) || ', dry_run => true)' into statements;
  -- The definition is the last thing that the statements insert. A line can't begin like this within a literal of JSON.
  execute 'select (d).* from (select jsonb_populate_record(null::rowcast.attached, '
    || substring(statements from '.*\ninsert into rowcast\.attached select \* from jsonb_populate_record\(null::rowcast\.attached, (.*)\);$')
    || ') as d) x' into definition;
  if not has_table_privilege(source, 'select') then
    unread := format('%s, who owns the schema rowcast, may not read %s: grant select on %2$s to %1$I', current_user, name);
  elsif row_security_active(source) then
    unread := format('row security may hide rows of %s from %s, who owns the schema rowcast', name, current_user);
  elsif not rowcast.plans_no_code(source) then
    unread := format('an index, a constraint or a statistic of %s runs code of somebody who is no superuser, and would run it as %s, who owns the schema rowcast',
                     name, current_user);
  elsif with_examples then
    examples := rowcast.examples(definition, source);
  end if;
  return json_build_object(
    'source', name, 'call', call || ';', 'sql', statements,
    'notices', (
      select coalesce(json_agg(notice), '[]') from (
        select rowcast.doubtful_room(r.room) as notice from rowcast.rooms_of(definition) r
        union all
        select rowcast.doubts(definition, source, coalesce(nullif(arguments -> 'order_column', 'null'),
                                                           nullif(arguments -> 'order_columns', 'null')) is not null)
      ) notices where notice is not null),
    'definition', to_jsonb(definition),
    'attached', (
      select to_jsonb(a) from rowcast.attached a
      where a.source = name or rowcast.relation_of(a.capture) = source order by a.source = name desc limit 1),
    'unread', unread, 'rows', examples -> 'rows', 'examples', examples -> 'examples');
end $_$;


ALTER FUNCTION rowcast.preview(source regclass, arguments jsonb, with_examples boolean) OWNER TO postgres;

--
-- Name: FUNCTION preview(source regclass, arguments jsonb, with_examples boolean); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.preview(source regclass, arguments jsonb, with_examples boolean) IS 'what rowcast.attach would do with these arguments, and an example of each event; changes nothing';


--
-- Name: recount_conversations(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.recount_conversations() RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$insert into rowcast.inbox_uncounted values (null)$$;


ALTER FUNCTION rowcast.recount_conversations() OWNER TO postgres;

--
-- Name: FUNCTION recount_conversations(); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.recount_conversations() IS 'has all of public.conversations compared with the messages, after writes that fired no triggers: by a server, or by rowcast.settle_conversations';


--
-- Name: reference(rowcast.attached, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.reference(definition rowcast.attached, name text) RETURNS TABLE(lookup text, col text, manner text)
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;


ALTER FUNCTION rowcast.reference(definition rowcast.attached, name text) OWNER TO postgres;

--
-- Name: refuse(text, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.refuse(message text, hint text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  if hint is null then
    raise exception 'rowcast.attach: %', message using errcode = '22023';
  end if;
  raise exception 'rowcast.attach: %', message using errcode = '22023', hint = hint;
end $$;


ALTER FUNCTION rowcast.refuse(message text, hint text) OWNER TO postgres;

--
-- Name: regenerate(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.regenerate() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET quote_all_identifiers TO 'off'
    AS $$
declare
  definition rowcast.attached;
  operation text;
  lookups text;
begin
  for definition in select a.* from rowcast.attached a order by a.source loop
    definition.forms := coalesce(definition.forms, rowcast.forms_of(coalesce(rowcast.relation_of(definition.capture),
      (select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where array[nspname, relname]::text[] = parse_ident(definition.source)))));
    update rowcast.attached a
    set forms = definition.forms, row_sql = rowcast.row_sql(definition, 'after'), feeds = rowcast.feeds_of(definition)
    where a.source = definition.source;
    lookups := rowcast.lookup_functions_sql(definition);
    if lookups is not null then
      execute lookups;
    end if;
    foreach operation in array array['insert', 'update', 'delete'] loop
      if exists (select from pg_proc where pronamespace = 'rowcast'::regnamespace
                 and proname = rowcast.capture_name(definition, operation)) then
        execute rowcast.function_sql(definition, operation);
      end if;
    end loop;
    execute rowcast.truncate_function_sql(definition);
  end loop;
end $$;


ALTER FUNCTION rowcast.regenerate() OWNER TO postgres;

--
-- Name: relation_named(rowcast.attached, text, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.relation_named(definition rowcast.attached, argument text, name text) RETURNS regclass
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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


ALTER FUNCTION rowcast.relation_named(definition rowcast.attached, argument text, name text) OWNER TO postgres;

--
-- Name: relation_of(text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.relation_of(capture text) RETURNS regclass
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  select case when capture ~ '^[0-9]+$' then capture::oid::regclass else (
    select t.tgrelid::regclass
    from pg_proc p join pg_trigger t on t.tgfoid = p.oid
    where p.pronamespace = 'rowcast'::regnamespace and not t.tgisinternal and t.tgparentid = 0 and not starts_with(t.tgname, 'rowcast_part_')
      and p.proname = any (array['capture_' || capture || '_insert', 'capture_' || capture || '_update',
                                 'capture_' || capture || '_delete'])
    -- TimescaleDB copies triggers to its chunks by itself.
    order by (select c.relnamespace::regnamespace::text = '_timescaledb_internal' from pg_class c where c.oid = t.tgrelid), t.tgrelid limit 1) end
$_$;


ALTER FUNCTION rowcast.relation_of(capture text) OWNER TO postgres;

--
-- Name: reload(text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.reload(source text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET quote_all_identifiers TO 'off'
    AS $$
declare
  definition rowcast.attached := rowcast.definition_of(source);
  -- As in rowcast.check_reader.
  caller text := case current_setting('role') when 'none' then session_user else current_setting('role') end;
  relation regclass := rowcast.relation_of(definition.capture);
begin
  if definition.source is null then
    raise exception 'rowcast.reload: % is not attached', coalesce(source, 'null') using errcode = '22023';
  end if;
  if relation is not null and not has_table_privilege(caller, relation, 'select') then
    raise exception 'rowcast.reload: % may not read %', caller, definition.source
      using errcode = '42501', hint = format('grant select on %s to %I;', definition.source, caller);
  end if;
  perform rowcast.tell_to_reload(definition.source, rowcast.room_patterns(definition), 'by rowcast.reload');
end $$;


ALTER FUNCTION rowcast.reload(source text) OWNER TO postgres;

--
-- Name: FUNCTION reload(source text); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.reload(source text) IS 'tells whoever listens in the rooms of an attached table to load them again';


--
-- Name: remember_code(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.remember_code() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  update rowcast.attached a set made = a.made || jsonb_build_object('code', rowcast.made_by_attach(a) -> 'code')
  where a.source = new.source and a.made -> 'code' is distinct from rowcast.made_by_attach(a) -> 'code';
  return null;
end $$;


ALTER FUNCTION rowcast.remember_code() OWNER TO postgres;

--
-- Name: remember_source(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.remember_source() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  new.made := rowcast.made_by_attach(new);
  return new;
end $$;


ALTER FUNCTION rowcast.remember_source() OWNER TO postgres;

--
-- Name: resolve_events(rowcast.attached, jsonb, text, boolean); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.resolve_events(definition rowcast.attached, spec jsonb, argument text, has_messages boolean) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  rule jsonb;
  operation text;
  event text;
  columns text[];
  claimed text[] := '{}';
  update_columns text[] := case when jsonb_typeof(spec -> 'update_columns') = 'array'
    then array(select jsonb_array_elements_text(spec -> 'update_columns')) end;
  rules jsonb := coalesce(nullif(spec -> 'rules', 'null'), '[]');
  simple jsonb := jsonb_strip_nulls(jsonb_build_array(
    jsonb_build_object('on', 'insert', 'event', spec -> 'on_insert'), jsonb_build_object('on', 'delete', 'event', spec -> 'on_delete')));
  resolved jsonb := '[]';
begin
  if jsonb_typeof(rules) <> 'array' then
    perform rowcast.refuse(format('%srules is a JSON %s; accepted: an array of {"on", "columns", "event", "payload", "condition"}', argument,
      jsonb_typeof(rules)));
  end if;
  for rule in select r from jsonb_array_elements(simple) as r where r ? 'event'
              union all select r from jsonb_array_elements(rules) as r
  loop
    if jsonb_typeof(rule) <> 'object' or rule - '{on,columns,event,payload,condition}'::text[] <> '{}' then
      perform rowcast.refuse(format(
        'the rule %s is not understood; accepted: an object with "on", "columns", "event", "payload" and "condition"', rule));
    end if;
    operation := rule ->> 'on';
    event := rule ->> 'event';
    if operation is null or operation not in ('insert', 'update', 'delete') then
      perform rowcast.refuse(format('the rule %s has no such "on"; accepted: "insert", "update", "delete"', rule));
    end if;
    perform rowcast.check_event_name('rowcast.attach', event);
    if operation = 'update' then
      if jsonb_typeof(rule -> 'columns') is distinct from 'array' or rule -> 'columns' = '[]' then
        perform rowcast.refuse(format('the rule for %s needs "columns", an array of column names', event),
          'An event for any other change is on_update.');
      end if;
      columns := array(select jsonb_array_elements_text(rule -> 'columns'));
      perform rowcast.check_columns(format('the rule for %s', event), columns, definition.columns, definition.source);
      claimed := claimed || columns;
    elsif rule ? 'columns' then
      perform rowcast.refuse(format('the rule for %s has "columns", which only a rule on update has', event));
    end if;
    if rule ->> 'condition' is not null then
      rule := rule || jsonb_build_object('condition',
        rowcast.checked_condition(definition, format('the condition of the rule for %s', event), rule ->> 'condition'));
    else
      rule := rule - 'condition';
    end if;
    resolved := resolved || jsonb_build_array(rule);
  end loop;

  if spec ->> 'on_update' is not null then
    perform rowcast.check_event_name('rowcast.attach', spec ->> 'on_update');
    perform rowcast.check_columns(argument || 'update_columns', update_columns, definition.columns, definition.source);
    columns := coalesce(update_columns,
      array(select name from unnest(definition.columns) as name where name <> all (claimed)));
    if columns = '{}' then
      perform rowcast.refuse(argument || 'on_update has no column left to watch: rules or update_columns leave none');
    end if;
    resolved := resolved || jsonb_build_array(jsonb_build_object('on', 'update', 'columns', columns, 'event', spec ->> 'on_update'));
  elsif update_columns is not null then
    perform rowcast.refuse(argument || 'update_columns is given without on_update');
  end if;
  if resolved = '[]' then
    perform rowcast.refuse(argument || 'there is no event; give at least one of on_insert, on_update, on_delete, rules');
  end if;

  return (
    select jsonb_agg(r || jsonb_build_object('payload', coalesce(nullif(r -> 'payload', 'null'), nullif(spec -> 'payload', 'null'),
      rowcast.default_payload(definition, r ->> 'on', r ->> 'event',
        (select array_agg(name) from jsonb_array_elements_text(r -> 'columns') as name), has_messages))) order by place)
    from jsonb_array_elements(resolved) with ordinality as x (r, place));
end $$;


ALTER FUNCTION rowcast.resolve_events(definition rowcast.attached, spec jsonb, argument text, has_messages boolean) OWNER TO postgres;

--
-- Name: resolve_lookups(rowcast.attached, regclass, jsonb); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.resolve_lookups(definition rowcast.attached, relation regclass, lookups jsonb) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
end $_$;


ALTER FUNCTION rowcast.resolve_lookups(definition rowcast.attached, relation regclass, lookups jsonb) OWNER TO postgres;

--
-- Name: resolve_rooms(rowcast.attached, jsonb, jsonb); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.resolve_rooms(definition rowcast.attached, first jsonb, rooms jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
  spec jsonb;
  nth bigint;
  argument text;
  is_first boolean := first -> 'room' <> 'null';
  has_messages boolean := jsonb_path_exists(jsonb_build_array(first, rooms),
    '$.** ? (@.type() == "object" && (@.on_insert == "message:new" || @.on == "insert" && @.event == "message:new"))');
  resolved jsonb := '[]';
begin
  if rooms is not null and jsonb_typeof(rooms) <> 'array' then
    perform rowcast.refuse(format('rooms is a JSON %s; accepted: an array of rooms, each with "room" and events', jsonb_typeof(rooms)));
  end if;
  if not is_first and coalesce(jsonb_array_length(rooms), 0) > 0 then
    if first - '{room,payload}'::text[] <> jsonb_build_object('on_insert', null, 'on_update', null, 'on_delete', null, 'update_columns', null, 'rules', null) then
      perform rowcast.refuse('there are events, and no room for them; give room, or give each of rooms its events');
    end if;
  end if;
  for spec, nth in
    select first, 0::bigint where is_first or coalesce(jsonb_array_length(rooms), 0) = 0
    union all select r, place from jsonb_array_elements(coalesce(rooms, '[]')) with ordinality as x (r, place)
    order by 2
  loop
    argument := case when nth > 0 then format('room %s of rooms: ', nth) else '' end;
    if jsonb_typeof(spec) <> 'object'
       or spec - '{room,on_insert,on_update,on_delete,update_columns,rules,condition,payload}'::text[] <> '{}' then
      perform rowcast.refuse(format('%snot understood; accepted: an object with "room", "on_insert", "on_update", "on_delete", "update_columns", '
        '"rules", "condition" and "payload"', argument));
    end if;
    definition.room := spec ->> 'room';
    perform rowcast.check_room(definition);
    if spec -> 'payload' <> 'null' then
      perform rowcast.check_payload(definition, case when nth > 0 then definition.room else 'this table' end, spec -> 'payload');
    elsif nth > 0 and first -> 'payload' <> 'null' then
      spec := spec || jsonb_build_object('payload', first -> 'payload');
    end if;
    resolved := resolved || jsonb_build_array(jsonb_strip_nulls(jsonb_build_object('room', definition.room,
      'condition', case when spec ->> 'condition' is not null
        then rowcast.checked_condition(definition, argument || 'condition', spec ->> 'condition') end))
      || jsonb_build_object('events', rowcast.resolve_events(definition, spec, argument, has_messages)));
  end loop;
  if jsonb_array_length(resolved) > 8 then
    perform rowcast.refuse('rooms are too many; accepted: 8');
  end if;
  if (select count(distinct r ->> 'room') from jsonb_array_elements(resolved) as r) < jsonb_array_length(resolved) then
    perform rowcast.refuse('a room is given twice; accepted: one room with all of its rules');
  end if;
  return resolved;
end $_$;


ALTER FUNCTION rowcast.resolve_rooms(definition rowcast.attached, first jsonb, rooms jsonb) OWNER TO postgres;

--
-- Name: revoke(text, text, text, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.revoke(subject text, room text DEFAULT NULL::text, reason text DEFAULT NULL::text, issuer text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
#variable_conflict use_column
declare
  called_at timestamptz := clock_timestamp();
  bad text;
begin
  bad := case
    when subject is null or octet_length(subject) not between 1 and 1000 then
      format('subject is %s; it must be 1 to 1000 bytes', coalesce(octet_length(subject) || ' bytes', 'null'))
    when octet_length(room) not between 1 and 600 then
      format('room is %s bytes; it must be 1 to 600, or null for all rooms', octet_length(room))
    when strpos(room, ':') = 0 then
      format('room %L has no kind; it must be like ''conversation:42''', room)
    when octet_length(issuer) not between 1 and 500 then
      format('issuer is %s bytes; it must be 1 to 500, or null for all issuers', octet_length(issuer))
    when octet_length(reason) > 500 then
      format('reason is %s bytes; it must be at most 500', octet_length(reason))
  end;
  if bad is not null then
    raise exception 'rowcast.revoke: %', bad using errcode = '22023';
  end if;
  -- A crash must not undo what the caller was told is committed.
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'local', true);
  end if;
  insert into rowcast.revocations as r (subject, issuer, room, revoked_at, reason)
  values (revoke.subject, revoke.issuer, revoke.room, called_at, revoke.reason)
  on conflict (subject, coalesce(issuer, ''), coalesce(room, '')) do update
  set revoked_at = greatest(r.revoked_at, excluded.revoked_at), reason = excluded.reason;
  -- Nobody else writes this source: capture writes the name of a table of somebody else's, and emit writes none.
  insert into rowcast.events (room, event, data, source)
  values ('rowcast:revocations', 'revoked', json_build_object('subject', revoke.subject, 'issuer', revoke.issuer, 'room', revoke.room,
    'at', floor(extract(epoch from called_at))::bigint, 'reason', revoke.reason), 'rowcast.revoke');
end $$;


ALTER FUNCTION rowcast.revoke(subject text, room text, reason text, issuer text) OWNER TO postgres;

--
-- Name: FUNCTION revoke(subject text, room text, reason text, issuer text); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.revoke(subject text, room text, reason text, issuer text) IS 'ends a subject''s right to a room, or to everything, on every server; its tokens that were issued until now are refused';


--
-- Name: room_patterns(rowcast.attached); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.room_patterns(definition rowcast.attached) RETURNS text[]
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select array_agg(distinct pattern order by pattern) from (
    select (
      select string_agg(case when p.name is not null then '%' else regexp_replace(p.literal, '([\\%_])', '\\\1', 'g') end, '' order by p.place)
      from rowcast.pieces(r.room) p) as pattern
    from rowcast.rooms_of(definition) r
  ) patterns
$$;


ALTER FUNCTION rowcast.room_patterns(definition rowcast.attached) OWNER TO postgres;

--
-- Name: room_sql(rowcast.attached, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.room_sql(definition rowcast.attached, side text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select coalesce(string_agg(coalesce(quote_literal(p.literal),
    case when named.manner is distinct from 'raw' then rowcast.told_sql(definition, rowcast.told_name(named.lookup, named.col), raw, '(' || raw || ')', true)
         else '(' || raw || ')' end), ' || ' order by p.place), '''''')
  from rowcast.pieces(definition.room) p
  left join lateral rowcast.reference(definition, p.name) named on true
  left join lateral (select rowcast.member_sql(named.lookup, named.col, side, true) as raw) r on true
$$;


ALTER FUNCTION rowcast.room_sql(definition rowcast.attached, side text) OWNER TO postgres;

--
-- Name: rooms_of(rowcast.attached); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.rooms_of(definition rowcast.attached) RETURNS TABLE(place bigint, suffix text, room text, condition text, events jsonb)
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select place, case when place = 1 then '' else '_' || place end, r ->> 'room', r ->> 'condition', r -> 'events'
  from jsonb_array_elements(coalesce(definition.rooms,
    jsonb_build_array(jsonb_build_object('room', definition.room, 'events', definition.events)))) with ordinality as x (r, place)
$$;


ALTER FUNCTION rowcast.rooms_of(definition rowcast.attached) OWNER TO postgres;

--
-- Name: row_members(rowcast.attached, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.row_members(definition rowcast.attached, side text) RETURNS TABLE(place bigint, member text, value text, col text)
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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


ALTER FUNCTION rowcast.row_members(definition rowcast.attached, side text) OWNER TO postgres;

--
-- Name: row_sql(rowcast.attached, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.row_sql(definition rowcast.attached, side text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select format('(select row_to_json(o.*) from (select %s) o)', string_agg(format('%s as %I', value, member), ', ' order by place))
  from rowcast.row_members(definition, side)
$$;


ALTER FUNCTION rowcast.row_sql(definition rowcast.attached, side text) OWNER TO postgres;

--
-- Name: rows_sql(rowcast.attached, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.rows_sql(definition rowcast.attached, operation text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
declare
  json_row text := rowcast.json_row_sql(definition);
  has_lookups boolean := exists (select from rowcast.lookups_of(definition));
  side text := case operation when 'delete' then 'before' else 'after' end;
  transition text := case operation when 'delete' then 'old_rows' else 'new_rows' end;
  room record;
  expressions text[] := '{}';
  stays text[] := '{}';
begin
  for room in select r.* from rowcast.rooms_of(definition) r order by r.place loop
    definition.room := room.room;
    if operation <> 'update' then
      expressions := expressions || format('%s as room_%s%s', rowcast.room_sql(definition, side), side, room.suffix);
    else
      expressions := expressions || format(E'%1$s as was_in%2$s, %3$s as is_in%2$s,\n                   %4$s as room_before%2$s,\n                   %5$s as room_after%2$s',
        coalesce(nullif(concat_ws(' and ', rowcast.meets_sql(definition.condition, 'before'), rowcast.meets_sql(room.condition, 'before')), ''), 'true'),
        room.suffix,
        coalesce(nullif(concat_ws(' and ', rowcast.meets_sql(definition.condition, 'after'), rowcast.meets_sql(room.condition, 'after')), ''), 'true'),
        rowcast.room_sql(definition, 'before'), rowcast.room_sql(definition, 'after'));
      stays := stays || format('was_in%1$s and is_in%1$s and room_before%1$s is not distinct from room_after%1$s as stays%1$s', room.suffix);
    end if;
  end loop;
  if operation <> 'update' then
    return format($sql$
      select %1$s, %2$s
      from (%3$s offset 0) t
      where %4$s$sql$, side, array_to_string(expressions, ', '),
      case when has_lookups then rowcast.found_rows_sql(definition, operation)
           when definition.by_row then rowcast.own_row_sql(operation)
           else format('select %s as %s from %s t', json_row, side, transition) end,
      coalesce(rowcast.meets_sql(definition.condition, side), 'true'));
  end if;
  return format($sql$
      select *, %1$s
      from (select place, before, after, %2$s
      %3$s
      offset 0) t$sql$, array_to_string(stays, ', '), array_to_string(expressions, E',\n                   '),
    case when has_lookups then format('from (%s) t', rowcast.found_rows_sql(definition, operation))
    when definition.by_row then format('from (%s offset 0) t', rowcast.own_row_sql(operation))
    else format($sql$-- One call of the executor fills both tables, so position pairs the rows, even when keys change.
      -- FULL, because a full join never runs as a nested loop, and the plan is kept for updates of any size.
      from (select row_number() over () as place, %1$s as before from old_rows t) b
      full join (select row_number() over () as place, %1$s as after from new_rows t) a using (place)$sql$, json_row) end);
end $_$;


ALTER FUNCTION rowcast.rows_sql(definition rowcast.attached, operation text) OWNER TO postgres;

--
-- Name: server_secret(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.server_secret() RETURNS bytea
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  return (select key from rowcast.secret);
exception when object_not_in_prerequisite_state then
  refresh materialized view rowcast.secret;
  return (select key from rowcast.secret);
end $$;


ALTER FUNCTION rowcast.server_secret() OWNER TO postgres;

--
-- Name: FUNCTION server_secret(); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.server_secret() IS 'what the tags of offsets and notifications are made with; for servers alone';


--
-- Name: sets_style(rowcast.attached); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.sets_style(definition rowcast.attached) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select coalesce(definition.tree, true) or coalesce(definition.by_row, true)
    or exists (select from rowcast.lookups_of(definition))
    or coalesce((
      select bool_or(rowcast.is_styled(a.atttypid))
      from pg_attribute a
      where a.attnum > 0 and not a.attisdropped and a.attrelid = coalesce(rowcast.relation_of(definition.capture),
        (select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where array[nspname, relname]::text[] = parse_ident(definition.source)))), true)
$$;


ALTER FUNCTION rowcast.sets_style(definition rowcast.attached) OWNER TO postgres;

--
-- Name: settle_conversations(integer); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.settle_conversations(most integer DEFAULT 500) RETURNS TABLE(settled bigint, failed bigint, problem text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    SET lock_timeout TO '100ms'
    AS $$
declare
  due record;
begin
  settled := 0;
  failed := 0;
  -- A look that finds nothing writes nothing.
  if not exists (select from rowcast.inbox_due) and not exists (select from rowcast.inbox_uncounted) then
    return next;
    return;
  end if;
  -- What it notes itself is for the next call, and not for its commit.
  perform set_config('rowcast.inbox_late', pg_current_xact_id()::text, true);
  if to_regclass('public.conversations_inbox') is null then
    delete from rowcast.inbox_due;
    delete from rowcast.inbox_uncounted;
    return next;
    return;
  end if;
  delete from rowcast.inbox_uncounted u where u.contact_id is null;
  if found then
    -- From one contact to the next by the index, however many messages each has.
    insert into rowcast.inbox_uncounted
    with recursive contacts as (
      (select m.contact_id from public.messages m order by m.contact_id limit 1)
      union all
      select (select m.contact_id from public.messages m where m.contact_id > c.contact_id order by m.contact_id limit 1)
      from contacts c where c.contact_id is not null
    )
    select contact_id from contacts where contact_id is not null union select c.contact_id from public.conversations c;
  end if;

  for due in
    with late as (
      delete from rowcast.inbox_due d where d.ctid = any (array(
        select p.ctid from rowcast.inbox_due p order by p.xid limit most for update skip locked))
      returning d.contact_id, d.unread
    ), uncounted as (
      delete from rowcast.inbox_uncounted u where u.ctid = any (array(
        select p.ctid from rowcast.inbox_uncounted p limit most for update skip locked))
      returning u.contact_id
    )
    select each.contact_id, sum(each.unread)::int as unread, bool_or(each.unread is null) as is_uncounted
    from (select l.contact_id, l.unread from late l union all select u.contact_id, null from uncounted u) each
    group by 1 order by each.contact_id collate "C"
  loop
    begin
      perform rowcast.chat_show(due.contact_id, case when not due.is_uncounted then due.unread end);
      settled := settled + 1;
    exception when others then
      failed := failed + 1;
      problem := sqlerrm;
      insert into rowcast.inbox_due (contact_id, unread) select due.contact_id, due.unread where due.unread is not null;
      insert into rowcast.inbox_uncounted select due.contact_id where due.is_uncounted;
    end;
  end loop;
  return next;
end $$;


ALTER FUNCTION rowcast.settle_conversations(most integer) OWNER TO postgres;

--
-- Name: FUNCTION settle_conversations(most integer); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.settle_conversations(most integer) IS 'brings public.conversations up to date with messages whose commit could not; servers call it, and it can be called until it returns 0, 0';


--
-- Name: shown_members(rowcast.attached, jsonb); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.shown_members(definition rowcast.attached, template jsonb) RETURNS TABLE(member text, col text)
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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


ALTER FUNCTION rowcast.shown_members(definition rowcast.attached, template jsonb) OWNER TO postgres;

--
-- Name: signed(text, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.signed(channel text, payload text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  signed text := (extract(epoch from clock_timestamp()) * 1000000)::bigint || ' ' || payload;
begin
  perform rowcast.server_secret();
  return (
    select substr(encode(sha256(outer_pad || sha256(inner_pad || convert_to('notify ' || channel || ' ' || signed, 'UTF8'))), 'hex'), 1, 32)
           || ' ' || signed
    from rowcast.secret);
end $$;


ALTER FUNCTION rowcast.signed(channel text, payload text) OWNER TO postgres;

--
-- Name: FUNCTION signed(channel text, payload text); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.signed(channel text, payload text) IS 'a payload that servers heed; for servers alone';


--
-- Name: store_whatsapp(text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.store_whatsapp(request text) RETURNS TABLE(kind text, external_id text, reason text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
  items rowcast.whatsapp_item[] := array(select i from rowcast.whatsapp_items(request) i);
  one rowcast.whatsapp_item;
  place int;
begin
  begin
    perform rowcast.chat_store_items(items);
  exception when data_exception or integrity_constraint_violation or raise_exception or program_limit_exceeded then
    -- One of them is bad in a way that only the tables know: a check, or a trigger that somebody added.
    for place in 1 .. cardinality(items) loop
      one := items[place];
      begin
        perform rowcast.chat_store_items(array[one]);
      exception when data_exception or integrity_constraint_violation or raise_exception or program_limit_exceeded then
        one.problem := sqlerrm;
        items[place] := one;
        perform rowcast.chat_store_items(array[one]);
      end;
    end loop;
  end;

  -- What was kept while the transaction that gave the message its id was under way: neither could see the other.
  with found as (
    select l.id from public.webhook_leftovers l
    where l.kind = 'status' and l.received_at > now() - interval '10 minutes'
      and exists (select from public.messages m where m.external_id = l.external_id)
      and l.item ->> 'status' in ('sent', 'delivered', 'read', 'failed')
    order by l.id limit 100 for update skip locked
  ), placed as (
    delete from public.webhook_leftovers l using found where l.id = found.id returning l.external_id, l.item, l.received_at, l.id
  )
  insert into public.message_statuses (message_id, status, error, occurred_at)
  select m.id, p.item ->> 'status', rowcast.whatsapp_error(p.item), coalesce(rowcast.whatsapp_time(p.item -> 'timestamp'), p.received_at)
  from placed p join public.messages m on m.external_id = p.external_id order by m.id, 4, p.id;

  return query
  select i.kind, i.external_id, coalesce(i.problem, 'its message is not stored yet') from unnest(items) i
  where i.problem is not null
     or i.kind = 'status' and not exists (select from public.messages m where m.external_id = i.external_id)
  order by i.nr;
end $$;


ALTER FUNCTION rowcast.store_whatsapp(request text) OWNER TO postgres;

--
-- Name: styled_row(record, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.styled_row(source_row record, capture text) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    SET "DateStyle" TO 'ISO, MDY'
    SET "IntervalStyle" TO 'postgres'
    SET bytea_output TO 'hex'
    SET extra_float_digits TO '1'
    SET lc_monetary TO 'C'
    SET quote_all_identifiers TO 'off'
    AS $$
begin
  return rowcast.careful_row(source_row, capture);
end $$;


ALTER FUNCTION rowcast.styled_row(source_row record, capture text) OWNER TO postgres;

--
-- Name: tell_sources(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.tell_sources() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  if pg_notification_queue_usage() < 0.5
     and exists (select from pg_trigger where tgrelid = 'rowcast.events'::regclass and tgname = 'wake' and tgenabled <> 'D') then
    perform pg_notify('rowcast_sources', '');
  end if;
  return null;
exception when others then
  return null; -- Where the question is not allowed, servers are told a little later.
end $$;


ALTER FUNCTION rowcast.tell_sources() OWNER TO postgres;

--
-- Name: tell_to_reload(text, text[], text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.tell_to_reload(source text, rooms text[], reason text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    AS $$
begin
  -- A crash must not undo what listeners were told to reload for: they would go on with what is not there any more.
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'local', true);
  end if;
  if current_setting('rowcast.told_to_reload', true) <> '' then
    update rowcast.events told
    set id = default, at = clock_timestamp(),
        data = json_build_object('rooms', tell_to_reload.rooms, 'source', tell_to_reload.source, 'reason', tell_to_reload.reason)
    where told.id = (
      -- Compared as a row, and sorted by all of it, so that only the index of rooms can answer.
      select e.id from rowcast.events e
      where (e.room, e.xid) >= ('rowcast:reloads', pg_current_xact_id()) and (e.room, e.xid) <= ('rowcast:reloads', pg_current_xact_id())
        and e.source = 'rowcast.reload' and e.data ->> 'source' = tell_to_reload.source
        -- A source may be attached anew meanwhile, with other rooms.
        and (e.data -> 'rooms')::jsonb = to_jsonb(tell_to_reload.rooms)
      order by e.room desc, e.xid desc, e.id desc limit 1);
    if found then
      return;
    end if;
  end if;
  -- Nobody else writes this source: capture writes the name of a table of somebody else's, and emit writes none.
  insert into rowcast.events (room, event, data, source)
  values ('rowcast:reloads', 'reload', json_build_object('rooms', rooms, 'source', source, 'reason', reason), 'rowcast.reload');
  perform set_config('rowcast.told_to_reload', 'yes', true);
end $$;


ALTER FUNCTION rowcast.tell_to_reload(source text, rooms text[], reason text) OWNER TO postgres;

--
-- Name: text_sql(rowcast.attached, text, text, text, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.text_sql(definition rowcast.attached, lookup text, col text, manner text, side text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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


ALTER FUNCTION rowcast.text_sql(definition rowcast.attached, lookup text, col text, manner text, side text) OWNER TO postgres;

--
-- Name: texts(jsonb); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.texts(value jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
  return case jsonb_typeof(value)
    when 'number' then to_jsonb(value #>> '{}')
    when 'array' then (select coalesce(jsonb_agg(rowcast.texts(e) order by place), '[]')
                       from jsonb_array_elements(value) with ordinality as x (e, place))
    else value end;
end $$;


ALTER FUNCTION rowcast.texts(value jsonb) OWNER TO postgres;

--
-- Name: told_name(text, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.told_name(lookup text, col text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select concat_ws('.', lookup, col)
$$;


ALTER FUNCTION rowcast.told_name(lookup text, col text) OWNER TO postgres;

--
-- Name: told_sql(rowcast.attached, text, text, text, boolean); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.told_sql(definition rowcast.attached, told text, raw text, value text, is_text boolean) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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


ALTER FUNCTION rowcast.told_sql(definition rowcast.attached, told text, raw text, value text, is_text boolean) OWNER TO postgres;

--
-- Name: trigger_on_sql(rowcast.attached, text, text, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.trigger_on_sql(definition rowcast.attached, operation text, relation text, trigger_name text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  select format($sql$create or replace trigger %1$I after %2$s on %3$s
%4$sexecute function rowcast.%5$I();$sql$,
    trigger_name, operation, relation,
    case when operation = 'truncate' then 'for each statement '
         when definition.by_row then 'for each row '
         else format(E'referencing %s\nfor each statement ',
           case operation when 'insert' then 'new table as new_rows' when 'delete' then 'old table as old_rows'
                          else 'old table as old_rows new table as new_rows' end) end,
    rowcast.capture_name(definition, operation))
    || case when definition.always then format(E'\nalter table %s enable always trigger %I;', relation, trigger_name) else '' end
$_$;


ALTER FUNCTION rowcast.trigger_on_sql(definition rowcast.attached, operation text, relation text, trigger_name text) OWNER TO postgres;

--
-- Name: trigger_sql(rowcast.attached, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.trigger_sql(definition rowcast.attached, operation text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select case operation when 'truncate' then rowcast.truncate_function_sql(definition) else rowcast.function_sql(definition, operation) end
    || E'\n' || rowcast.trigger_on_sql(definition, operation, definition.source, 'rowcast_' || operation)
$$;


ALTER FUNCTION rowcast.trigger_sql(definition rowcast.attached, operation text) OWNER TO postgres;

--
-- Name: truncate_function_sql(rowcast.attached); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.truncate_function_sql(definition rowcast.attached) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  select format($sql$create or replace function rowcast.%1$I() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $capture$
begin
%2$s  perform rowcast.tell_to_reload(%3$L, %4$L, 'truncate');
  return null;
end $capture$;
revoke all on function rowcast.%1$I() from public;
comment on function rowcast.%1$I() is %5$L;$sql$,
    rowcast.capture_name(definition, 'truncate'),
    rowcast.only_of_parts_sql(definition, 'truncate'),
    definition.source, rowcast.room_patterns(definition),
    format('Rowcast: tells of each truncate of %s', definition.source))
$_$;


ALTER FUNCTION rowcast.truncate_function_sql(definition rowcast.attached) OWNER TO postgres;

--
-- Name: truncate_payload(json); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.truncate_payload(data json) RETURNS json
    LANGUAGE plpgsql IMMUTABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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


ALTER FUNCTION rowcast.truncate_payload(data json) OWNER TO postgres;

--
-- Name: typing(text, boolean); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.typing(contact_id text, typing boolean DEFAULT true) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
  has_room boolean := true;
begin
  -- A notification ends at 8,000 bytes. 500 characters stay below that in any encoding, however JSON escapes them.
  if contact_id is null or contact_id = '' or length(contact_id) > 500 then
    raise exception 'rowcast.typing: contact_id is %; it must be 1 to 500 characters',
      case when contact_id is null then 'null' else length(contact_id) || ' characters' end using errcode = '22023';
  end if;
  begin
    has_room := pg_notification_queue_usage() < 0.5;
  exception when others then
    null; -- Somebody has revoked the function: then nobody knows.
  end;
  if has_room then
    perform pg_notify('rowcast_typing', rowcast.signed('rowcast_typing',
      json_build_object('contactId', contact_id, 'typing', coalesce(typing, true),
                        'at', (extract(epoch from clock_timestamp()) * 1000000)::bigint)::text));
  end if;
end $$;


ALTER FUNCTION rowcast.typing(contact_id text, typing boolean) OWNER TO postgres;

--
-- Name: FUNCTION typing(contact_id text, typing boolean); Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON FUNCTION rowcast.typing(contact_id text, typing boolean) IS 'tells the room''s sockets that the contact types; never stored';


--
-- Name: unfollowed(rowcast.attached, oid); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.unfollowed(definition rowcast.attached, relation oid) RETURNS TABLE(part oid, name text, statements text, is_new boolean)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  with ours as materialized (
    select t.tgrelid, t.tgname::text, substring(p.proname from '[a-z]+$') as operation, age(t.xmin) as age
    from pg_proc p join pg_trigger t on t.tgfoid = p.oid and not t.tgisinternal
    where p.pronamespace = 'rowcast'::regnamespace
      and p.proname in (select 'capture_' || definition.capture || '_' || operation from unnest('{insert,update,delete,truncate}'::text[]) as operation)
  ), parts as materialized (
    select p.* from rowcast.parts_of(unfollowed.relation) p
  ), wanted as materialized (
    select is_partition, rowcast.part_operations(definition, is_partition) as operations from (values (true), (false)) as w (is_partition)
  ), had as materialized (
    select tgrelid, array_agg(operation) as operations, min(age) as age from ours where starts_with(tgname, 'rowcast_part_') group by tgrelid
  )
  select c.oid, format('%I.%I', n.nspname, c.relname), rowcast.truncate_function_sql(definition) || E'\n'
           || rowcast.trigger_on_sql(definition, 'truncate', format('%I.%I', n.nspname, c.relname), 'rowcast_truncate'), false
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.oid = unfollowed.relation and not exists (select from ours where ours.tgrelid = c.oid and ours.operation = 'truncate')
  union all
  select p.part, p.name, rowcast.part_sql(definition, p.name, p.is_partition), true
  from parts p join wanted w using (is_partition) left join had on had.tgrelid = p.part
  where definition.tree and p.kind in ('r', 'p') and (not w.operations <@ coalesce(had.operations, '{}')
    -- One that went and came back has its triggers still, and became a part after it was given them.
    or exists (select from pg_inherits i where i.inhrelid = p.part and age(i.xmin) < had.age))
  union all
  -- Only an owner may drop a trigger. Where it stays, it does nothing.
  select c.oid, format('%I.%I', n.nspname, c.relname),
         string_agg(format('drop trigger %I on %I.%I;', ours.tgname, n.nspname, c.relname), ' '), false
  from ours join pg_class c on c.oid = ours.tgrelid join pg_namespace n on n.oid = c.relnamespace
  where starts_with(ours.tgname, 'rowcast_part_') and c.oid not in (select part from parts) and pg_has_role(c.relowner, 'usage')
  group by c.oid, n.nspname, c.relname
$_$;


ALTER FUNCTION rowcast.unfollowed(definition rowcast.attached, relation oid) OWNER TO postgres;

--
-- Name: unusual(text, json, jsonb, text, text[]); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.unusual(room text, data json, origin jsonb, source text, key_columns text[]) RETURNS json
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
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


ALTER FUNCTION rowcast.unusual(room text, data json, origin jsonb, source text, key_columns text[]) OWNER TO postgres;

--
-- Name: wake(); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.wake() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
  -- The lock can't be had while a reader sleeps, nor for the moment in which another writer makes these same two calls.
  if pg_catalog.pg_try_advisory_lock(1919903602, 1) and pg_catalog.pg_advisory_unlock(1919903602, 1) then
    return null;
  end if;
  -- This transaction has inserted no event (the count is its own, kept unless track_counts is off): wake nobody.
  if pg_catalog.pg_stat_get_xact_tuples_inserted(tg_relid) operator(pg_catalog.=) 0
     and pg_catalog.current_setting('track_counts')::pg_catalog.bool then
    return null;
  end if;
  -- The second try saves a needless NOTIFY where it was another writer.
  if pg_catalog.pg_try_advisory_lock(1919903602, 1) and pg_catalog.pg_advisory_unlock(1919903602, 1) then
    return null;
  end if;
  declare
    has_room boolean := true;
  begin
    begin
      has_room := pg_catalog.pg_notification_queue_usage() operator(pg_catalog.<) '0.5'::pg_catalog.float8;
    exception when others then
      null; -- Somebody has revoked the function: then nobody knows.
    end;
    if has_room then
      perform pg_catalog.pg_notify('rowcast', '');
    end if;
  exception when others then
    null; -- The poll delivers.
  end;
  return null;
end $$;


ALTER FUNCTION rowcast.wake() OWNER TO postgres;

--
-- Name: whatsapp_error(jsonb); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.whatsapp_error(item jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  select nullif(concat_ws(': ', coalesce(error ->> 'title', error ->> 'message', error ->> 'code'),
                          nullif(error #>> '{error_data,details}', error ->> 'title')), '')
  from (select jsonb_path_query_first(item, '$.errors[0]') as error) first
$_$;


ALTER FUNCTION rowcast.whatsapp_error(item jsonb) OWNER TO postgres;

--
-- Name: whatsapp_items(text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.whatsapp_items(request text) RETURNS SETOF rowcast.whatsapp_item
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET jit TO 'off'
    AS $_$
#variable_conflict use_column
declare
  whole jsonb;
begin
  -- jsonb refuses these two. A backslash before them may itself be a character that is escaped.
  if request ~* '\\u(0000|d[89a-f])' then
    request := regexp_replace(request, '(?<!\\)((?:\\\\)*)\\u0000', '\1\\ufffd', 'g');
    request := regexp_replace(request, '(?<!\\)((?:\\\\)*)\\ud[89ab][0-9a-f]{2}(?!\\ud[c-f][0-9a-f]{2})', '\1\\ufffd', 'gi');
    request := regexp_replace(request, '(?<!\\ud[89ab][0-9a-f]{2})(?<!\\)((?:\\\\)*)\\ud[c-f][0-9a-f]{2}', '\1\\ufffd', 'gi');
  end if;
  whole := request::jsonb;
  return query
  with entry as (
    select entry, e from jsonb_path_query(whole, '$.entry[*]') with ordinality as t (entry, e)
  ), change as (
    select change, change -> 'value' as value, e, c
    from entry cross join jsonb_path_query(entry, '$.changes[*]') with ordinality as t (change, c)
  ), part as (
    select e, c, p, i, value, member, item
    from change
    cross join (values (1, 'messages'), (2, 'message_echoes'), (3, 'statuses'), (4, 'errors')) as members (p, member)
    cross join jsonb_path_query(value -> member, '$[*]') with ordinality as t (item, i)
    where jsonb_typeof(value -> member) <> 'null'
    -- What has no part that we know is one part.
    union all
    select e, c, 0, 0, value, format('field %s', coalesce(change -> 'field', 'null')), change from change
    where (value ?| array['messages', 'message_echoes', 'statuses', 'errors']) is not true
    union all
    select e, 0, 0, 0, null, 'entry', entry from entry where not jsonb_path_exists(entry, '$.changes[*]')
    union all
    select 0, 0, 0, 0, null, 'body', whole where not jsonb_path_exists(whole, '$.entry[*]')
  ), told as (
    select row_number() over (order by e, c, p, i) as nr, member, value, item,
      case when member in ('messages', 'message_echoes') then 'message' when member = 'statuses' then 'status' else 'other' end as kind,
      (select nullif(id #>> '{}', '') from (select item -> 'id' as id) it where jsonb_typeof(id) in ('string', 'number')) as external_id,
      (select nullif(rowcast.contact_of(who #>> '{}'), '')
       from unnest(case member
           when 'messages' then array[item -> 'from', item -> 'from_user_id', sole -> 'wa_id', sole -> 'user_id']
           when 'message_echoes' then array[item -> 'to', item -> 'to_user_id', sole -> 'wa_id', sole -> 'user_id']
           else array[item -> 'recipient_id', item -> 'recipient_user_id'] end) with ordinality as w (who, nr)
       where jsonb_typeof(who) in ('string', 'number') and who #>> '{}' <> '' order by nr limit 1) as contact_id
    from part cross join lateral (
      -- A webhook of one person names that one beside the messages.
      select case when count(*) = 1 then jsonb_agg(known) -> 0 end as sole from jsonb_path_query(value, '$.contacts[0 to 1]') as known
    ) alone
  )
  select nr, kind, case when kind <> 'other' then external_id end, case when kind <> 'other' then contact_id end,
    case member when 'messages' then 'inbound' when 'message_echoes' then 'outbound' end,
    -- A webhook tells of few people at a time: the first hundred are looked through.
    case member when 'messages' then
      (select nullif(known #>> '{profile,name}', '') from jsonb_path_query(value, '$.contacts[0 to 99]') as known
       where rowcast.contact_of(known ->> 'wa_id') = contact_id or known ->> 'user_id' in (contact_id, item ->> 'from_user_id') limit 1) end,
    case kind when 'message' then rowcast.whatsapp_text(item) end,
    case kind when 'status' then item ->> 'status' end,
    case kind when 'status' then rowcast.whatsapp_error(item) end,
    rowcast.whatsapp_time(item -> 'timestamp'),
    case
      when member = 'errors' then 'WhatsApp reports: ' || coalesce(item ->> 'title', item ->> 'message', item::text)
      when kind = 'other' then format('neither a message nor a status: %s', member)
      when jsonb_typeof(item) <> 'object' then format('%s is no object', kind)
      when external_id is null then format('a %s without an id', kind)
      when octet_length(external_id) > 2000 then 'its id has more than 2,000 bytes'
      when kind = 'message' and contact_id is null then 'it says neither who sent it nor to whom'
      when kind = 'message' and octet_length(contact_id) > 500 then 'the id of its contact has more than 500 bytes'
      when kind = 'status' and (item ->> 'status' in ('sent', 'delivered', 'read', 'failed')) is not true then
        format('unknown status %s', coalesce(item -> 'status', 'null'))
    end,
    item
  from told order by nr;
end $_$;


ALTER FUNCTION rowcast.whatsapp_items(request text) OWNER TO postgres;

--
-- Name: whatsapp_text(jsonb); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.whatsapp_text(item jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  select coalesce(
    case type
      when 'location' then
        coalesce(nullif(concat_ws(', ', nullif(content ->> 'name', ''), nullif(content ->> 'address', '')), ''),
                 nullif(concat_ws(', ', content ->> 'latitude', content ->> 'longitude'), ''))
      when 'contacts' then
        (select string_agg(named, ', ' order by nr)
         from jsonb_path_query(content, '$[*]') with ordinality as c (contact, nr),
              coalesce(contact #>> '{name,formatted_name}', contact #>> '{phones,0,phone}') as named)
    end,
    (select found #>> '{}' from unnest(array[
        content -> 'body', content -> 'caption', content -> 'text', content -> 'emoji', content #> '{button_reply,title}',
        content #> '{list_reply,title}', content #> '{nfm_reply,body}', content -> 'title', content -> 'filename', content -> 'name'
      ]) with ordinality as f (found, nr)
      where jsonb_typeof(found) = 'string' and found #>> '{}' ~ '\S' order by nr limit 1),
    '[' || type || ']')
  from (select type, item -> type as content
        from coalesce(left(nullif(item ->> 'type', ''), 60), 'unknown') as type) of_type
$_$;


ALTER FUNCTION rowcast.whatsapp_text(item jsonb) OWNER TO postgres;

--
-- Name: whatsapp_time(jsonb); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.whatsapp_time(seconds jsonb) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
  select case when seconds #>> '{}' ~ '^[0-9]{1,13}([.][0-9]{1,9})?$'
    then to_timestamp(((seconds #>> '{}')::numeric / case when (seconds #>> '{}')::numeric >= 100000000000 then 1000 else 1 end)::float8) end
$_$;


ALTER FUNCTION rowcast.whatsapp_time(seconds jsonb) OWNER TO postgres;

--
-- Name: wire_name(rowcast.attached, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.wire_name(definition rowcast.attached, name text) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
  select case definition.key_case when 'camel' then rowcast.camel(name) else name end
$$;


ALTER FUNCTION rowcast.wire_name(definition rowcast.attached, name text) OWNER TO postgres;

--
-- Name: write_confined(text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.write_confined(runs_as text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
end $_$;


ALTER FUNCTION rowcast.write_confined(runs_as text) OWNER TO postgres;

--
-- Name: zoned(text, text); Type: FUNCTION; Schema: rowcast; Owner: postgres
--

CREATE FUNCTION rowcast.zoned(value text, zone text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "DateStyle" TO 'ISO, MDY'
    SET "TimeZone" TO 'UTC'
    AS $_$
begin
  if value ~ '^[0-9]{4,}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?( BC)?$' then
    return replace(to_jsonb(value::timestamp at time zone zone) #>> '{}', '+00:00', 'Z');
  end if;
  return value;
exception when others then
  return value;
end $_$;


ALTER FUNCTION rowcast.zoned(value text, zone text) OWNER TO postgres;

--
-- Name: chats; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.chats (
    id bigint NOT NULL,
    jid text NOT NULL
);


ALTER TABLE public.chats OWNER TO postgres;

--
-- Name: conversations; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.conversations (
    contact_id text NOT NULL,
    last_message jsonb,
    last_message_at timestamp with time zone,
    unread integer,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
)
WITH (fillfactor='80', autovacuum_vacuum_threshold='1000', autovacuum_vacuum_scale_factor='0.05');


ALTER TABLE public.conversations OWNER TO postgres;

--
-- Name: letters; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.letters (
    id bigint NOT NULL,
    chat text NOT NULL,
    body text,
    sent timestamp with time zone NOT NULL
)
PARTITION BY RANGE (sent);


ALTER TABLE public.letters OWNER TO postgres;

--
-- Name: letters_2026_01; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.letters_2026_01 (
    id bigint NOT NULL,
    chat text NOT NULL,
    body text,
    sent timestamp with time zone NOT NULL
);


ALTER TABLE public.letters_2026_01 OWNER TO postgres;

--
-- Name: message_statuses; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.message_statuses (
    id bigint NOT NULL,
    message_id uuid NOT NULL,
    status text NOT NULL,
    error text,
    occurred_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT message_statuses_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'sent'::text, 'delivered'::text, 'read'::text, 'failed'::text])))
);


ALTER TABLE public.message_statuses OWNER TO postgres;

--
-- Name: message_statuses_id_seq; Type: SEQUENCE; Schema: public; Owner: postgres
--

ALTER TABLE public.message_statuses ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.message_statuses_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: messages; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.messages (
    id uuid DEFAULT ((OVERLAY(OVERLAY(lpad(to_hex(((EXTRACT(epoch FROM clock_timestamp()) * (1000000)::numeric))::bigint), 15, '0'::text) PLACING '-8'::text FROM 13 FOR 0) PLACING '-'::text FROM 9 FOR 0) || substr((gen_random_uuid())::text, 19)))::uuid NOT NULL,
    contact_id text NOT NULL,
    direction text DEFAULT 'inbound'::text NOT NULL,
    author text,
    body text NOT NULL,
    status text DEFAULT 'sent'::text NOT NULL,
    external_id text,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT messages_direction_check CHECK ((direction = ANY (ARRAY['inbound'::text, 'outbound'::text]))),
    CONSTRAINT messages_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'sent'::text, 'delivered'::text, 'read'::text, 'failed'::text])))
);


ALTER TABLE public.messages OWNER TO postgres;

--
-- Name: notes; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.notes (
    id bigint NOT NULL,
    chat_id bigint NOT NULL,
    body text
);


ALTER TABLE public.notes OWNER TO postgres;

--
-- Name: wa; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.wa (
    wa_id bigint NOT NULL,
    chat text NOT NULL,
    ack integer DEFAULT 0 NOT NULL,
    body text,
    sent timestamp without time zone DEFAULT now() NOT NULL
);


ALTER TABLE public.wa OWNER TO postgres;

--
-- Name: webhook_leftovers; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.webhook_leftovers (
    id bigint NOT NULL,
    kind text NOT NULL,
    external_id text,
    reason text NOT NULL,
    item jsonb NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT webhook_leftovers_kind_check CHECK ((kind = ANY (ARRAY['message'::text, 'status'::text, 'other'::text])))
);


ALTER TABLE public.webhook_leftovers OWNER TO postgres;

--
-- Name: webhook_leftovers_id_seq; Type: SEQUENCE; Schema: public; Owner: postgres
--

ALTER TABLE public.webhook_leftovers ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.webhook_leftovers_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: chat_migrations; Type: TABLE; Schema: rowcast; Owner: postgres
--

CREATE TABLE rowcast.chat_migrations (
    version bigint NOT NULL,
    description text NOT NULL,
    installed_on timestamp with time zone DEFAULT now() NOT NULL,
    success boolean NOT NULL,
    checksum bytea NOT NULL,
    execution_time bigint NOT NULL
);


ALTER TABLE rowcast.chat_migrations OWNER TO postgres;

--
-- Name: epoch; Type: TABLE; Schema: rowcast; Owner: postgres
--

CREATE TABLE rowcast.epoch (
    only_row boolean DEFAULT true NOT NULL,
    value bigint NOT NULL,
    system_identifier bigint,
    timeline integer,
    database oid,
    recovered bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    pruned pg_snapshot,
    relation oid,
    removed pg_snapshot,
    CONSTRAINT epoch_only_row_check CHECK (only_row)
);


ALTER TABLE rowcast.epoch OWNER TO postgres;

--
-- Name: TABLE epoch; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON TABLE rowcast.epoch IS 'one row: the life of this database that offsets belong to';


--
-- Name: COLUMN epoch.value; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.epoch.value IS 'a random number that each offset carries; a server that finds another cluster, timeline or database than this row''s draws a new one';


--
-- Name: COLUMN epoch.system_identifier; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.epoch.system_identifier IS 'the cluster: a dump that is restored elsewhere has another';


--
-- Name: COLUMN epoch.timeline; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.epoch.timeline IS 'of the cluster: a standby that takes over begins a new one';


--
-- Name: COLUMN epoch.database; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.epoch.database IS 'within the cluster: a copy of this database has another';


--
-- Name: COLUMN epoch.recovered; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.epoch.recovered IS 'for each crash that a server found out about, the next transaction id after it';


--
-- Name: COLUMN epoch.pruned; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.epoch.pruned IS 'every event that was ever removed is visible in this snapshot: who has not seen all of it may have missed one';


--
-- Name: COLUMN epoch.relation; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.epoch.relation IS 'the number of this table: a dump that is restored makes another table, also where cluster and database are the same';


--
-- Name: COLUMN epoch.removed; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.epoch.removed IS 'what pruned is for the server, this is for everybody else who removed events';


--
-- Name: events; Type: TABLE; Schema: rowcast; Owner: postgres
--

CREATE TABLE rowcast.events (
    id bigint NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    room text,
    event text NOT NULL,
    data json NOT NULL,
    source text,
    sync boolean DEFAULT (current_setting('synchronous_commit'::text) <> 'off'::text) NOT NULL,
    traceparent text DEFAULT NULLIF("left"(current_setting('rowcast.traceparent'::text, true), 55), ''::text)
)
WITH (autovacuum_vacuum_threshold='20000', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_insert_threshold='20000', autovacuum_vacuum_insert_scale_factor='0');


ALTER TABLE rowcast.events OWNER TO postgres;

--
-- Name: TABLE events; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON TABLE rowcast.events IS 'the outbox: one row per event, removed when ROWCAST_RETENTION has passed';


--
-- Name: COLUMN events.xid; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.events.xid IS 'the transaction that wrote the event; a reader compares it with the snapshot of its last read';


--
-- Name: COLUMN events.room; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.events.room IS 'null: the room could not be computed, and data says why';


--
-- Name: COLUMN events.data; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.events.data IS 'the payload, as clients get it';


--
-- Name: COLUMN events.source; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.events.source IS 'the attached table whose change this is; null when rowcast.emit wrote it';


--
-- Name: COLUMN events.sync; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.events.sync IS 'whether the event was on disk when it became visible; if not, a crash of Postgres can undo it after it was delivered';


--
-- Name: COLUMN events.traceparent; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.events.traceparent IS 'of the trace that wrote the event, where its transaction said one: set_config(''rowcast.traceparent'', ..., true)';


--
-- Name: events_id_seq; Type: SEQUENCE; Schema: rowcast; Owner: postgres
--

ALTER TABLE rowcast.events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME rowcast.events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: inbox_due; Type: TABLE; Schema: rowcast; Owner: postgres
--

CREATE TABLE rowcast.inbox_due (
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    contact_id text NOT NULL,
    unread integer NOT NULL
)
WITH (autovacuum_vacuum_threshold='5000', autovacuum_vacuum_scale_factor='0');


ALTER TABLE rowcast.inbox_due OWNER TO postgres;

--
-- Name: inbox_uncounted; Type: TABLE; Schema: rowcast; Owner: postgres
--

CREATE TABLE rowcast.inbox_uncounted (
    contact_id text
);


ALTER TABLE rowcast.inbox_uncounted OWNER TO postgres;

--
-- Name: migrations; Type: TABLE; Schema: rowcast; Owner: postgres
--

CREATE TABLE rowcast.migrations (
    version bigint NOT NULL,
    description text NOT NULL,
    installed_on timestamp with time zone DEFAULT now() NOT NULL,
    success boolean NOT NULL,
    checksum bytea NOT NULL,
    execution_time bigint NOT NULL
);


ALTER TABLE rowcast.migrations OWNER TO postgres;

--
-- Name: presence_of_servers; Type: TABLE; Schema: rowcast; Owner: postgres
--

CREATE UNLOGGED TABLE rowcast.presence_of_servers (
    server bigint NOT NULL,
    id bigint NOT NULL,
    room text NOT NULL,
    subject text NOT NULL,
    connections integer NOT NULL,
    since timestamp with time zone NOT NULL,
    version bigint NOT NULL
);


ALTER TABLE rowcast.presence_of_servers OWNER TO postgres;

--
-- Name: TABLE presence_of_servers; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON TABLE rowcast.presence_of_servers IS 'what each server has: a row per room and subject while a connection is there; those of servers that have ended are no presence';


--
-- Name: COLUMN presence_of_servers.id; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.presence_of_servers.id IS 'the server''s own number of the row, never used again';


--
-- Name: COLUMN presence_of_servers.subject; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.presence_of_servers.subject IS 'the claim sub; without tokens one that stands for the client''s session';


--
-- Name: presence_servers; Type: TABLE; Schema: rowcast; Owner: postgres
--

CREATE UNLOGGED TABLE rowcast.presence_servers (
    server bigint NOT NULL,
    pid integer,
    alive_until timestamp with time zone,
    version bigint DEFAULT 0 NOT NULL,
    complete_from bigint DEFAULT 0 NOT NULL
);


ALTER TABLE rowcast.presence_servers OWNER TO postgres;

--
-- Name: TABLE presence_servers; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON TABLE rowcast.presence_servers IS 'the servers that write presence: one row per connection of theirs';


--
-- Name: COLUMN presence_servers.server; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.presence_servers.server IS 'drawn anew for each connection; the key of the advisory lock that it holds';


--
-- Name: COLUMN presence_servers.pid; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.presence_servers.pid IS 'the backend that holds the lock; null behind a pooler';


--
-- Name: COLUMN presence_servers.alive_until; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.presence_servers.alive_until IS 'behind a pooler, until when it lives without another sign; else null';


--
-- Name: COLUMN presence_servers.version; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.presence_servers.version IS 'counts its writes: rows and departures carry that of the write that made them';


--
-- Name: COLUMN presence_servers.complete_from; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.presence_servers.complete_from IS 'departures up to this version have been forgotten';


--
-- Name: presence; Type: VIEW; Schema: rowcast; Owner: postgres
--

CREATE VIEW rowcast.presence AS
 WITH living AS MATERIALIZED (
         SELECT s.server
           FROM rowcast.presence_servers s
          WHERE ((s.alive_until > clock_timestamp()) OR ((s.alive_until IS NULL) AND (NOT (pg_try_advisory_lock_shared(s.server) AND pg_advisory_unlock_shared(s.server)))))
        )
 SELECT p.room,
    p.subject,
    sum(p.connections) AS connections,
    min(p.since) AS since
   FROM rowcast.presence_of_servers p
  WHERE (p.server IN ( SELECT l.server
           FROM living l))
  GROUP BY p.room, p.subject;


ALTER TABLE rowcast.presence OWNER TO postgres;

--
-- Name: VIEW presence; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON VIEW rowcast.presence IS 'who is in which room, on all servers, while ROWCAST_PRESENCE is on';


--
-- Name: COLUMN presence.connections; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.presence.connections IS 'how many connections of the subject are in the room';


--
-- Name: COLUMN presence.since; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.presence.since IS 'when the first of them came, by the clock of its server';


--
-- Name: presence_departures; Type: TABLE; Schema: rowcast; Owner: postgres
--

CREATE UNLOGGED TABLE rowcast.presence_departures (
    server bigint NOT NULL,
    version bigint NOT NULL,
    id bigint NOT NULL
);


ALTER TABLE rowcast.presence_departures OWNER TO postgres;

--
-- Name: TABLE presence_departures; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON TABLE rowcast.presence_departures IS 'rows that a server has removed lately, so that others need not read all of its rows again';


--
-- Name: revocations; Type: TABLE; Schema: rowcast; Owner: postgres
--

CREATE TABLE rowcast.revocations (
    subject text NOT NULL,
    issuer text,
    room text,
    revoked_at timestamp with time zone NOT NULL,
    reason text,
    CONSTRAINT revocations_issuer_check CHECK (((octet_length(issuer) >= 1) AND (octet_length(issuer) <= 500))),
    CONSTRAINT revocations_reason_check CHECK ((octet_length(reason) <= 500)),
    CONSTRAINT revocations_room_check CHECK (((octet_length(room) >= 1) AND (octet_length(room) <= 600))),
    CONSTRAINT revocations_subject_check CHECK (((octet_length(subject) >= 1) AND (octet_length(subject) <= 1000)))
);


ALTER TABLE rowcast.revocations OWNER TO postgres;

--
-- Name: TABLE revocations; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON TABLE rowcast.revocations IS 'whose tokens are refused: those of the subject that were issued up to revoked_at; removed when ROWCAST_MAX_TOKEN_AGE has passed';


--
-- Name: COLUMN revocations.subject; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.revocations.subject IS 'the claim sub';


--
-- Name: COLUMN revocations.issuer; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.revocations.issuer IS 'the claim iss; null: whoever issued the token';


--
-- Name: COLUMN revocations.room; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.revocations.room IS 'null: every room, and the connection itself';


--
-- Name: COLUMN revocations.revoked_at; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.revocations.revoked_at IS 'by the clock of the database, when rowcast.revoke was called';


--
-- Name: COLUMN revocations.reason; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.revocations.reason IS 'what a client is told that has to leave the room';


--
-- Name: secret; Type: MATERIALIZED VIEW; Schema: rowcast; Owner: postgres
--

CREATE MATERIALIZED VIEW rowcast.secret AS
 WITH drawn AS MATERIALIZED (
         SELECT sha256(((uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) || uuid_send(gen_random_uuid()))) AS key
        )
 SELECT drawn.key,
    (( SELECT decode(string_agg(lpad(to_hex((get_byte(drawn.key, i.i) # 54)), 2, '0'::text), ''::text ORDER BY i.i), 'hex'::text) AS decode
           FROM generate_series(0, 31) i(i)) || decode(repeat('36'::text, 32), 'hex'::text)) AS inner_pad,
    (( SELECT decode(string_agg(lpad(to_hex((get_byte(drawn.key, i.i) # 92)), 2, '0'::text), ''::text ORDER BY i.i), 'hex'::text) AS decode
           FROM generate_series(0, 31) i(i)) || decode(repeat('5c'::text, 32), 'hex'::text)) AS outer_pad
   FROM drawn
  WITH NO DATA;


ALTER TABLE rowcast.secret OWNER TO postgres;

--
-- Name: MATERIALIZED VIEW secret; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON MATERIALIZED VIEW rowcast.secret IS 'for servers alone; refreshed, it is another one, and clients load everything again';


--
-- Name: sessions; Type: TABLE; Schema: rowcast; Owner: postgres
--

CREATE TABLE rowcast.sessions (
    pid_hash bytea NOT NULL,
    identity text NOT NULL,
    owner bigint NOT NULL,
    rooms jsonb DEFAULT '{}'::jsonb NOT NULL,
    last_sent_offset text NOT NULL,
    complete_to_offset text NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    counted_for bytea
);


ALTER TABLE rowcast.sessions OWNER TO postgres;

--
-- Name: TABLE sessions; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON TABLE rowcast.sessions IS 'resume sessions: one row per connection, kept as long as events are';


--
-- Name: COLUMN sessions.pid_hash; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.sessions.pid_hash IS 'the hash of the secret that the client shows when it comes back';


--
-- Name: COLUMN sessions.identity; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.sessions.identity IS 'who may resume it';


--
-- Name: COLUMN sessions.owner; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.sessions.owner IS 'the connection that the session belongs to; a client that comes back takes it over, and writes of the earlier one are ignored';


--
-- Name: COLUMN sessions.rooms; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.sessions.rooms IS 'by room, the offset that the client joined with and the one that it joined at';


--
-- Name: COLUMN sessions.last_sent_offset; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.sessions.last_sent_offset IS 'the offset of the last event that the client was sent';


--
-- Name: COLUMN sessions.complete_to_offset; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.sessions.complete_to_offset IS 'a client that got the event of last_sent_offset has missed nothing up to here, even if its rooms were quiet for longer than events are kept';


--
-- Name: COLUMN sessions.ended_at; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.sessions.ended_at IS 'when the connection ended, or was resumed last; null while the client is connected and has joined or left a room since';


--
-- Name: COLUMN sessions.counted_for; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.sessions.counted_for IS 'a hash of the identity, or for a client without a token of its address';


--
-- Name: sources; Type: VIEW; Schema: rowcast; Owner: postgres
--

CREATE VIEW rowcast.sources AS
 WITH RECURSIVE triggers AS MATERIALIZED (
         SELECT (p.proname)::text AS function,
            p.proowner,
            (p.xmin)::text AS version,
            p.prosecdef,
            p.prosrc,
            t.tgrelid,
            t.tgname,
            t.tgenabled,
            t.tgtype,
            ((t.tgqual IS NOT NULL) OR ((t.tgattr)::text <> ''::text)) AS narrowed,
            ((t.tgparentid <> (0)::oid) OR starts_with((t.tgname)::text, 'rowcast_part_'::text) OR (EXISTS ( SELECT
                   FROM (pg_class its
                     JOIN pg_namespace n_1 ON ((n_1.oid = its.relnamespace)))
                  WHERE ((its.oid = t.tgrelid) AND (n_1.nspname = '_timescaledb_internal'::name))))) AS of_part
           FROM (pg_proc p
             JOIN pg_trigger t ON (((t.tgfoid = p.oid) AND (NOT t.tgisinternal))))
          WHERE ((p.pronamespace = ('rowcast'::regnamespace)::oid) AND (p.proname >= 'capture_'::name) AND (p.proname < 'capture`'::name))
        ), tables AS NOT MATERIALIZED (
         SELECT c_1.oid,
            format('%I.%I'::text, n_1.nspname, c_1.relname) AS name
           FROM (pg_class c_1
             JOIN pg_namespace n_1 ON ((n_1.oid = c_1.relnamespace)))
        ), owners AS MATERIALIZED (
         SELECT owner.oid,
            has_schema_privilege(owner.oid, 'rowcast'::text, 'usage'::text) AS may_use,
            has_table_privilege(owner.oid, 'rowcast.events'::text, 'insert'::text) AS may_insert
           FROM ( SELECT DISTINCT triggers.proowner AS oid
                   FROM triggers) owner
        ), operations(operation, type_bit) AS (
         VALUES ('insert'::text,4), ('delete'::text,8), ('update'::text,16)
        ), late AS MATERIALIZED (
         SELECT DISTINCT ON (last.source) last.source,
            last.at,
            (last.data ->> 'reason'::text) AS reason
           FROM ( SELECT events.source,
                    events.at,
                    events.data
                   FROM rowcast.events
                  WHERE (events.room IS NULL)
                  ORDER BY events.room DESC, events.xid DESC, events.id DESC
                 LIMIT 200) last
          WHERE (last.at > (now() - '00:10:00'::interval))
          ORDER BY last.source, last.at DESC
        ), found AS (
         SELECT a_1.source,
                CASE
                    WHEN (named.relation = ANY (carrier.relations)) THEN named.relation
                    ELSE carrier.relations[1]
                END AS carrier,
            named.relation AS named,
            carrier.operations,
            carrier.fires,
            carrier.amiss
           FROM ((rowcast.attached a_1
             LEFT JOIN ( SELECT b.source,
                    array_agg(DISTINCT t.tgrelid) AS relations,
                    array_agg(DISTINCT o.operation) AS operations,
                    bool_or((t.tgenabled = 'O'::"char")) AS fires,
                    ((count(*) > count(DISTINCT o.operation)) OR bool_or(((t.tgenabled = ANY (ARRAY['D'::"char", 'R'::"char"])) OR (b.always AND (t.tgenabled <> 'A'::"char")) OR t.narrowed OR (((t.tgtype)::integer & o.type_bit) = 0) OR ((((t.tgtype)::integer & 1) = 1) <> COALESCE(b.by_row, false)) OR (t.version IS DISTINCT FROM (((b.made -> 'code'::text) -> o.operation) ->> 0))))) AS amiss
                   FROM ((rowcast.attached b
                     CROSS JOIN operations o)
                     JOIN triggers t ON (((t.function = ((('capture_'::text || b.capture) || '_'::text) || o.operation)) AND (NOT t.of_part))))
                  GROUP BY b.source) carrier ON ((carrier.source = a_1.source)))
             LEFT JOIN LATERAL ( SELECT c_1.oid AS relation
                   FROM (pg_class c_1
                     JOIN pg_namespace n_1 ON ((n_1.oid = c_1.relnamespace)))
                  WHERE ((c_1.relname = (parse_ident(a_1.source))[2]) AND (n_1.nspname = (parse_ident(a_1.source))[1]))) named ON (true))
        ), parts(source, relation) AS (
         SELECT f_1.source,
            i.inhrelid
           FROM (found f_1
             JOIN pg_inherits i ON (((i.inhparent = f_1.carrier) AND (NOT i.inhdetachpending))))
        UNION
         SELECT p.source,
            i.inhrelid
           FROM (parts p
             JOIN pg_inherits i ON (((i.inhparent = p.relation) AND (NOT i.inhdetachpending))))
        ), parted AS MATERIALIZED (
         SELECT p.source,
            p.relation,
            its.relkind,
            its.relispartition,
            its.reltuples,
            format('%I.%I'::text, n_1.nspname, its.relname) AS name
           FROM ((parts p
             JOIN pg_class its ON ((its.oid = p.relation)))
             JOIN pg_namespace n_1 ON ((n_1.oid = its.relnamespace)))
          WHERE (n_1.nspname <> '_timescaledb_internal'::name)
        )
 SELECT a.source,
    a.room,
    a.order_column,
    ARRAY( SELECT concat((x.e ->> 'on'::text), (' of '::text || ( SELECT string_agg(c_1.value, ', '::text) AS string_agg
                   FROM jsonb_array_elements_text((x.e -> 'columns'::text)) c_1(value))), ': ', (x.e ->> 'event'::text)) AS concat
           FROM jsonb_array_elements(a.events) WITH ORDINALITY x(e, place)
          ORDER BY x.place) AS events,
    a.condition,
    ARRAY( SELECT (problems.problem COLLATE "default") AS problem
           FROM ( SELECT 1 AS place,
                    format('the table is gone: make it and attach it, or select rowcast.detach(%L)'::text, a.source) AS problem
                  WHERE ((f.carrier IS NULL) AND (f.named IS NULL))
                UNION ALL
                 SELECT 1,
                    format('%s is %s, which can''t be attached: select rowcast.detach(%L), and attach a table'::text, a.source,
                        CASE c.relkind
                            WHEN 'v'::"char" THEN 'a view'::text
                            WHEN 'm'::"char" THEN 'a materialized view'::text
                            WHEN 'f'::"char" THEN 'a foreign table'::text
                            ELSE 'not a table'::text
                        END, a.source) AS format
                  WHERE ((f.carrier IS NULL) AND (c.relkind <> ALL (ARRAY['r'::"char", 'p'::"char"])))
                UNION ALL
                 SELECT 1,
                    'the table was made anew, or has lost its triggers: attach it again'::text
                  WHERE ((f.carrier IS NULL) AND (c.relkind = ANY (ARRAY['r'::"char", 'p'::"char"])))
                UNION ALL
                 SELECT 2,
                        CASE
                            WHEN (EXISTS ( SELECT
                               FROM pg_class other
                              WHERE ((other.oid = f.named) AND (other.relkind = ANY (ARRAY['r'::"char", 'p'::"char", 'f'::"char", 'm'::"char"]))))) THEN format('renamed to %s, and rows of the table that is called %s now are not sent: select rowcast.detach(%2$L), and attach it'::text, here.name, a.source)
                            ELSE format('renamed to %s: attach it again'::text, here.name)
                        END AS format
                  WHERE ((f.carrier IS DISTINCT FROM f.named) AND (f.carrier IS NOT NULL))
                UNION ALL
                 SELECT 2,
                    format('the table became a partition, and rows that are written through %s are not sent: attach that one, which takes it over'::text, parent.name) AS format
                   FROM (pg_inherits i
                     JOIN tables parent ON ((parent.oid = i.inhparent)))
                  WHERE ((i.inhrelid = c.oid) AND c.relispartition AND (f.carrier IS NOT NULL) AND (a.by_row IS NOT TRUE))
                UNION ALL
                 SELECT 2,
                    format('the table inherits from %s, and rows that are written through that one are not sent: attach it, which takes this one over'::text, parent.name) AS format
                   FROM (pg_inherits i
                     JOIN tables parent ON ((parent.oid = i.inhparent)))
                  WHERE ((c.oid = i.inhrelid) AND (c.relkind = 'r'::"char") AND (NOT c.relispartition) AND (f.carrier IS NOT NULL) AND (a.by_row IS NOT TRUE))
                UNION ALL
                 SELECT 2,
                    format('%s inherits from it since it was attached, and its rows are not sent as they should be: attach it again'::text, p.name) AS format
                   FROM parted p
                  WHERE ((p.source = a.source) AND (c.relkind = 'r'::"char") AND (a.tree IS NOT TRUE))
                UNION ALL
                 SELECT 2,
                        CASE
                            WHEN (p.relkind <> ALL (ARRAY['r'::"char", 'p'::"char"])) THEN format('its part %s is a foreign table, whose rows no trigger of a statement can tell: alter table %s detach partition %1$s'::text, p.name, here.name)
                            WHEN (NOT has_table_privilege(n_1.nspowner, p.relation, 'trigger'::text)) THEN format('rows that are written to its part %s by that name are not sent: grant trigger on %1$s to %I'::text, p.name, pg_get_userbyid(n_1.nspowner))
                            ELSE format('rows that are written to its part %s by that name are not sent: select rowcast.follow_tables()'::text, p.name)
                        END AS format
                   FROM (parted p
                     JOIN pg_namespace n_1 ON ((n_1.nspname = 'rowcast'::name)))
                  WHERE ((p.source = a.source) AND a.tree AND
                        CASE
                            WHEN (p.relkind = ANY (ARRAY['r'::"char", 'p'::"char"])) THEN (EXISTS ( SELECT
                               FROM unnest((f.operations || '{truncate}'::text[])) needed(operation)
                              WHERE (((needed.operation = 'truncate'::text) OR (NOT (p.relispartition AND (a.by_row IS TRUE)))) AND (NOT (EXISTS ( SELECT
                                       FROM triggers t
                                      WHERE ((t.tgrelid = p.relation) AND t.of_part AND (t.function = ((('capture_'::text || a.capture) || '_'::text) || needed.operation)))))))))
                            ELSE (a.by_row IS NOT TRUE)
                        END)
                UNION ALL
                 SELECT 3,
                        CASE t.tgenabled
                            WHEN 'D'::"char" THEN format('the trigger %I is disabled: alter table %s enable trigger %1$I'::text, t.tgname, p.name)
                            WHEN 'R'::"char" THEN format('the trigger %I fires for a replica only: alter table %s enable trigger %1$I'::text, t.tgname, p.name)
                            ELSE format('the trigger %I does not fire always: alter table %s enable always trigger %1$I'::text, t.tgname, p.name)
                        END AS format
                   FROM (parted p
                     JOIN triggers t ON (((t.tgrelid = p.relation) AND t.of_part)))
                  WHERE ((p.source = a.source) AND (t.function ~~ (('capture\_'::text || replace(a.capture, '_'::text, '\_'::text)) || '\_%'::text)) AND ((t.tgenabled = ANY (ARRAY['D'::"char", 'R'::"char"])) OR (a.always AND (t.tgenabled <> 'A'::"char"))))
                UNION ALL
                 SELECT 3,
                    format('the trigger rowcast_%s is missing: attach it again'::text, o.operation) AS format
                   FROM operations o
                  WHERE ((f.carrier IS NOT NULL) AND (o.operation <> ALL (f.operations)) AND ((a.events @> jsonb_build_array(jsonb_build_object('on', o.operation))) OR ((o.operation = 'update'::text) AND ((concat(a.room, a.rooms) ~ '\{'::text) OR (a.condition IS NOT NULL) OR (a.rooms @? '$[*]."condition"'::jsonpath)))))
                UNION ALL
                 SELECT 3,
                        CASE t.tgenabled
                            WHEN 'D'::"char" THEN format('the trigger %I is disabled: alter table %s enable trigger %1$I'::text, t.tgname, here.name)
                            WHEN 'R'::"char" THEN format('the trigger %I fires for a replica only: alter table %s enable trigger %1$I'::text, t.tgname, here.name)
                            ELSE 'a TRUNCATE of it is told to nobody: attach it again'::text
                        END AS "case"
                   FROM (( SELECT) one
                     LEFT JOIN triggers t ON (((t.tgrelid = f.carrier) AND (t.function = (('capture_'::text || a.capture) || '_truncate'::text)))))
                  WHERE ((f.carrier IS NOT NULL) AND (t.tgenabled IS DISTINCT FROM 'O'::"char") AND (t.tgenabled IS DISTINCT FROM 'A'::"char"))
                UNION ALL
                 SELECT 3,
                    unnest(ARRAY[
                        CASE
                            WHEN (t.tgrelid <> f.carrier) THEN format('the trigger %I on %s sends changes of that table as this one''s: drop trigger %1$I on %2$s'::text, t.tgname, its.name)
                            WHEN ((t.tgname <> ('rowcast_'::text || o.operation)) AND (EXISTS ( SELECT
                               FROM triggers twin
                              WHERE ((twin.function = t.function) AND (twin.tgrelid = t.tgrelid) AND (twin.tgname = ('rowcast_'::text || o.operation)))))) THEN format('the trigger %I sends each %s once more: drop trigger %1$I on %3$s'::text, t.tgname, o.operation, its.name)
                            ELSE NULL::text
                        END,
                        CASE
                            WHEN (t.narrowed OR (((t.tgtype)::integer & o.type_bit) = 0) OR ((((t.tgtype)::integer & 1) = 1) <> COALESCE(a.by_row, false))) THEN format('the trigger %s was replaced by another: attach it again'::text, t.tgname)
                            WHEN (t.tgenabled = 'D'::"char") THEN format('the trigger %I is disabled: alter table %s enable trigger %1$I'::text, t.tgname, its.name)
                            WHEN (t.tgenabled = 'R'::"char") THEN format('the trigger %I fires for a replica only: alter table %s enable trigger %1$I'::text, t.tgname, its.name)
                            WHEN (a.always AND (t.tgenabled = 'O'::"char")) THEN format('the trigger %I does not fire always: alter table %s enable always trigger %1$I'::text, t.tgname, its.name)
                            ELSE NULL::text
                        END,
                        CASE
                            WHEN ((t.version <> (made.code ->> 0)) AND (md5((t.prosecdef || t.prosrc)) <> (made.code ->> 1))) THEN format('the function rowcast.%s was replaced: attach it again'::text, t.function)
                            ELSE NULL::text
                        END]) AS unnest
                   FROM (((operations o
                     JOIN triggers t ON (((t.function = ((('capture_'::text || a.capture) || '_'::text) || o.operation)) AND (NOT t.of_part))))
                     JOIN tables its ON ((its.oid = t.tgrelid)))
                     CROSS JOIN LATERAL ( SELECT ((a.made -> 'code'::text) -> o.operation) AS code) made)
                  WHERE f.amiss
                UNION ALL
                 SELECT DISTINCT 3,
                        CASE
                            WHEN (NOT owner.may_use) THEN format('%s, who owns its trigger functions, may not use the schema rowcast: grant usage on schema rowcast to %1$I'::text, pg_get_userbyid(owner.oid))
                            ELSE format('%s, who owns its trigger functions, may not write events: grant insert on rowcast.events to %1$I'::text, pg_get_userbyid(owner.oid))
                        END AS format
                   FROM ((owners owner
                     JOIN triggers t ON ((t.proowner = owner.oid)))
                     JOIN operations o ON ((t.function = ((('capture_'::text || a.capture) || '_'::text) || o.operation))))
                  WHERE (NOT (owner.may_use AND owner.may_insert))
                UNION ALL
                 SELECT 4,
                    format('session_replication_role is replica for %s, whose writes are not sent: alter %1$s reset session_replication_role'::text, concat_ws(' in '::text,
                        CASE
                            WHEN (s.setrole <> (0)::oid) THEN format('role %I'::text, pg_get_userbyid(s.setrole))
                            ELSE NULL::text
                        END,
                        CASE
                            WHEN (s.setdatabase <> (0)::oid) THEN format('database %I'::text, current_database())
                            ELSE NULL::text
                        END)) AS format
                   FROM pg_db_role_setting s
                  WHERE (('session_replication_role=replica'::text = ANY (s.setconfig)) AND f.fires AND (s.setdatabase = ANY (ARRAY[(0)::oid, ( SELECT pg_database.oid
                           FROM pg_database
                          WHERE (pg_database.datname = current_database()))])))
                UNION ALL
                 SELECT 4,
                    'session_replication_role is replica in the configuration of Postgres, so no write is sent: set it to origin there'::text
                  WHERE ((current_setting('session_replication_role'::text) = 'replica'::text) AND f.fires AND (( SELECT pg_settings.reset_val
                           FROM pg_settings
                          WHERE (pg_settings.name = 'session_replication_role'::text)) = 'replica'::text) AND (NOT (EXISTS ( SELECT
                           FROM pg_db_role_setting
                          WHERE ('session_replication_role=replica'::text = ANY (pg_db_role_setting.setconfig))))))
                UNION ALL
                 SELECT 4,
                    format('the subscription %s writes it, and rows that it applies are not sent: attach the table where it is published, or attach it again with capture => ''row'' and always => true'::text, s.subname) AS format
                   FROM (pg_subscription_rel r
                     JOIN pg_subscription s ON ((s.oid = r.srsubid)))
                  WHERE (((r.srrelid = c.oid) OR (r.srrelid IN ( SELECT p.relation
                           FROM parted p
                          WHERE (p.source = a.source)))) AND (NOT ((a.by_row IS TRUE) AND (a.always IS TRUE))))
                UNION ALL
                 SELECT 5,
                        CASE
                            WHEN ((now.attname IS NOT NULL) AND (was.name IS NULL)) THEN format('the column %s is not sent: attach it again'::text, now.attname)
                            WHEN (now.attname IS NOT NULL) THEN format('the type of the column %s was %s and is %s: attach it again'::text, was.name,
                            CASE
                                WHEN (was.type ~ '^\d+$'::text) THEN format_type((was.type)::oid, NULL::integer)
                                ELSE was.type
                            END, format_type(now.atttypid, NULL::integer))
                            WHEN (was.name = ANY (a.room_columns)) THEN format('the column %s of the room is gone, so no row has a room: attach it again'::text, was.name)
                            WHEN (strpos(concat(a.condition, replace((a.rooms)::text, '\"'::text, '"'::text)), ('$.'::text || to_json(was.name))) > 0) THEN format('the column %s of the condition is gone, so no row meets it: attach it again'::text, was.name)
                            ELSE format('the column %s is gone: attach it again'::text, was.name)
                        END AS format
                   FROM (( SELECT name.name,
                            ((a.made -> 'types'::text) ->> name.name) AS type
                           FROM unnest(a.columns) name(name)) was
                     FULL JOIN ( SELECT (pg_attribute.attname)::text AS attname,
                            pg_attribute.atttypid,
                            pg_attribute.attgenerated,
                                CASE
                                    WHEN (pg_attribute.atttypid < (16384)::oid) THEN (pg_attribute.atttypid)::text
                                    ELSE ( SELECT (pg_type.typname)::text AS typname
                                       FROM pg_type
                                      WHERE (pg_type.oid = pg_attribute.atttypid))
                                END AS type
                           FROM pg_attribute
                          WHERE ((pg_attribute.attrelid = f.carrier) AND (pg_attribute.attnum > 0) AND (NOT pg_attribute.attisdropped))) now ON ((now.attname = was.name)))
                  WHERE ((f.carrier IS NOT NULL) AND (( SELECT jsonb_object_agg(pg_attribute.attname,
                                CASE
                                    WHEN (pg_attribute.atttypid < (16384)::oid) THEN (pg_attribute.atttypid)::text
                                    ELSE ( SELECT (pg_type.typname)::text AS typname
                                       FROM pg_type
                                      WHERE (pg_type.oid = pg_attribute.atttypid))
                                END) AS jsonb_object_agg
                           FROM pg_attribute
                          WHERE ((pg_attribute.attrelid = f.carrier) AND (pg_attribute.attnum > 0) AND (NOT pg_attribute.attisdropped) AND (pg_attribute.attgenerated <> 'v'::"char"))) IS DISTINCT FROM (a.made -> 'types'::text)) AND ((now.attname IS NULL) OR ((was.name IS NULL) AND (now.attgenerated <> 'v'::"char")) OR (now.type <> was.type)))
                UNION ALL
                 SELECT 5,
                        CASE
                            WHEN (theirs.oid IS NULL) THEN format('the table %s of the lookup "%s" is gone, renamed, or no table, so nothing is looked up: attach it again'::text, (l.value ->> 'table'::text), l.key)
                            WHEN (lost.name IS NOT NULL) THEN format('the column %s of %s of the lookup "%s" is gone%s: attach it again'::text, lost.name, theirs.name, l.key,
                            CASE
                                WHEN ((l.value -> 'key'::text) ? lost.name) THEN ', so nothing is looked up'::text
                                ELSE ''::text
                            END)
                            WHEN (other.name IS NOT NULL) THEN format('the type of the column %s of %s of the lookup "%s" was %s and is %s, so nothing is looked up: attach it again'::text, other.name, theirs.name, l.key, other.was, other.type)
                            WHEN (reader.oid IS NOT NULL) THEN format('%s, who owns its trigger functions, may not read %s of the lookup "%s": grant select on %2$s to %1$I'::text, pg_get_userbyid(reader.oid), theirs.name, l.key)
                            WHEN ((a.feeds <> '[]'::jsonb) AND (NOT (has_schema_privilege(theirs.relnamespace, 'usage'::text) AND has_table_privilege(theirs.oid, 'select'::text)))) THEN format('history may not read %s of the lookup "%s": grant usage on schema %I to %I; grant select on %1$s to %4$I'::text, theirs.name, l.key, theirs.nspname, CURRENT_USER)
                            ELSE NULL::text
                        END AS "case"
                   FROM ((((jsonb_each(a.lookups) l(key, value)
                     LEFT JOIN LATERAL ( SELECT c_1.oid,
                            c_1.relnamespace,
                            n_1.nspname,
                            format('%I.%I'::text, n_1.nspname, c_1.relname) AS name
                           FROM (pg_class c_1
                             JOIN pg_namespace n_1 ON ((n_1.oid = c_1.relnamespace)))
                          WHERE ((c_1.relkind = 'r'::"char") AND (c_1.relname = (parse_ident((l.value ->> 'table'::text)))[2]) AND (n_1.nspname = (parse_ident((l.value ->> 'table'::text)))[1]))) theirs ON (true))
                     LEFT JOIN LATERAL ( SELECT needed.name
                           FROM ( SELECT jsonb_object_keys((l.value -> 'columns'::text)) AS name
                                UNION
                                 SELECT jsonb_array_elements_text((l.value -> 'key'::text)) AS jsonb_array_elements_text) needed
                          WHERE (NOT (EXISTS ( SELECT
                                   FROM pg_attribute
                                  WHERE ((pg_attribute.attrelid = theirs.oid) AND (pg_attribute.attname = needed.name) AND (NOT pg_attribute.attisdropped)))))
                          ORDER BY needed.name
                         LIMIT 1) lost ON ((theirs.oid IS NOT NULL)))
                     LEFT JOIN LATERAL ( SELECT k.name,
                            k.was,
                            format_type(att.atttypid, NULL::integer) AS type
                           FROM ((ROWS FROM(jsonb_array_elements_text((l.value -> 'key'::text)), jsonb_array_elements_text((l.value -> 'types'::text))) k(name, was)
                             JOIN pg_attribute att ON (((att.attrelid = theirs.oid) AND (att.attname = k.name) AND (NOT att.attisdropped))))
                             JOIN pg_type ty ON ((ty.oid = att.atttypid)))
                          WHERE ((ty.typtype <> 'd'::"char") AND (format_type(att.atttypid, NULL::integer) <> k.was) AND (NOT ((k.was = 'text'::text) AND (att.atttypid = ('character varying'::regtype)::oid))) AND (NOT ((k.was = ANY (ARRAY['smallint'::text, 'integer'::text, 'bigint'::text])) AND (att.atttypid = ANY (ARRAY[('smallint'::regtype)::oid, ('integer'::regtype)::oid, ('bigint'::regtype)::oid])))))
                         LIMIT 1) other ON ((theirs.oid IS NOT NULL)))
                     LEFT JOIN LATERAL ( SELECT owner.oid
                           FROM owners owner
                          WHERE ((EXISTS ( SELECT
                                   FROM (triggers t
                                     JOIN operations o ON ((t.function = ((('capture_'::text || a.capture) || '_'::text) || o.operation))))
                                  WHERE (t.proowner = owner.oid))) AND (NOT (has_schema_privilege(owner.oid, theirs.relnamespace, 'usage'::text) AND has_table_privilege(owner.oid, theirs.oid, 'select'::text))))
                         LIMIT 1) reader ON ((theirs.oid IS NOT NULL)))
                  WHERE (f.carrier IS NOT NULL)
                UNION ALL
                 SELECT DISTINCT 6,
                    format('history of its rooms %s reads all of %s: create index on %2$s (%s)'::text, wanted.room, wanted.table_name, ( SELECT string_agg(format('%I'::text, col.col), ', '::text) AS string_agg
                           FROM unnest(wanted.columns) col(col))) AS format
                   FROM ( SELECT (feed.value ->> 'room'::text) AS room,
                            own.oid,
                            here.name AS table_name,
                            own.reltuples,
                            by_room.columns AS "leading",
                            (by_room.columns || ARRAY( SELECT s.name
                                   FROM unnest((COALESCE(a.order_columns, array_remove(ARRAY[a.order_column], NULL::text)) || a.key_columns)) WITH ORDINALITY s(name, place)
                                  WHERE (s.name <> ALL (by_room.columns))
                                  GROUP BY s.name
                                  ORDER BY (min(s.place)))) AS columns
                           FROM ((jsonb_array_elements(a.feeds) feed(value)
                             CROSS JOIN LATERAL ( SELECT c.oid,
                                    c.reltuples
                                UNION ALL
                                 SELECT p.relation,
                                    p.reltuples
                                   FROM parted p
                                  WHERE ((p.source = a.source) AND (p.relkind = 'r'::"char"))) own)
                             CROSS JOIN LATERAL ( SELECT ARRAY( SELECT ours.col
   FROM ( SELECT (p.value ->> 'column'::text) AS col
     FROM jsonb_array_elements((feed.value -> 'columns'::text)) p(value)
    WHERE ((p.value ->> 'lookup'::text) IS NULL)
  UNION
   SELECT col.value AS col
     FROM (jsonb_array_elements((feed.value -> 'columns'::text)) p(value)
       CROSS JOIN LATERAL jsonb_array_elements_text(((a.lookups -> (p.value ->> 'lookup'::text)) -> 'column'::text)) col(value))) ours
  WHERE (ours.col = ANY (a.columns))
  ORDER BY ours.col) AS columns) by_room)
                          WHERE (by_room.columns <> '{}'::text[])
                        UNION ALL
                         SELECT (feed.value ->> 'room'::text),
                            theirs.oid,
                            format('%I.%I'::text, theirs.nspname, theirs.relname) AS format,
                            theirs.reltuples,
                            theirs.columns,
                            theirs.columns
                           FROM (jsonb_array_elements(a.feeds) feed(value)
                             CROSS JOIN LATERAL ( SELECT c_1.oid,
                                    n_1.nspname,
                                    c_1.relname,
                                    c_1.reltuples,
                                    array_agg(DISTINCT (p.value ->> 'column'::text) ORDER BY (p.value ->> 'column'::text)) AS columns
                                   FROM ((jsonb_array_elements((feed.value -> 'columns'::text)) p(value)
                                     JOIN pg_class c_1 ON ((c_1.relname = (parse_ident(((a.lookups -> (p.value ->> 'lookup'::text)) ->> 'table'::text)))[2])))
                                     JOIN pg_namespace n_1 ON (((n_1.oid = c_1.relnamespace) AND (n_1.nspname = (parse_ident(((a.lookups -> (p.value ->> 'lookup'::text)) ->> 'table'::text)))[1]))))
                                  GROUP BY c_1.oid, n_1.nspname, c_1.relname, c_1.reltuples) theirs)) wanted
                  WHERE ((f.carrier IS NOT NULL) AND (wanted.reltuples >= (10000)::double precision) AND (NOT (EXISTS ( SELECT
                           FROM unnest(wanted.columns) col(col)
                          WHERE (NOT (EXISTS ( SELECT
                                   FROM pg_attribute
                                  WHERE ((pg_attribute.attrelid = wanted.oid) AND (pg_attribute.attname = col.col) AND (NOT pg_attribute.attisdropped)))))))) AND (NOT (EXISTS ( SELECT
                           FROM pg_index i
                          WHERE ((i.indrelid = wanted.oid) AND i.indisvalid AND (i.indpred IS NULL) AND (( SELECT array_agg((pg_attribute.attname)::text ORDER BY pg_attribute.attname) AS array_agg
                                   FROM pg_attribute
                                  WHERE ((pg_attribute.attrelid = i.indrelid) AND (pg_attribute.attnum = ANY (((i.indkey)::smallint[])[0:(cardinality(wanted."leading") - 1)])))) = ( SELECT array_agg(col.col ORDER BY col.col) AS array_agg
                                   FROM unnest(wanted."leading") col(col))))))))
                UNION ALL
                 SELECT 6,
                        CASE
                            WHEN (NOT has_schema_privilege(n.oid, 'usage'::text)) THEN format('history may not read it: grant usage on schema %I to %I'::text, n.nspname, CURRENT_USER)
                            WHEN (NOT has_table_privilege(c.oid, 'select'::text)) THEN format('history may not read it: grant select on %s to %I'::text, here.name, CURRENT_USER)
                            ELSE format('row security may hide rows from %s, and so from history: alter role %1$I bypassrls, or create policy rowcast on %2$s for select to %1$I using (true)'::text, CURRENT_USER, here.name)
                        END AS format
                  WHERE ((f.carrier IS NOT NULL) AND (a.events @> '[{"on": "insert", "event": "message:new"}]'::jsonb) AND ((NOT has_schema_privilege(n.oid, 'usage'::text)) OR (NOT has_table_privilege(c.oid, 'select'::text)) OR (c.relrowsecurity AND row_security_active(c.oid) AND ((NOT (EXISTS ( SELECT
                           FROM pg_policy p
                          WHERE ((p.polrelid = c.oid) AND p.polpermissive AND (p.polcmd = ANY (ARRAY['r'::"char", '*'::"char"])) AND ((((0)::oid <> ANY (p.polroles)) AND (EXISTS ( SELECT
                                   FROM unnest(p.polroles) role(role)
                                  WHERE ((role.role <> (0)::oid) AND pg_has_role(role.role, 'usage'::text))))) OR (((0)::oid = ANY (p.polroles)) AND (pg_get_expr(p.polqual, p.polrelid) = 'true'::text))))))) OR (EXISTS ( SELECT
                           FROM pg_policy p
                          WHERE ((p.polrelid = c.oid) AND (NOT p.polpermissive) AND (p.polcmd = ANY (ARRAY['r'::"char", '*'::"char"])) AND ((0)::oid = ANY (p.polroles)) AND (pg_get_expr(p.polqual, p.polrelid) <> 'true'::text))))))))
                UNION ALL
                 SELECT 7,
                    format('a row was not sent lately because %s: mend such rows, or leave them out by a condition; select at, data from rowcast.events where source = %L and room is null'::text, COALESCE(late.reason, 'it could not be captured'::text), a.source) AS format
                   FROM late
                  WHERE ((late.source = a.source) AND (late.at > a.attached_at))) problems
          WHERE (problems.problem IS NOT NULL)
          ORDER BY problems.place, (problems.problem COLLATE "default")) AS problems,
    a.attached_at,
    (c.oid)::regclass AS relation,
    a.key_columns,
    a.room_columns,
    a.row_sql,
    COALESCE(f.operations, '{}'::text[]) AS captured,
    ARRAY( SELECT (r.value ->> 'room'::text)
           FROM jsonb_array_elements(COALESCE(a.rooms, jsonb_build_array(jsonb_build_object('room', a.room)))) WITH ORDINALITY r(value, place)
          ORDER BY r.place) AS rooms,
    a.order_columns,
    a.feeds,
        CASE
            WHEN a.by_row THEN 'row'::text
            ELSE 'statement'::text
        END AS capture,
    COALESCE(a.always, false) AS always
   FROM ((((rowcast.attached a
     JOIN found f ON ((f.source = a.source)))
     LEFT JOIN pg_class c ON ((c.oid = COALESCE(f.carrier, f.named))))
     LEFT JOIN pg_namespace n ON ((n.oid = c.relnamespace)))
     LEFT JOIN LATERAL ( SELECT
                CASE
                    WHEN (n.oid IS NOT NULL) THEN format('%I.%I'::text, n.nspname, c.relname)
                    ELSE NULL::text
                END AS name) here ON (true));


ALTER TABLE rowcast.sources OWNER TO postgres;

--
-- Name: VIEW sources; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON VIEW rowcast.sources IS 'the attached tables; problems says what keeps a source from being captured, or read by the role that asks, as it was attached';


--
-- Name: COLUMN sources.problems; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.sources.problems IS 'each with what mends it; empty while all is well';


--
-- Name: COLUMN sources.relation; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.sources.relation IS 'the table that has the triggers, or, where they are gone, the one with the name';


--
-- Name: COLUMN sources.captured; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.sources.captured IS 'the operations that have a trigger, disabled or not';


--
-- Name: COLUMN sources.rooms; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.sources.rooms IS 'the templates of all of its rooms; room is the first';


--
-- Name: COLUMN sources.feeds; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.sources.feeds IS 'what history reads of it';


--
-- Name: COLUMN sources.capture; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON COLUMN rowcast.sources.capture IS 'whether its triggers are called for each row, or for each statement';


--
-- Name: turns; Type: TABLE; Schema: rowcast; Owner: postgres
--

CREATE TABLE rowcast.turns (
    turn text NOT NULL
);


ALTER TABLE rowcast.turns OWNER TO postgres;

--
-- Name: TABLE turns; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON TABLE rowcast.turns IS 'one row per thing that one server does at a time; whoever does it holds the row locked';


--
-- Name: uncrashed; Type: TABLE; Schema: rowcast; Owner: postgres
--

CREATE UNLOGGED TABLE rowcast.uncrashed (
    only_row boolean DEFAULT true NOT NULL,
    CONSTRAINT uncrashed_only_row_check CHECK (only_row)
);


ALTER TABLE rowcast.uncrashed OWNER TO postgres;

--
-- Name: TABLE uncrashed; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON TABLE rowcast.uncrashed IS 'has a row unless Postgres has crashed and no server has noticed yet';


--
-- Name: letters_2026_01; Type: TABLE ATTACH; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.letters ATTACH PARTITION public.letters_2026_01 FOR VALUES FROM ('2026-01-01 00:00:00+00') TO ('2026-02-01 00:00:00+00');


--
-- Data for Name: chats; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.chats (id, jid) FROM stdin;
1	9
\.


--
-- Data for Name: conversations; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.conversations (contact_id, last_message, last_message_at, unread, updated_at) FROM stdin;
42	{"id": "00661616-f91c-8650-92b7-9d46377611ba", "body": "and its answer", "author": "bot", "status": "delivered", "direction": "outbound"}	2026-11-29 02:56:11.810398+00	1	2026-11-29 02:56:11.941631+00
\.


--
-- Data for Name: letters_2026_01; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.letters_2026_01 (id, chat, body, sent) FROM stdin;
1	8	of before	2026-01-02 00:00:00+00
\.


--
-- Data for Name: message_statuses; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.message_statuses (id, message_id, status, error, occurred_at) FROM stdin;
1	00661616-f91c-8650-92b7-9d46377611ba	delivered	\N	2026-11-29 02:56:11.807988+00
\.


--
-- Data for Name: messages; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.messages (id, contact_id, direction, author, body, status, external_id, metadata, created_at, updated_at) FROM stdin;
00661616-f91c-80d9-9dae-f4d898bb4c41	42	inbound	Ana	of before	sent	\N	{}	2026-11-29 02:56:11.810159+00	2026-11-29 02:56:11.810159+00
00661616-f91c-8650-92b7-9d46377611ba	42	outbound	bot	and its answer	delivered	\N	{}	2026-11-29 02:56:11.810398+00	2026-11-29 02:56:11.815168+00
\.


--
-- Data for Name: notes; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.notes (id, chat_id, body) FROM stdin;
1	1	of before
\.


--
-- Data for Name: wa; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.wa (wa_id, chat, ack, body, sent) FROM stdin;
844197938335842305	7	1	of before	2026-11-29 02:56:11.807988
\.


--
-- Data for Name: webhook_leftovers; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.webhook_leftovers (id, kind, external_id, reason, item, received_at) FROM stdin;
\.


--
-- Data for Name: attached; Type: TABLE DATA; Schema: rowcast; Owner: postgres
--

COPY rowcast.attached (source, capture, room, events, condition, key_columns, room_columns, columns, omit, key_case, order_column, careful, row_sql, attached_at, made, forms, as_text, words, defaults, timezone, lookups, rooms, order_columns, feeds, tree, by_row, always) FROM stdin;
public.messages	public_messages	conversation:{contact_id}	[{"on": "insert", "event": "message:new", "payload": {"message": "{row}", "contactId": "{contactId}"}}, {"on": "delete", "event": "message:deleted", "payload": {"contactId": "{contactId}", "messageId": "{id}"}}, {"on": "update", "event": "message:status", "columns": ["status"], "payload": {"at": "{updated_at}", "status": "{status}", "contactId": "{contactId}", "messageId": "{id}"}}, {"on": "update", "event": "message:updated", "columns": ["id", "contact_id", "direction", "author", "body", "external_id", "metadata", "created_at"], "payload": {"message": "{row}", "contactId": "{contactId}"}}]	\N	{id}	{contact_id}	{id,contact_id,direction,author,body,status,external_id,metadata,created_at,updated_at}	{}	camel	created_at	f	(select row_to_json(o.*) from (select after ->> 'id' as id, after ->> 'contact_id' as "contactId", after -> 'direction' as direction, after -> 'author' as author, after -> 'body' as body, after -> 'status' as status, after -> 'external_id' as "externalId", after -> 'metadata' as metadata, replace(after ->> 'created_at', '+00:00', 'Z') as "createdAt", replace(after ->> 'updated_at', '+00:00', 'Z') as "updatedAt") o)	2026-11-29 02:56:11.576908+00	{"code": {"delete": ["776", "e64da8f31e02f587179ffc21046af909"], "insert": ["776", "ba7327c137a577e1b18dd3f1ef9d6fca"], "update": ["776", "118e6427b655809ca6a9753b3607c4a7"]}, "types": {"id": "2950", "body": "25", "author": "25", "status": "25", "metadata": "3802", "direction": "25", "contact_id": "25", "created_at": "1184", "updated_at": "1184", "external_id": "25"}}	{"created_at": "instant", "updated_at": "instant"}	\N	\N	\N	\N	\N	\N	\N	[{"key": ["id"], "room": "conversation:{contact_id}", "order": ["createdAt", "id"], "columns": [{"column": "contact_id", "lookup": null, "is_plain": true, "placeholder": "contact_id"}], "key_sql": "after ->> 'id'", "lookups": [], "members": ["author", "body", "contactId", "createdAt", "direction", "externalId", "id", "metadata", "status", "updatedAt"], "row_sql": "(select row_to_json(o.*) from (select after ->> 'id' as id, after ->> 'contact_id' as \\"contactId\\", after -> 'direction' as direction, after -> 'author' as author, after -> 'body' as body, after -> 'status' as status, after -> 'external_id' as \\"externalId\\", after -> 'metadata' as metadata, replace(after ->> 'created_at', '+00:00', 'Z') as \\"createdAt\\", replace(after ->> 'updated_at', '+00:00', 'Z') as \\"updatedAt\\") o)", "room_sql": "'conversation:' || (after ->> 'contact_id')", "id_column": null, "belongs_sql": "true"}]	f	f	f
public.conversations	public_conversations	inbox:all	[{"on": "insert", "event": "message:new", "payload": {"message": "{row}", "contactId": "{contactId}"}}, {"on": "update", "event": "message:new", "columns": ["last_message", "last_message_at", "unread"], "payload": {"message": "{row}", "contactId": "{contactId}"}}, {"on": "delete", "event": "message:deleted", "payload": {"contactId": "{contactId}", "messageId": "{contact_id}"}}]	($."last_message_at" != null)	{contact_id}	{}	{contact_id,last_message,last_message_at,unread,updated_at}	{}	camel	last_message_at	f	(select row_to_json(o.*) from (select after ->> 'contact_id' as id, after ->> 'contact_id' as "contactId", after -> 'last_message' as "lastMessage", replace(after ->> 'last_message_at', '+00:00', 'Z') as "lastMessageAt", after -> 'unread' as unread, replace(after ->> 'updated_at', '+00:00', 'Z') as "updatedAt") o)	2026-11-29 02:56:11.742728+00	{"code": {"delete": ["789", "a238a049cddc8682cd645a160c81ecbe"], "insert": ["789", "242403bf19efd7cd8c91dac92dab6080"], "update": ["789", "ee764074dc603a92ed6e2aac98487f24"]}, "types": {"unread": "23", "contact_id": "25", "updated_at": "1184", "last_message": "3802", "last_message_at": "1184"}}	{"updated_at": "instant", "last_message_at": "instant"}	\N	\N	\N	\N	\N	\N	\N	[{"key": ["id"], "room": "inbox:all", "order": ["lastMessageAt", "contactId"], "columns": [], "key_sql": "after ->> 'contact_id'", "lookups": [], "members": ["contactId", "id", "lastMessage", "lastMessageAt", "unread", "updatedAt"], "row_sql": "(select row_to_json(o.*) from (select after ->> 'contact_id' as id, after ->> 'contact_id' as \\"contactId\\", after -> 'last_message' as \\"lastMessage\\", replace(after ->> 'last_message_at', '+00:00', 'Z') as \\"lastMessageAt\\", after -> 'unread' as unread, replace(after ->> 'updated_at', '+00:00', 'Z') as \\"updatedAt\\") o)", "room_sql": "'inbox:all'", "id_column": null, "belongs_sql": "(after @@ '($.\\"last_message_at\\" != null)') is true"}]	f	f	f
public.wa	public_wa	conversation:{chat}	[{"on": "insert", "event": "message:new", "payload": {"message": "{row}", "contactId": "{contactId}"}}, {"on": "delete", "event": "message:deleted", "payload": {"contactId": "{contactId}", "messageId": "{wa_id}"}}, {"on": "update", "event": "message:status", "columns": ["ack"], "payload": {"at": "{at}", "status": "{ack}", "contactId": "{contactId}", "messageId": "{wa_id}"}}]	\N	{wa_id}	{chat}	{wa_id,chat,ack,body,sent}	{}	camel	sent	f	(select row_to_json(o.*) from (select after ->> 'wa_id' as id, after ->> 'wa_id' as "waId", after ->> 'chat' as chat, coalesce('{"0": "sent", "1": "delivered", "2": "read"}'::jsonb -> (after ->> 'ack'), after -> 'ack') as ack, after -> 'body' as body, rowcast.zoned(after ->> 'sent', 'America/Bogota') as sent) o)	2026-11-29 02:56:11.807988+00	{"code": {"delete": ["791", "c25afb82416f77a574ae230150eed193"], "insert": ["791", "d8e48b29baa6240d67fd5e34ca1dbb99"], "update": ["791", "7ed20322139519595728c595dc608420"]}, "types": {"ack": "23", "body": "25", "chat": "25", "sent": "1114", "wa_id": "20"}}	{"sent": "local", "wa_id": "text"}	\N	{"ack": {"0": "sent", "1": "delivered", "2": "read"}}	\N	America/Bogota	\N	\N	\N	[{"key": ["id"], "room": "conversation:{chat}", "order": ["sent", "waId"], "columns": [{"column": "chat", "lookup": null, "is_plain": true, "placeholder": "chat"}], "key_sql": "after ->> 'wa_id'", "lookups": [], "members": ["ack", "body", "chat", "id", "sent", "waId"], "row_sql": "(select row_to_json(o.*) from (select after ->> 'wa_id' as id, after ->> 'wa_id' as \\"waId\\", after ->> 'chat' as chat, coalesce('{\\"0\\": \\"sent\\", \\"1\\": \\"delivered\\", \\"2\\": \\"read\\"}'::jsonb -> (after ->> 'ack'), after -> 'ack') as ack, after -> 'body' as body, rowcast.zoned(after ->> 'sent', 'America/Bogota') as sent) o)", "room_sql": "'conversation:' || (after ->> 'chat')", "id_column": null, "belongs_sql": "true"}]	f	f	f
public.letters	public_letters	conversation:{chat}	[{"on": "insert", "event": "message:new", "payload": {"message": "{row}", "contactId": "{contactId}"}}]	\N	{id,sent}	{chat}	{id,chat,body,sent}	{}	camel	sent	f	(select row_to_json(o.*) from (select after ->> 'id' as id, after ->> 'chat' as chat, after -> 'body' as body, replace(after ->> 'sent', '+00:00', 'Z') as sent) o)	2026-11-29 02:56:11.807988+00	{"code": {"insert": ["792", "c7f156f8fc8588fe52883d3edd3741e7"], "update": ["792", "c48e1548b9bb419c98be793fa1ea8e65"]}, "types": {"id": "20", "body": "25", "chat": "25", "sent": "1184"}}	{"id": "text", "sent": "instant"}	\N	\N	\N	\N	\N	\N	\N	[{"key": ["id", "sent"], "room": "conversation:{chat}", "order": ["sent", "id"], "columns": [{"column": "chat", "lookup": null, "is_plain": true, "placeholder": "chat"}], "key_sql": "concat_ws(':', after ->> 'id', replace(after ->> 'sent', '+00:00', 'Z'))", "lookups": [], "members": ["body", "chat", "id", "sent"], "row_sql": "(select row_to_json(o.*) from (select after ->> 'id' as id, after ->> 'chat' as chat, after -> 'body' as body, replace(after ->> 'sent', '+00:00', 'Z') as sent) o)", "room_sql": "'conversation:' || (after ->> 'chat')", "id_column": "id", "belongs_sql": "true"}]	t	f	f
public.notes	public_notes	order:{chat.jid}	[{"on": "insert", "event": "message:new", "payload": {"message": "{row}", "contactId": "{contactId}"}}]	\N	{id}	{}	{id,chat_id,body}	{}	camel	id	f	(select row_to_json(o.*) from (select after ->> 'id' as id, after ->> 'chat_id' as "chatId", after -> 'body' as body) o)	2026-11-29 02:56:11.807988+00	{"code": {"insert": ["793", "4551dde5a473151d6403f8412b0300d7"], "update": ["793", "ceec141812c5831962e5f97810245939"]}, "types": {"id": "20", "body": "25", "chat_id": "20"}}	{"id": "text", "chat_id": "text"}	\N	\N	\N	\N	{"chat": {"key": ["id"], "row": [], "table": "public.chats", "types": ["bigint"], "column": ["chat_id"], "columns": {"jid": null}}}	\N	\N	[{"key": ["id"], "room": "order:{chat.jid}", "order": ["id"], "columns": [{"column": "jid", "lookup": "chat", "is_plain": true, "placeholder": "chat.jid"}], "key_sql": "after ->> 'id'", "lookups": [{"key": ["id"], "own": ["chat_id"], "join": "c.id = (r.after ->> 'chat_id')::bigint", "name": "chat", "table": "public.chats", "types": ["bigint"], "members": {"jid": "case when c.jid is distinct from null and pg_column_size(c.jid) <= 65536 then case when pg_typeof(c.jid)::oid < 16384 and pg_typeof(c.jid)::oid not in ('json'::regtype, 'json[]'::regtype) then to_jsonb(c.jid) else to_jsonb(format('%s', c.jid)) end end"}, "no_code": "c.relkind = 'r' and c.relfilenode = pg_relation_filenode(c.oid) and not exists (\\n      select from pg_attribute a join pg_type t on t.oid = a.atttypid\\n      where a.attrelid = c.oid and a.attname = any ('{id}') and t.oid >= 16384 and not (t.typtype = 'd' and t.typbasetype < 16384))\\n      and rowcast.plans_no_code(c.oid)"}], "members": ["body", "chatId", "id"], "row_sql": "(select row_to_json(o.*) from (select after ->> 'id' as id, after ->> 'chat_id' as \\"chatId\\", after -> 'body' as body) o)", "room_sql": "'order:' || (after -> 'chat' ->> 'jid')", "id_column": null, "belongs_sql": "true"}]	f	f	f
\.


--
-- Data for Name: chat_migrations; Type: TABLE DATA; Schema: rowcast; Owner: postgres
--

COPY rowcast.chat_migrations (version, description, installed_on, success, checksum, execution_time) FROM stdin;
1	chat	2026-11-29 02:56:11.576908+00	t	\\xaa2624294df928a1685fef32bdb1b3bb37ffa407d1ef1747a71495d2ac089f104789e320ae2579279a57723eaafe2cbb	62656713
2	webhook	2026-11-29 02:56:11.64228+00	t	\\x04c8e781614571c95f1e2885ca5bd125eb3fd011f43a3ea63837ba4f8d3e90cfbd898cf3d7b1bc8965eaa98a05987774	2024698
3	inbox	2026-11-29 02:56:11.645642+00	t	\\x3018c43c6ea3b63e1dd3a36681fd258d8fc8c7390ea4d8ed0314b829e9813a95997fce95f27554d30bc605ae08349bad	44817160
\.


--
-- Data for Name: epoch; Type: TABLE DATA; Schema: rowcast; Owner: postgres
--

COPY rowcast.epoch (only_row, value, system_identifier, timeline, database, recovered, pruned, relation, removed) FROM stdin;
t	-5265372199295957643	7713421837201352273	1	16798	{}	\N	16410	\N
\.


--
-- Data for Name: events; Type: TABLE DATA; Schema: rowcast; Owner: postgres
--

COPY rowcast.events (id, xid, at, room, event, data, source, sync, traceparent) FROM stdin;
1	790	2026-11-29 02:56:11.814211+00	conversation:42	message:new	{"message":{"id":"00661616-f91c-80d9-9dae-f4d898bb4c41","contactId":"42","direction":"inbound","author":"Ana","body":"of before","status":"sent","externalId":null,"metadata":{},"createdAt":"2026-11-29T02:56:11.810159Z","updatedAt":"2026-11-29T02:56:11.810159Z"},"contactId":"42"}	public.messages	f	\N
2	790	2026-11-29 02:56:11.814441+00	conversation:42	message:new	{"message":{"id":"00661616-f91c-8650-92b7-9d46377611ba","contactId":"42","direction":"outbound","author":"bot","body":"and its answer","status":"sent","externalId":null,"metadata":{},"createdAt":"2026-11-29T02:56:11.810398Z","updatedAt":"2026-11-29T02:56:11.810398Z"},"contactId":"42"}	public.messages	f	\N
3	790	2026-11-29 02:56:11.817783+00	conversation:42	message:status	{"at":"2026-11-29T02:56:11.815168Z","status":"delivered","contactId":"42","messageId":"00661616-f91c-8650-92b7-9d46377611ba"}	public.messages	f	\N
4	790	2026-11-29 02:56:11.878284+00	conversation:7	message:new	{"message":{"id":"844197938335842305","waId":"844197938335842305","chat":"7","ack":"sent","body":"of before","sent":"2026-11-29T07:56:11.807988Z"},"contactId":"7"}	public.wa	f	\N
5	790	2026-11-29 02:56:11.879626+00	conversation:7	message:status	{"at":"2026-11-29T02:56:11.879615Z","status":"delivered","contactId":"7","messageId":"844197938335842305"}	public.wa	f	\N
6	790	2026-11-29 02:56:11.907585+00	conversation:8	message:new	{"message":{"id":"1","chat":"8","body":"of before","sent":"2026-01-02T00:00:00Z"},"contactId":"8"}	public.letters	f	\N
7	790	2026-11-29 02:56:11.939331+00	order:9	message:new	{"message":{"id":"1","chatId":"1","body":"of before"},"contactId":"9"}	public.notes	f	\N
8	790	2026-11-29 02:56:11.939613+00	conversation:42	note	{"n": 1}	\N	f	\N
9	790	2026-11-29 02:56:11.940184+00	rowcast:revocations	revoked	{"subject" : "user-7", "issuer" : null, "room" : "conversation:42", "at" : 1795920971, "reason" : null}	rowcast.revoke	t	\N
10	790	2026-11-29 02:56:11.942364+00	inbox:all	message:new	{"message":{"id":"42","contactId":"42","lastMessage":{"id": "00661616-f91c-8650-92b7-9d46377611ba", "body": "and its answer", "author": "bot", "status": "delivered", "direction": "outbound"},"lastMessageAt":"2026-11-29T02:56:11.810398Z","unread":1,"updatedAt":"2026-11-29T02:56:11.941631Z"},"contactId":"all"}	public.conversations	t	\N
\.


--
-- Data for Name: inbox_due; Type: TABLE DATA; Schema: rowcast; Owner: postgres
--

COPY rowcast.inbox_due (xid, contact_id, unread) FROM stdin;
\.


--
-- Data for Name: inbox_uncounted; Type: TABLE DATA; Schema: rowcast; Owner: postgres
--

COPY rowcast.inbox_uncounted (contact_id) FROM stdin;
\.


--
-- Data for Name: migrations; Type: TABLE DATA; Schema: rowcast; Owner: postgres
--

COPY rowcast.migrations (version, description, installed_on, success, checksum, execution_time) FROM stdin;
1	outbox	2026-11-29 02:56:11.50144+00	t	\\x7144d351d6ac02252b71eee577ac7b015c1200e73d1129ee395e5593df4392d8684322dfb5c9a5ff58cb340d37676c27	2575650
2	epoch	2026-11-29 02:56:11.508608+00	t	\\x7f6049ca7e880b20d0c8b70ccf233afa1c237306e92eb58c6d93272c19d2ae8b2ac8341e231e906bbf019877b944e416	2807355
3	secret	2026-11-29 02:56:11.512562+00	t	\\x4814df5c13ff08d7b04045bc7bb5db919a3d148441296274280f9466fbae11c78578b8a8b200be847755d106ff4432ed	1870148
4	sessions	2026-11-29 02:56:11.51545+00	t	\\x7d2fd89eb93642a55a3d6797160b480a1de77dac12b21915b195b428dda6abfc178ce70a12a585814761061539c9ba78	2311526
5	attached	2026-11-29 02:56:11.518956+00	t	\\xa34bd31e460837c05bce157a503de8dd4fc8a871a995cdaef3b570c167e4135a1e9a219f45519571a1747ca393abbf89	2118448
6	template	2026-11-29 02:56:11.522145+00	t	\\x4a7bc3f08d88241f891d4e4f3ce74c9e47b3434e5f6958ff217d65d4f087af51fe916d60162883fe6697f9e61913b812	905941
7	values	2026-11-29 02:56:11.52399+00	t	\\x0fc6ee58cc16b42a25f29ed00325da12d5863cfbb01e80cf70268a1faade9020e3aa10156e92ee3ea1c006f9c4c840c8	2009125
8	unusual	2026-11-29 02:56:11.526962+00	t	\\x159a58dcc3d8de48f6e81c3612589f3cacba5cf8b20a3dad586e3446482ec9c9a1422938c669cd2ee311f356e8528cbc	2989907
9	lookups	2026-11-29 02:56:11.530934+00	t	\\xf7a0301423a0123108a8b0c2e3283e44397369c76a4584f04f45b2f53cd9d5f646e83fd79fb94419e969f2e83e62c113	2029586
10	rooms	2026-11-29 02:56:11.533921+00	t	\\xb6dd351fe7e1d7de067053cb1700a149a66c0f79368ae99bad3a70037d5f53ac62c32177f739fc23fdfed0d0ba29e6d6	1119829
11	capture	2026-11-29 02:56:11.535986+00	t	\\x59fae756f63da8f1f8fc968bfb9e69b513e008e75a72902d7bf4c493daddfb8ae3b1de30d71cf20a367d740170cdec2c	1891159
12	trees	2026-11-29 02:56:11.538865+00	t	\\x1331fe0629a2797db01f1804598aa5e533c85e7a5eec6480ca3a0fe4e1ff3bb2ffc7ddceb3ab73e1b612774397fb02db	1226138
13	check	2026-11-29 02:56:11.541031+00	t	\\x628d0bb7762aaf98a755b4bb15991349544125cd0ce5d7ce062cc31a128a31ad5bff473a444f4186d50a85232b5d5ac4	1303643
14	define	2026-11-29 02:56:11.543372+00	t	\\xbdc9bd9a93f5c471d855c548a068bdc76749491b72ed250ac8f0a058c251c7ec600e49e6b9ea437e72d97f70d359947c	1560886
15	doubts	2026-11-29 02:56:11.54589+00	t	\\xd092817463f2bab89c137265f9cee204fbf740e731a6f0c1af8541b5d63556e8c7bf9ad0eae84c9905d77930561c88b9	1170275
16	attach	2026-11-29 02:56:11.548038+00	t	\\x89d7e004fa1da1dd4902c0f3bef043957e0f6faa4ef5c3c5871fa62cb9d5edf02ea65fdaeff878d3a0b9612044f91820	1080351
17	sources	2026-11-29 02:56:11.550106+00	t	\\x2a152b6f849f9d56c7ff1681054aa5518902b4e8d1bcda51e2b89aad077172ecd8c2d59199a1263d960e4004d8e30dfe	10878587
18	preview	2026-11-29 02:56:11.562331+00	t	\\x5ffd895748f8f2d2e203d964b962ab9fe0bf737bb12e06767daceef17a1ea41e64d102062d03f12b1d956f894fa6a83b	1017317
19	emit	2026-11-29 02:56:11.56434+00	t	\\x462e28576a630c3d906bc50440f2f87633a3e9269b022bb1dab0f50e0879c5f0f960b754f18a811732d0a3f8b7a3b0cf	651972
20	policy	2026-11-29 02:56:11.565989+00	t	\\x57a727789f34476a188dcb35a7aa2c23a685821b4b633360da43849ee1fdd2044dabddb66de75eef786ba70ca38470dc	2609280
21	whatsapp	2026-11-29 02:56:11.569629+00	t	\\x1c62d25c7ce77444e01fc40199c877dd550c12d8448baf9cd5516bc6364cbcfa1e249fd2ffdf11c452bb26ad840fe4a2	1167711
22	presence	2026-11-29 02:56:11.572147+00	t	\\xbdebcbf058705fbcb907171110e9421692049ff6d725436f1f05a2c7cb5018c9c4d5f5790fca0152813d19b28d733262	2991539
\.


--
-- Data for Name: presence_departures; Type: TABLE DATA; Schema: rowcast; Owner: postgres
--

COPY rowcast.presence_departures (server, version, id) FROM stdin;
\.


--
-- Data for Name: presence_of_servers; Type: TABLE DATA; Schema: rowcast; Owner: postgres
--

COPY rowcast.presence_of_servers (server, id, room, subject, connections, since, version) FROM stdin;
\.


--
-- Data for Name: presence_servers; Type: TABLE DATA; Schema: rowcast; Owner: postgres
--

COPY rowcast.presence_servers (server, pid, alive_until, version, complete_from) FROM stdin;
\.


--
-- Data for Name: revocations; Type: TABLE DATA; Schema: rowcast; Owner: postgres
--

COPY rowcast.revocations (subject, issuer, room, revoked_at, reason) FROM stdin;
user-7	\N	conversation:42	2026-11-29 02:56:11.939707+00	\N
\.


--
-- Data for Name: sessions; Type: TABLE DATA; Schema: rowcast; Owner: postgres
--

COPY rowcast.sessions (pid_hash, identity, owner, rooms, last_sent_offset, complete_to_offset, updated_at, ended_at, counted_for) FROM stdin;
\\xd116c9522a557eed8ddd44e7e9ec4808	anonymous	-2878946321120703302	{"conversation:42": ["AQIAngYAr4m83Ky8tw4"]}	AQIAngYAr4m83Ky8tw4	AQIAngYAr4m83Ky8tw4	2026-11-29 02:56:12.169316+00	2026-11-29 02:56:12.169316+00	\\xa15c9f518da60f6e69e3d5c2f986dc42
\.


--
-- Data for Name: turns; Type: TABLE DATA; Schema: rowcast; Owner: postgres
--

COPY rowcast.turns (turn) FROM stdin;
pruning
\.


--
-- Data for Name: uncrashed; Type: TABLE DATA; Schema: rowcast; Owner: postgres
--

COPY rowcast.uncrashed (only_row) FROM stdin;
t
\.


--
-- Name: message_statuses_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.message_statuses_id_seq', 1, true);


--
-- Name: webhook_leftovers_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.webhook_leftovers_id_seq', 1, false);


--
-- Name: events_id_seq; Type: SEQUENCE SET; Schema: rowcast; Owner: postgres
--

SELECT pg_catalog.setval('rowcast.events_id_seq', 10, true);


--
-- Name: chats chats_pkey; Type: CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.chats
    ADD CONSTRAINT chats_pkey PRIMARY KEY (id);


--
-- Name: conversations conversations_pkey; Type: CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.conversations
    ADD CONSTRAINT conversations_pkey PRIMARY KEY (contact_id);


--
-- Name: letters letters_pkey; Type: CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.letters
    ADD CONSTRAINT letters_pkey PRIMARY KEY (id, sent);


--
-- Name: letters_2026_01 letters_2026_01_pkey; Type: CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.letters_2026_01
    ADD CONSTRAINT letters_2026_01_pkey PRIMARY KEY (id, sent);


--
-- Name: message_statuses message_statuses_pkey; Type: CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.message_statuses
    ADD CONSTRAINT message_statuses_pkey PRIMARY KEY (id);


--
-- Name: messages messages_external_id_key; Type: CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_external_id_key UNIQUE (external_id);


--
-- Name: messages messages_pkey; Type: CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (id);


--
-- Name: notes notes_pkey; Type: CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.notes
    ADD CONSTRAINT notes_pkey PRIMARY KEY (id);


--
-- Name: wa wa_pkey; Type: CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.wa
    ADD CONSTRAINT wa_pkey PRIMARY KEY (wa_id);


--
-- Name: webhook_leftovers webhook_leftovers_pkey; Type: CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.webhook_leftovers
    ADD CONSTRAINT webhook_leftovers_pkey PRIMARY KEY (id);


--
-- Name: attached attached_capture_key; Type: CONSTRAINT; Schema: rowcast; Owner: postgres
--

ALTER TABLE ONLY rowcast.attached
    ADD CONSTRAINT attached_capture_key UNIQUE (capture);


--
-- Name: attached attached_pkey; Type: CONSTRAINT; Schema: rowcast; Owner: postgres
--

ALTER TABLE ONLY rowcast.attached
    ADD CONSTRAINT attached_pkey PRIMARY KEY (source);


--
-- Name: chat_migrations chat_migrations_pkey; Type: CONSTRAINT; Schema: rowcast; Owner: postgres
--

ALTER TABLE ONLY rowcast.chat_migrations
    ADD CONSTRAINT chat_migrations_pkey PRIMARY KEY (version);


--
-- Name: epoch epoch_pkey; Type: CONSTRAINT; Schema: rowcast; Owner: postgres
--

ALTER TABLE ONLY rowcast.epoch
    ADD CONSTRAINT epoch_pkey PRIMARY KEY (only_row);


--
-- Name: events events_pkey; Type: CONSTRAINT; Schema: rowcast; Owner: postgres
--

ALTER TABLE ONLY rowcast.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (id);


--
-- Name: migrations migrations_pkey; Type: CONSTRAINT; Schema: rowcast; Owner: postgres
--

ALTER TABLE ONLY rowcast.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (version);


--
-- Name: presence_departures presence_departures_pkey; Type: CONSTRAINT; Schema: rowcast; Owner: postgres
--

ALTER TABLE ONLY rowcast.presence_departures
    ADD CONSTRAINT presence_departures_pkey PRIMARY KEY (server, version, id);


--
-- Name: presence_of_servers presence_of_servers_pkey; Type: CONSTRAINT; Schema: rowcast; Owner: postgres
--

ALTER TABLE ONLY rowcast.presence_of_servers
    ADD CONSTRAINT presence_of_servers_pkey PRIMARY KEY (server, id);


--
-- Name: presence_servers presence_servers_pkey; Type: CONSTRAINT; Schema: rowcast; Owner: postgres
--

ALTER TABLE ONLY rowcast.presence_servers
    ADD CONSTRAINT presence_servers_pkey PRIMARY KEY (server);


--
-- Name: sessions sessions_pkey; Type: CONSTRAINT; Schema: rowcast; Owner: postgres
--

ALTER TABLE ONLY rowcast.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (pid_hash);


--
-- Name: turns turns_pkey; Type: CONSTRAINT; Schema: rowcast; Owner: postgres
--

ALTER TABLE ONLY rowcast.turns
    ADD CONSTRAINT turns_pkey PRIMARY KEY (turn);


--
-- Name: uncrashed uncrashed_pkey; Type: CONSTRAINT; Schema: rowcast; Owner: postgres
--

ALTER TABLE ONLY rowcast.uncrashed
    ADD CONSTRAINT uncrashed_pkey PRIMARY KEY (only_row);


--
-- Name: conversations_inbox; Type: INDEX; Schema: public; Owner: postgres
--

CREATE INDEX conversations_inbox ON public.conversations USING btree (last_message_at, contact_id);


--
-- Name: letters_chat_sent_id_idx; Type: INDEX; Schema: public; Owner: postgres
--

CREATE INDEX letters_chat_sent_id_idx ON ONLY public.letters USING btree (chat, sent, id);


--
-- Name: letters_2026_01_chat_sent_id_idx; Type: INDEX; Schema: public; Owner: postgres
--

CREATE INDEX letters_2026_01_chat_sent_id_idx ON public.letters_2026_01 USING btree (chat, sent, id);


--
-- Name: message_statuses_message; Type: INDEX; Schema: public; Owner: postgres
--

CREATE INDEX message_statuses_message ON public.message_statuses USING btree (message_id);


--
-- Name: messages_contact; Type: INDEX; Schema: public; Owner: postgres
--

CREATE INDEX messages_contact ON public.messages USING btree (contact_id, created_at, id);


--
-- Name: notes_chat_id_id_idx; Type: INDEX; Schema: public; Owner: postgres
--

CREATE INDEX notes_chat_id_id_idx ON public.notes USING btree (chat_id, id);


--
-- Name: wa_chat_sent_wa_id_idx; Type: INDEX; Schema: public; Owner: postgres
--

CREATE INDEX wa_chat_sent_wa_id_idx ON public.wa USING btree (chat, sent, wa_id);


--
-- Name: webhook_leftovers_item; Type: INDEX; Schema: public; Owner: postgres
--

CREATE UNIQUE INDEX webhook_leftovers_item ON public.webhook_leftovers USING btree (md5((item)::text));


--
-- Name: webhook_leftovers_received; Type: INDEX; Schema: public; Owner: postgres
--

CREATE INDEX webhook_leftovers_received ON public.webhook_leftovers USING btree (received_at);


--
-- Name: webhook_leftovers_status; Type: INDEX; Schema: public; Owner: postgres
--

CREATE INDEX webhook_leftovers_status ON public.webhook_leftovers USING btree (external_id) WHERE (kind = 'status'::text);


--
-- Name: events_room; Type: INDEX; Schema: rowcast; Owner: postgres
--

CREATE INDEX events_room ON rowcast.events USING btree (room, xid, id);


--
-- Name: events_xid; Type: INDEX; Schema: rowcast; Owner: postgres
--

CREATE INDEX events_xid ON rowcast.events USING btree (xid);


--
-- Name: inbox_due_xid; Type: INDEX; Schema: rowcast; Owner: postgres
--

CREATE INDEX inbox_due_xid ON rowcast.inbox_due USING btree (xid);


--
-- Name: presence_of_servers_room; Type: INDEX; Schema: rowcast; Owner: postgres
--

CREATE INDEX presence_of_servers_room ON rowcast.presence_of_servers USING hash (room);


--
-- Name: presence_of_servers_subject; Type: INDEX; Schema: rowcast; Owner: postgres
--

CREATE INDEX presence_of_servers_subject ON rowcast.presence_of_servers USING hash (subject);


--
-- Name: presence_of_servers_version; Type: INDEX; Schema: rowcast; Owner: postgres
--

CREATE INDEX presence_of_servers_version ON rowcast.presence_of_servers USING btree (server, version);


--
-- Name: revocations_key; Type: INDEX; Schema: rowcast; Owner: postgres
--

CREATE UNIQUE INDEX revocations_key ON rowcast.revocations USING btree (subject, COALESCE(issuer, ''::text), COALESCE(room, ''::text));


--
-- Name: revocations_revoked_at; Type: INDEX; Schema: rowcast; Owner: postgres
--

CREATE INDEX revocations_revoked_at ON rowcast.revocations USING btree (revoked_at);


--
-- Name: sessions_ended; Type: INDEX; Schema: rowcast; Owner: postgres
--

CREATE INDEX sessions_ended ON rowcast.sessions USING btree (counted_for, ended_at) WHERE (ended_at IS NOT NULL);


--
-- Name: sessions_subject; Type: INDEX; Schema: rowcast; Owner: postgres
--

CREATE INDEX sessions_subject ON rowcast.sessions USING hash ((
CASE
    WHEN ((identity ~~ '[%'::text) AND (POSITION(('\u0000'::text) IN (identity)) = 0)) THEN ((identity)::json ->> 1)
    ELSE NULL::text
END)) WHERE (identity ~~ '[%'::text);


--
-- Name: sessions_updated; Type: INDEX; Schema: rowcast; Owner: postgres
--

CREATE INDEX sessions_updated ON rowcast.sessions USING btree (updated_at);


--
-- Name: letters_2026_01_chat_sent_id_idx; Type: INDEX ATTACH; Schema: public; Owner: postgres
--

ALTER INDEX public.letters_chat_sent_id_idx ATTACH PARTITION public.letters_2026_01_chat_sent_id_idx;


--
-- Name: letters_2026_01_pkey; Type: INDEX ATTACH; Schema: public; Owner: postgres
--

ALTER INDEX public.letters_pkey ATTACH PARTITION public.letters_2026_01_pkey;


--
-- Name: message_statuses apply_status; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER apply_status AFTER INSERT ON public.message_statuses FOR EACH ROW EXECUTE FUNCTION rowcast.chat_apply_status();


--
-- Name: messages note_delete; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER note_delete AFTER DELETE ON public.messages REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION rowcast.chat_note();


--
-- Name: messages note_insert; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER note_insert AFTER INSERT ON public.messages REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowcast.chat_note();


--
-- Name: messages note_truncate; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER note_truncate AFTER TRUNCATE ON public.messages FOR EACH STATEMENT EXECUTE FUNCTION rowcast.chat_truncate();


--
-- Name: messages note_update; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER note_update AFTER UPDATE ON public.messages REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowcast.chat_note();


--
-- Name: messages place_statuses; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER place_statuses AFTER INSERT OR UPDATE OF external_id ON public.messages FOR EACH ROW WHEN (((new.external_id IS NOT NULL) AND (new.direction = 'outbound'::text))) EXECUTE FUNCTION rowcast.chat_place_statuses();


--
-- Name: conversations rowcast_delete; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER rowcast_delete AFTER DELETE ON public.conversations REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION rowcast.capture_public_conversations_delete();


--
-- Name: messages rowcast_delete; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER rowcast_delete AFTER DELETE ON public.messages REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION rowcast.capture_public_messages_delete();


--
-- Name: wa rowcast_delete; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER rowcast_delete AFTER DELETE ON public.wa REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION rowcast.capture_public_wa_delete();


--
-- Name: conversations rowcast_insert; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER rowcast_insert AFTER INSERT ON public.conversations REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowcast.capture_public_conversations_insert();


--
-- Name: letters rowcast_insert; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER rowcast_insert AFTER INSERT ON public.letters REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowcast.capture_public_letters_insert();


--
-- Name: messages rowcast_insert; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER rowcast_insert AFTER INSERT ON public.messages REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowcast.capture_public_messages_insert();


--
-- Name: notes rowcast_insert; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER rowcast_insert AFTER INSERT ON public.notes REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowcast.capture_public_notes_insert();


--
-- Name: wa rowcast_insert; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER rowcast_insert AFTER INSERT ON public.wa REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowcast.capture_public_wa_insert();


--
-- Name: letters_2026_01 rowcast_part_insert; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER rowcast_part_insert AFTER INSERT ON public.letters_2026_01 REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowcast.capture_public_letters_insert();


--
-- Name: letters_2026_01 rowcast_part_truncate; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER rowcast_part_truncate AFTER TRUNCATE ON public.letters_2026_01 FOR EACH STATEMENT EXECUTE FUNCTION rowcast.capture_public_letters_truncate();


--
-- Name: letters_2026_01 rowcast_part_update; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER rowcast_part_update AFTER UPDATE ON public.letters_2026_01 REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowcast.capture_public_letters_update();


--
-- Name: conversations rowcast_truncate; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER rowcast_truncate AFTER TRUNCATE ON public.conversations FOR EACH STATEMENT EXECUTE FUNCTION rowcast.capture_public_conversations_truncate();


--
-- Name: letters rowcast_truncate; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER rowcast_truncate AFTER TRUNCATE ON public.letters FOR EACH STATEMENT EXECUTE FUNCTION rowcast.capture_public_letters_truncate();


--
-- Name: messages rowcast_truncate; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER rowcast_truncate AFTER TRUNCATE ON public.messages FOR EACH STATEMENT EXECUTE FUNCTION rowcast.capture_public_messages_truncate();


--
-- Name: notes rowcast_truncate; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER rowcast_truncate AFTER TRUNCATE ON public.notes FOR EACH STATEMENT EXECUTE FUNCTION rowcast.capture_public_notes_truncate();


--
-- Name: wa rowcast_truncate; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER rowcast_truncate AFTER TRUNCATE ON public.wa FOR EACH STATEMENT EXECUTE FUNCTION rowcast.capture_public_wa_truncate();


--
-- Name: conversations rowcast_update; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER rowcast_update AFTER UPDATE ON public.conversations REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowcast.capture_public_conversations_update();


--
-- Name: letters rowcast_update; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER rowcast_update AFTER UPDATE ON public.letters REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowcast.capture_public_letters_update();


--
-- Name: messages rowcast_update; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER rowcast_update AFTER UPDATE ON public.messages REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowcast.capture_public_messages_update();


--
-- Name: notes rowcast_update; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER rowcast_update AFTER UPDATE ON public.notes REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowcast.capture_public_notes_update();


--
-- Name: wa rowcast_update; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER rowcast_update AFTER UPDATE ON public.wa REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION rowcast.capture_public_wa_update();


--
-- Name: messages stamp; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER stamp BEFORE INSERT ON public.messages FOR EACH ROW WHEN (((new.created_at = now()) AND (new.updated_at = now()))) EXECUTE FUNCTION rowcast.chat_stamp();


--
-- Name: messages take_status; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER take_status BEFORE INSERT OR UPDATE OF external_id ON public.messages FOR EACH ROW WHEN (((new.external_id IS NOT NULL) AND (new.direction = 'outbound'::text))) EXECUTE FUNCTION rowcast.chat_take_status();


--
-- Name: messages touch; Type: TRIGGER; Schema: public; Owner: postgres
--

CREATE TRIGGER touch BEFORE UPDATE ON public.messages FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION rowcast.chat_touch();


--
-- Name: events note_removable; Type: TRIGGER; Schema: rowcast; Owner: postgres
--

CREATE TRIGGER note_removable BEFORE DELETE ON rowcast.events FOR EACH STATEMENT WHEN ((COALESCE(current_setting('rowcast.pruning'::text, true), ''::text) <> 'on'::text)) EXECUTE FUNCTION rowcast.note_removal();

ALTER TABLE rowcast.events ENABLE ALWAYS TRIGGER note_removable;


--
-- Name: events note_removal; Type: TRIGGER; Schema: rowcast; Owner: postgres
--

CREATE TRIGGER note_removal AFTER DELETE ON rowcast.events FOR EACH STATEMENT WHEN ((COALESCE(current_setting('rowcast.pruning'::text, true), ''::text) <> 'on'::text)) EXECUTE FUNCTION rowcast.note_removal();

ALTER TABLE rowcast.events ENABLE ALWAYS TRIGGER note_removal;


--
-- Name: events note_truncation; Type: TRIGGER; Schema: rowcast; Owner: postgres
--

CREATE TRIGGER note_truncation AFTER TRUNCATE ON rowcast.events FOR EACH STATEMENT EXECUTE FUNCTION rowcast.note_removal();

ALTER TABLE rowcast.events ENABLE ALWAYS TRIGGER note_truncation;


--
-- Name: attached remember; Type: TRIGGER; Schema: rowcast; Owner: postgres
--

CREATE TRIGGER remember BEFORE INSERT OR UPDATE ON rowcast.attached FOR EACH ROW WHEN ((new.made IS NULL)) EXECUTE FUNCTION rowcast.remember_source();


--
-- Name: attached remember_code; Type: TRIGGER; Schema: rowcast; Owner: postgres
--

CREATE CONSTRAINT TRIGGER remember_code AFTER UPDATE ON rowcast.attached DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((new.made = old.made)) EXECUTE FUNCTION rowcast.remember_code();


--
-- Name: inbox_due settle; Type: TRIGGER; Schema: rowcast; Owner: postgres
--

CREATE CONSTRAINT TRIGGER settle AFTER INSERT ON rowcast.inbox_due DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((current_setting('transaction_isolation'::text) = ANY (ARRAY['read committed'::text, 'read uncommitted'::text]))) EXECUTE FUNCTION rowcast.chat_settle();


--
-- Name: attached tell; Type: TRIGGER; Schema: rowcast; Owner: postgres
--

CREATE TRIGGER tell AFTER INSERT OR DELETE OR UPDATE ON rowcast.attached FOR EACH STATEMENT EXECUTE FUNCTION rowcast.tell_sources();


--
-- Name: events wake; Type: TRIGGER; Schema: rowcast; Owner: postgres
--

CREATE TRIGGER wake AFTER INSERT ON rowcast.events FOR EACH STATEMENT EXECUTE FUNCTION rowcast.wake();

ALTER TABLE rowcast.events ENABLE ALWAYS TRIGGER wake;


--
-- Name: TRIGGER wake ON events; Type: COMMENT; Schema: rowcast; Owner: postgres
--

COMMENT ON TRIGGER wake ON rowcast.events IS 'disable it for poll-only mode: alter table rowcast.events disable trigger wake';


--
-- Name: message_statuses message_statuses_message_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.message_statuses
    ADD CONSTRAINT message_statuses_message_id_fkey FOREIGN KEY (message_id) REFERENCES public.messages(id) ON DELETE CASCADE;


--
-- Name: notes notes_chat_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.notes
    ADD CONSTRAINT notes_chat_id_fkey FOREIGN KEY (chat_id) REFERENCES public.chats(id);


--
-- Name: SCHEMA rowcast; Type: ACL; Schema: -; Owner: postgres
--

GRANT USAGE ON SCHEMA rowcast TO rowcast_policy;


--
-- Name: FUNCTION ask_may_join(claims text[], askers bigint[], rooms text[]); Type: ACL; Schema: rowcast; Owner: rowcast_policy
--

REVOKE ALL ON FUNCTION rowcast.ask_may_join(claims text[], askers bigint[], rooms text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION rowcast.ask_may_join(claims text[], askers bigint[], rooms text[]) TO postgres WITH GRANT OPTION;


--
-- Name: FUNCTION attach(source regclass, room text, on_insert text, on_update text, on_delete text, update_columns text[], rules jsonb, condition jsonpath, payload jsonb, omit text[], key_case text, order_column text, dry_run boolean, rooms jsonb, lookups jsonb, words jsonb, defaults jsonb, as_text text[], order_columns text[], timezone text, capture text, always boolean); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.attach(source regclass, room text, on_insert text, on_update text, on_delete text, update_columns text[], rules jsonb, condition jsonpath, payload jsonb, omit text[], key_case text, order_column text, dry_run boolean, rooms jsonb, lookups jsonb, words jsonb, defaults jsonb, as_text text[], order_columns text[], timezone text, capture text, always boolean) FROM PUBLIC;


--
-- Name: FUNCTION attach_call(source text, arguments jsonb); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.attach_call(source text, arguments jsonb) FROM PUBLIC;


--
-- Name: FUNCTION attach_sql(definition rowcast.attached); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.attach_sql(definition rowcast.attached) FROM PUBLIC;


--
-- Name: FUNCTION bounded_row(typed anyelement, source_row record); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.bounded_row(typed anyelement, source_row record) FROM PUBLIC;


--
-- Name: FUNCTION bounded_value(value anyelement); Type: ACL; Schema: rowcast; Owner: rowcast_capture
--

REVOKE ALL ON FUNCTION rowcast.bounded_value(value anyelement) FROM PUBLIC;
GRANT ALL ON FUNCTION rowcast.bounded_value(value anyelement) TO postgres;


--
-- Name: FUNCTION camel(name text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.camel(name text) FROM PUBLIC;


--
-- Name: FUNCTION capture_name(definition rowcast.attached, operation text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.capture_name(definition rowcast.attached, operation text) FROM PUBLIC;


--
-- Name: FUNCTION capture_public_conversations_delete(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.capture_public_conversations_delete() FROM PUBLIC;


--
-- Name: FUNCTION capture_public_conversations_insert(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.capture_public_conversations_insert() FROM PUBLIC;


--
-- Name: FUNCTION capture_public_conversations_truncate(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.capture_public_conversations_truncate() FROM PUBLIC;


--
-- Name: FUNCTION capture_public_conversations_update(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.capture_public_conversations_update() FROM PUBLIC;


--
-- Name: FUNCTION capture_public_letters_insert(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.capture_public_letters_insert() FROM PUBLIC;


--
-- Name: FUNCTION capture_public_letters_truncate(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.capture_public_letters_truncate() FROM PUBLIC;


--
-- Name: FUNCTION capture_public_letters_update(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.capture_public_letters_update() FROM PUBLIC;


--
-- Name: FUNCTION capture_public_messages_delete(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.capture_public_messages_delete() FROM PUBLIC;


--
-- Name: FUNCTION capture_public_messages_insert(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.capture_public_messages_insert() FROM PUBLIC;


--
-- Name: FUNCTION capture_public_messages_truncate(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.capture_public_messages_truncate() FROM PUBLIC;


--
-- Name: FUNCTION capture_public_messages_update(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.capture_public_messages_update() FROM PUBLIC;


--
-- Name: FUNCTION capture_public_notes_insert(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.capture_public_notes_insert() FROM PUBLIC;


--
-- Name: FUNCTION capture_public_notes_truncate(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.capture_public_notes_truncate() FROM PUBLIC;


--
-- Name: FUNCTION capture_public_notes_update(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.capture_public_notes_update() FROM PUBLIC;


--
-- Name: FUNCTION capture_public_wa_delete(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.capture_public_wa_delete() FROM PUBLIC;


--
-- Name: FUNCTION capture_public_wa_insert(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.capture_public_wa_insert() FROM PUBLIC;


--
-- Name: FUNCTION capture_public_wa_truncate(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.capture_public_wa_truncate() FROM PUBLIC;


--
-- Name: FUNCTION capture_public_wa_update(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.capture_public_wa_update() FROM PUBLIC;


--
-- Name: FUNCTION capture_sql(definition rowcast.attached, operation text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.capture_sql(definition rowcast.attached, operation text) FROM PUBLIC;


--
-- Name: FUNCTION captures(definition rowcast.attached, operation text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.captures(definition rowcast.attached, operation text) FROM PUBLIC;


--
-- Name: FUNCTION careful_row(source_row record, capture text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.careful_row(source_row record, capture text) FROM PUBLIC;


--
-- Name: FUNCTION cause_sql(operation text, rule jsonb, suffix text, condition text, keeps_key text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.cause_sql(operation text, rule jsonb, suffix text, condition text, keeps_key text) FROM PUBLIC;


--
-- Name: FUNCTION chat_apply_status(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.chat_apply_status() FROM PUBLIC;


--
-- Name: FUNCTION chat_note(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.chat_note() FROM PUBLIC;


--
-- Name: FUNCTION chat_place_statuses(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.chat_place_statuses() FROM PUBLIC;


--
-- Name: FUNCTION chat_preview(id uuid, direction text, author text, body text, status text, metadata jsonb); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.chat_preview(id uuid, direction text, author text, body text, status text, metadata jsonb) FROM PUBLIC;


--
-- Name: FUNCTION chat_settle(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.chat_settle() FROM PUBLIC;


--
-- Name: FUNCTION chat_show(contact text, more_unread integer); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.chat_show(contact text, more_unread integer) FROM PUBLIC;


--
-- Name: FUNCTION chat_stamp(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.chat_stamp() FROM PUBLIC;


--
-- Name: FUNCTION chat_store_items(items rowcast.whatsapp_item[]); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.chat_store_items(items rowcast.whatsapp_item[]) FROM PUBLIC;


--
-- Name: FUNCTION chat_take_status(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.chat_take_status() FROM PUBLIC;


--
-- Name: FUNCTION chat_touch(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.chat_touch() FROM PUBLIC;


--
-- Name: FUNCTION chat_truncate(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.chat_truncate() FROM PUBLIC;


--
-- Name: FUNCTION check_columns(argument text, names text[], known text[], source text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.check_columns(argument text, names text[], known text[], source text) FROM PUBLIC;


--
-- Name: FUNCTION check_event_name(caller text, event text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.check_event_name(caller text, event text) FROM PUBLIC;


--
-- Name: FUNCTION check_payload(definition rowcast.attached, event text, payload jsonb); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.check_payload(definition rowcast.attached, event text, payload jsonb) FROM PUBLIC;


--
-- Name: FUNCTION check_reader(relation regclass); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.check_reader(relation regclass) FROM PUBLIC;


--
-- Name: FUNCTION check_references(definition rowcast.attached, argument text, names text[], others text[]); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.check_references(definition rowcast.attached, argument text, names text[], others text[]) FROM PUBLIC;


--
-- Name: FUNCTION check_room(definition rowcast.attached); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.check_room(definition rowcast.attached) FROM PUBLIC;


--
-- Name: FUNCTION check_source(relation regclass, by_row boolean, always boolean); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.check_source(relation regclass, by_row boolean, always boolean) FROM PUBLIC;


--
-- Name: FUNCTION check_told(definition rowcast.attached); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.check_told(definition rowcast.attached) FROM PUBLIC;


--
-- Name: FUNCTION checked_condition(definition rowcast.attached, argument text, condition text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.checked_condition(definition rowcast.attached, argument text, condition text) FROM PUBLIC;


--
-- Name: FUNCTION has_prefix(prefixes jsonb, room text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.has_prefix(prefixes jsonb, room text) FROM PUBLIC;
GRANT ALL ON FUNCTION rowcast.has_prefix(prefixes jsonb, room text) TO rowcast_policy;


--
-- Name: FUNCTION claims_allow(claims jsonb, room text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.claims_allow(claims jsonb, room text) FROM PUBLIC;
GRANT ALL ON FUNCTION rowcast.claims_allow(claims jsonb, room text) TO rowcast_policy;


--
-- Name: FUNCTION column_sql(definition rowcast.attached, name text, side text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.column_sql(definition rowcast.attached, name text, side text) FROM PUBLIC;


--
-- Name: FUNCTION confine(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.confine() FROM PUBLIC;


--
-- Name: FUNCTION confine_policy(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.confine_policy() FROM PUBLIC;


--
-- Name: FUNCTION confined_row(source_row record); Type: ACL; Schema: rowcast; Owner: rowcast_capture
--

REVOKE ALL ON FUNCTION rowcast.confined_row(source_row record) FROM PUBLIC;
GRANT ALL ON FUNCTION rowcast.confined_row(source_row record) TO postgres;


--
-- Name: FUNCTION contact_sql(definition rowcast.attached, side text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.contact_sql(definition rowcast.attached, side text) FROM PUBLIC;


--
-- Name: FUNCTION create_inbox(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.create_inbox() FROM PUBLIC;


--
-- Name: FUNCTION default_payload(definition rowcast.attached, operation text, event text, columns text[]); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.default_payload(definition rowcast.attached, operation text, event text, columns text[]) FROM PUBLIC;


--
-- Name: FUNCTION default_payload(definition rowcast.attached, operation text, event text, columns text[], has_messages boolean); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.default_payload(definition rowcast.attached, operation text, event text, columns text[], has_messages boolean) FROM PUBLIC;


--
-- Name: FUNCTION define(relation regclass, specs jsonb, rooms jsonb, condition text, omit text[], key_case text, order_column text, order_columns text[], lookups jsonb, words jsonb, defaults jsonb, as_text text[], timezone text, by_row boolean, always boolean); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.define(relation regclass, specs jsonb, rooms jsonb, condition text, omit text[], key_case text, order_column text, order_columns text[], lookups jsonb, words jsonb, defaults jsonb, as_text text[], timezone text, by_row boolean, always boolean) FROM PUBLIC;


--
-- Name: FUNCTION definition_of(source text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.definition_of(source text) FROM PUBLIC;


--
-- Name: FUNCTION detach(source text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.detach(source text) FROM PUBLIC;


--
-- Name: FUNCTION doubtful_cascades(definition rowcast.attached, relation regclass); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.doubtful_cascades(definition rowcast.attached, relation regclass) FROM PUBLIC;


--
-- Name: FUNCTION doubtful_ids(definition rowcast.attached); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.doubtful_ids(definition rowcast.attached) FROM PUBLIC;


--
-- Name: FUNCTION doubtful_messages(definition rowcast.attached); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.doubtful_messages(definition rowcast.attached) FROM PUBLIC;


--
-- Name: FUNCTION doubtful_order(definition rowcast.attached, relation regclass, was_given boolean); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.doubtful_order(definition rowcast.attached, relation regclass, was_given boolean) FROM PUBLIC;


--
-- Name: FUNCTION doubtful_room(template text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.doubtful_room(template text) FROM PUBLIC;


--
-- Name: FUNCTION doubts(definition rowcast.attached, relation regclass, order_was_given boolean); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.doubts(definition rowcast.attached, relation regclass, order_was_given boolean) FROM PUBLIC;


--
-- Name: FUNCTION drop_functions_sql(definition rowcast.attached); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.drop_functions_sql(definition rowcast.attached) FROM PUBLIC;


--
-- Name: FUNCTION emit(room text, event text, data json); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.emit(room text, event text, data json) FROM PUBLIC;


--
-- Name: FUNCTION emit(room text, event text, data jsonb); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.emit(room text, event text, data jsonb) FROM PUBLIC;


--
-- Name: FUNCTION emit(room text, event text, data text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.emit(room text, event text, data text) FROM PUBLIC;


--
-- Name: FUNCTION examples(definition rowcast.attached, relation regclass); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.examples(definition rowcast.attached, relation regclass) FROM PUBLIC;


--
-- Name: FUNCTION feeds_of(definition rowcast.attached); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.feeds_of(definition rowcast.attached) FROM PUBLIC;


--
-- Name: FUNCTION follow_tables(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.follow_tables() FROM PUBLIC;


--
-- Name: FUNCTION form_of(type oid); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.form_of(type oid) FROM PUBLIC;


--
-- Name: FUNCTION forms_of(relation oid); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.forms_of(relation oid) FROM PUBLIC;


--
-- Name: FUNCTION found_member_sql(name text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.found_member_sql(name text) FROM PUBLIC;


--
-- Name: FUNCTION found_rows_sql(definition rowcast.attached, operation text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.found_rows_sql(definition rowcast.attached, operation text) FROM PUBLIC;


--
-- Name: FUNCTION found_sql(lookup jsonb); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.found_sql(lookup jsonb) FROM PUBLIC;


--
-- Name: FUNCTION function_sql(definition rowcast.attached, operation text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.function_sql(definition rowcast.attached, operation text) FROM PUBLIC;


--
-- Name: FUNCTION give_confined_away(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.give_confined_away() FROM PUBLIC;


--
-- Name: FUNCTION give_policy_away(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.give_policy_away() FROM PUBLIC;


--
-- Name: FUNCTION guessed_order(relation regclass, columns text[]); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.guessed_order(relation regclass, columns text[]) FROM PUBLIC;


--
-- Name: FUNCTION is_part(relation oid, function oid); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.is_part(relation oid, function oid) FROM PUBLIC;


--
-- Name: FUNCTION is_plain(capture text, may_be_styled boolean); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.is_plain(capture text, may_be_styled boolean) FROM PUBLIC;


--
-- Name: FUNCTION is_styled(type oid); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.is_styled(type oid) FROM PUBLIC;


--
-- Name: FUNCTION joinable_sql(template text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.joinable_sql(template text) FROM PUBLIC;


--
-- Name: FUNCTION joinable_sql(definition rowcast.attached); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.joinable_sql(definition rowcast.attached) FROM PUBLIC;


--
-- Name: FUNCTION json_row_sql(definition rowcast.attached); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.json_row_sql(definition rowcast.attached) FROM PUBLIC;


--
-- Name: FUNCTION json_sql(definition rowcast.attached, lookup text, col text, manner text, side text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.json_sql(definition rowcast.attached, lookup text, col text, manner text, side text) FROM PUBLIC;


--
-- Name: FUNCTION keeps_key_sql(definition rowcast.attached, events jsonb); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.keeps_key_sql(definition rowcast.attached, events jsonb) FROM PUBLIC;


--
-- Name: FUNCTION key_sql(definition rowcast.attached, side text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.key_sql(definition rowcast.attached, side text) FROM PUBLIC;


--
-- Name: FUNCTION key_template(definition rowcast.attached); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.key_template(definition rowcast.attached) FROM PUBLIC;


--
-- Name: FUNCTION key_type(argument text, name text, type oid); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.key_type(argument text, name text, type oid) FROM PUBLIC;


--
-- Name: FUNCTION known_names(definition rowcast.attached, others text[]); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.known_names(definition rowcast.attached, others text[]) FROM PUBLIC;


--
-- Name: FUNCTION look_up_what_is_left(lookup jsonb, keys text[]); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.look_up_what_is_left(lookup jsonb, keys text[]) FROM PUBLIC;


--
-- Name: FUNCTION lookup_functions_sql(definition rowcast.attached); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.lookup_functions_sql(definition rowcast.attached) FROM PUBLIC;


--
-- Name: FUNCTION lookup_join_sql(lookup jsonb, key text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.lookup_join_sql(lookup jsonb, key text) FROM PUBLIC;


--
-- Name: FUNCTION lookup_key_sql(definition rowcast.attached, lookup jsonb, side text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.lookup_key_sql(definition rowcast.attached, lookup jsonb, side text) FROM PUBLIC;


--
-- Name: FUNCTION lookup_public_notes_1(keys text[]); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.lookup_public_notes_1(keys text[]) FROM PUBLIC;


--
-- Name: FUNCTION lookups_of(definition rowcast.attached); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.lookups_of(definition rowcast.attached) FROM PUBLIC;


--
-- Name: FUNCTION made_by_attach(definition rowcast.attached); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.made_by_attach(definition rowcast.attached) FROM PUBLIC;


--
-- Name: FUNCTION may_have_colon(definition rowcast.attached, name text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.may_have_colon(definition rowcast.attached, name text) FROM PUBLIC;


--
-- Name: FUNCTION may_join(claims jsonb, room text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.may_join(claims jsonb, room text) FROM PUBLIC;
GRANT ALL ON FUNCTION rowcast.may_join(claims jsonb, room text) TO rowcast_policy;


--
-- Name: FUNCTION measured_row(source_row record, capture text, whole jsonb); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.measured_row(source_row record, capture text, whole jsonb) FROM PUBLIC;


--
-- Name: FUNCTION meets_sql(condition text, side text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.meets_sql(condition text, side text) FROM PUBLIC;


--
-- Name: FUNCTION member_sql(lookup text, col text, side text, is_text boolean); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.member_sql(lookup text, col text, side text, is_text boolean) FROM PUBLIC;


--
-- Name: FUNCTION members_sql(definition rowcast.attached, template jsonb, side text, row_alias text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.members_sql(definition rowcast.attached, template jsonb, side text, row_alias text) FROM PUBLIC;


--
-- Name: FUNCTION named_by(definition rowcast.attached, condition text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.named_by(definition rowcast.attached, condition text) FROM PUBLIC;


--
-- Name: FUNCTION names_of(argument text, value jsonb); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.names_of(argument text, value jsonb) FROM PUBLIC;


--
-- Name: FUNCTION needed_lookups(definition rowcast.attached); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.needed_lookups(definition rowcast.attached) FROM PUBLIC;


--
-- Name: FUNCTION needs_care(relation regclass); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.needs_care(relation regclass) FROM PUBLIC;


--
-- Name: FUNCTION no_code_sql(lookup jsonb); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.no_code_sql(lookup jsonb) FROM PUBLIC;


--
-- Name: FUNCTION note_removal(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.note_removal() FROM PUBLIC;


--
-- Name: FUNCTION one_event_sql(definition rowcast.attached, rule jsonb, suffix text, side text, cause text, joinable text, rows text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.one_event_sql(definition rowcast.attached, rule jsonb, suffix text, side text, cause text, joinable text, rows text) FROM PUBLIC;


--
-- Name: FUNCTION only_ids(data json); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.only_ids(data json) FROM PUBLIC;


--
-- Name: FUNCTION only_of_parts_sql(definition rowcast.attached, operation text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.only_of_parts_sql(definition rowcast.attached, operation text) FROM PUBLIC;


--
-- Name: FUNCTION own_row_sql(operation text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.own_row_sql(operation text) FROM PUBLIC;


--
-- Name: FUNCTION part_operations(definition rowcast.attached, is_partition boolean); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.part_operations(definition rowcast.attached, is_partition boolean) FROM PUBLIC;


--
-- Name: FUNCTION part_sql(definition rowcast.attached, name text, is_partition boolean); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.part_sql(definition rowcast.attached, name text, is_partition boolean) FROM PUBLIC;


--
-- Name: FUNCTION parts_of(relation oid); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.parts_of(relation oid) FROM PUBLIC;


--
-- Name: FUNCTION payload_sql(definition rowcast.attached, template jsonb, side text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.payload_sql(definition rowcast.attached, template jsonb, side text) FROM PUBLIC;


--
-- Name: FUNCTION pieces(template text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.pieces(template text) FROM PUBLIC;


--
-- Name: FUNCTION placeholder(name text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.placeholder(name text) FROM PUBLIC;


--
-- Name: FUNCTION placeholder_column(definition rowcast.attached, name text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.placeholder_column(definition rowcast.attached, name text) FROM PUBLIC;


--
-- Name: FUNCTION placeholder_sql(definition rowcast.attached, name text, side text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.placeholder_sql(definition rowcast.attached, name text, side text) FROM PUBLIC;


--
-- Name: FUNCTION placeholder_text_sql(definition rowcast.attached, name text, side text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.placeholder_text_sql(definition rowcast.attached, name text, side text) FROM PUBLIC;


--
-- Name: FUNCTION placeholders(template jsonb); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.placeholders(template jsonb) FROM PUBLIC;


--
-- Name: FUNCTION preview(source regclass, arguments jsonb, with_examples boolean); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.preview(source regclass, arguments jsonb, with_examples boolean) FROM PUBLIC;


--
-- Name: FUNCTION recount_conversations(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.recount_conversations() FROM PUBLIC;


--
-- Name: FUNCTION reference(definition rowcast.attached, name text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.reference(definition rowcast.attached, name text) FROM PUBLIC;


--
-- Name: FUNCTION refuse(message text, hint text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.refuse(message text, hint text) FROM PUBLIC;


--
-- Name: FUNCTION regenerate(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.regenerate() FROM PUBLIC;


--
-- Name: FUNCTION relation_named(definition rowcast.attached, argument text, name text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.relation_named(definition rowcast.attached, argument text, name text) FROM PUBLIC;


--
-- Name: FUNCTION relation_of(capture text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.relation_of(capture text) FROM PUBLIC;


--
-- Name: FUNCTION reload(source text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.reload(source text) FROM PUBLIC;


--
-- Name: FUNCTION remember_code(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.remember_code() FROM PUBLIC;


--
-- Name: FUNCTION remember_source(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.remember_source() FROM PUBLIC;


--
-- Name: FUNCTION resolve_events(definition rowcast.attached, spec jsonb, argument text, has_messages boolean); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.resolve_events(definition rowcast.attached, spec jsonb, argument text, has_messages boolean) FROM PUBLIC;


--
-- Name: FUNCTION resolve_lookups(definition rowcast.attached, relation regclass, lookups jsonb); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.resolve_lookups(definition rowcast.attached, relation regclass, lookups jsonb) FROM PUBLIC;


--
-- Name: FUNCTION resolve_rooms(definition rowcast.attached, first jsonb, rooms jsonb); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.resolve_rooms(definition rowcast.attached, first jsonb, rooms jsonb) FROM PUBLIC;


--
-- Name: FUNCTION revoke(subject text, room text, reason text, issuer text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.revoke(subject text, room text, reason text, issuer text) FROM PUBLIC;


--
-- Name: FUNCTION room_patterns(definition rowcast.attached); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.room_patterns(definition rowcast.attached) FROM PUBLIC;


--
-- Name: FUNCTION room_sql(definition rowcast.attached, side text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.room_sql(definition rowcast.attached, side text) FROM PUBLIC;


--
-- Name: FUNCTION rooms_of(definition rowcast.attached); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.rooms_of(definition rowcast.attached) FROM PUBLIC;


--
-- Name: FUNCTION row_members(definition rowcast.attached, side text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.row_members(definition rowcast.attached, side text) FROM PUBLIC;


--
-- Name: FUNCTION row_sql(definition rowcast.attached, side text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.row_sql(definition rowcast.attached, side text) FROM PUBLIC;


--
-- Name: FUNCTION rows_sql(definition rowcast.attached, operation text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.rows_sql(definition rowcast.attached, operation text) FROM PUBLIC;


--
-- Name: FUNCTION server_secret(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.server_secret() FROM PUBLIC;


--
-- Name: FUNCTION sets_style(definition rowcast.attached); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.sets_style(definition rowcast.attached) FROM PUBLIC;


--
-- Name: FUNCTION settle_conversations(most integer); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.settle_conversations(most integer) FROM PUBLIC;


--
-- Name: FUNCTION shown_members(definition rowcast.attached, template jsonb); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.shown_members(definition rowcast.attached, template jsonb) FROM PUBLIC;


--
-- Name: FUNCTION signed(channel text, payload text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.signed(channel text, payload text) FROM PUBLIC;


--
-- Name: FUNCTION store_whatsapp(request text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.store_whatsapp(request text) FROM PUBLIC;


--
-- Name: FUNCTION styled_row(source_row record, capture text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.styled_row(source_row record, capture text) FROM PUBLIC;


--
-- Name: FUNCTION tell_sources(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.tell_sources() FROM PUBLIC;


--
-- Name: FUNCTION tell_to_reload(source text, rooms text[], reason text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.tell_to_reload(source text, rooms text[], reason text) FROM PUBLIC;


--
-- Name: FUNCTION text_sql(definition rowcast.attached, lookup text, col text, manner text, side text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.text_sql(definition rowcast.attached, lookup text, col text, manner text, side text) FROM PUBLIC;


--
-- Name: FUNCTION texts(value jsonb); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.texts(value jsonb) FROM PUBLIC;


--
-- Name: FUNCTION told_name(lookup text, col text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.told_name(lookup text, col text) FROM PUBLIC;


--
-- Name: FUNCTION told_sql(definition rowcast.attached, told text, raw text, value text, is_text boolean); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.told_sql(definition rowcast.attached, told text, raw text, value text, is_text boolean) FROM PUBLIC;


--
-- Name: FUNCTION trigger_on_sql(definition rowcast.attached, operation text, relation text, trigger_name text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.trigger_on_sql(definition rowcast.attached, operation text, relation text, trigger_name text) FROM PUBLIC;


--
-- Name: FUNCTION trigger_sql(definition rowcast.attached, operation text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.trigger_sql(definition rowcast.attached, operation text) FROM PUBLIC;


--
-- Name: FUNCTION truncate_function_sql(definition rowcast.attached); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.truncate_function_sql(definition rowcast.attached) FROM PUBLIC;


--
-- Name: FUNCTION truncate_payload(data json); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.truncate_payload(data json) FROM PUBLIC;


--
-- Name: FUNCTION typing(contact_id text, typing boolean); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.typing(contact_id text, typing boolean) FROM PUBLIC;


--
-- Name: FUNCTION unfollowed(definition rowcast.attached, relation oid); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.unfollowed(definition rowcast.attached, relation oid) FROM PUBLIC;


--
-- Name: FUNCTION unusual(room text, data json, origin jsonb, source text, key_columns text[]); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.unusual(room text, data json, origin jsonb, source text, key_columns text[]) FROM PUBLIC;


--
-- Name: FUNCTION wake(); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.wake() FROM PUBLIC;


--
-- Name: FUNCTION wire_name(definition rowcast.attached, name text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.wire_name(definition rowcast.attached, name text) FROM PUBLIC;


--
-- Name: FUNCTION write_confined(runs_as text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.write_confined(runs_as text) FROM PUBLIC;


--
-- Name: FUNCTION zoned(value text, zone text); Type: ACL; Schema: rowcast; Owner: postgres
--

REVOKE ALL ON FUNCTION rowcast.zoned(value text, zone text) FROM PUBLIC;


--
-- Name: secret; Type: MATERIALIZED VIEW DATA; Schema: rowcast; Owner: postgres
--

REFRESH MATERIALIZED VIEW rowcast.secret;


--
-- PostgreSQL database dump complete
--


