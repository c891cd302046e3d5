-- Attach: puts the generated triggers on a table, and takes them away.
--
-- rowcast.attach has its arguments checked and completed to a row of rowcast.attached (0014_define.sql), lets 0011_capture.sql write the
-- triggers for it, and runs that text. rowcast.regenerate writes the functions of the triggers anew: a migration that changes what attach
-- would write ends with `select rowcast.regenerate();`, and with
--   set constraints rowcast.remember_code immediate;
--   set constraints rowcast.remember_code deferred;
-- since a later migration may alter rowcast.attached in the same transaction.
--
-- Guarantee: attaching changes no row, and is done wholly or not at all. Attaching again replaces. Detaching leaves no trace, whether the
--            table is still there or not.
-- Cost:      one SHARE ROW EXCLUSIVE lock on the table (ACCESS EXCLUSIVE when a trigger is removed). It is waited for at
--            most lock_timeout, 5 s if that is unset, and writers wait behind it meanwhile. regenerate locks no table, so no writer waits; a
--            session plans its captured writes anew, once.
-- Rights:    attach and detach run as the owner of this schema, who needs TRIGGER on the table to attach, and no right to detach, because a
--            function that is dropped takes its triggers along. regenerate runs as whoever migrates. Execute is revoked from public.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

-- All that attaching runs, as text: the functions of its lookups, the triggers that the definition needs, without those it doesn't, those of
-- its parts, and its row.
create function rowcast.attach_sql(definition rowcast.attached) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
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

-- Makes changes of a table events. A table that took the name of one that was renamed takes its definition over, and a table takes over its
-- parts.
create function rowcast.attach(
  source regclass,
  room text default null,
  on_insert text default null,
  on_update text default null,
  on_delete text default null,
  update_columns text[] default null,
  rules jsonb default null,
  condition jsonpath default null,
  payload jsonb default null,
  omit text[] default '{}',
  key_case text default 'camel',
  order_column text default null,
  dry_run boolean default false,
  rooms jsonb default null,
  lookups jsonb default null,
  words jsonb default null,
  defaults jsonb default null,
  as_text text[] default null,
  order_columns text[] default null,
  timezone text default null,
  capture text default 'statement',
  always boolean default false
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp set quote_all_identifiers = off set jit = off as $$
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
end $$;
comment on function rowcast.attach is 'makes changes of a table events; returns the SQL it ran, or with dry_run would run';

-- Takes all of it away. It is for who may attach: a role that can't read a table can't end its events either. Of a table that is gone whoever
-- may call this takes the definition away.
create function rowcast.detach(source text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp set client_min_messages = warning set quote_all_identifiers = off as $$
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
end $$;
comment on function rowcast.detach is 'removes the triggers, functions and definition of a source; says what it did';

-- Writes the functions of all triggers anew, and what history reads. The triggers stay as they are.
create function rowcast.regenerate() returns void
language plpgsql set search_path = pg_catalog, pg_temp set quote_all_identifiers = off as $$
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

revoke all on function rowcast.attach_sql, rowcast.attach, rowcast.detach, rowcast.regenerate from public;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
