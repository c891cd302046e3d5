-- Sources: what is attached, whether it still works, and how to take it away.
--
-- Guarantee: detaching leaves no trace, whether the table is still there or not.
-- Cost:      detach takes one ACCESS EXCLUSIVE lock on the table, waited for at most lock_timeout, 5 s if that is unset.
-- Rights:    detach runs as the owner of this schema and needs no right on the table, because a function that is dropped takes its
--            triggers along; execute is revoked from public.

create function rowcast.detach(source text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp set client_min_messages = warning as $$
declare
  definition rowcast.attached;
  operation text;
  -- The argument as SQL reads a name: {schema, table} or {table}.
  parts text[] := parse_ident(source);
  limited boolean := current_setting('lock_timeout') <> '0';
begin
  -- By the name that the table was attached with, or by the one that it has now. A name without a schema is enough where only
  -- one attached table is called so.
  select a.* into definition from rowcast.attached a
  where parts in (parse_ident(a.source), parse_ident(rowcast.relation_of(a.capture)::text))
     or cardinality(parts) = 1
        and array[a.source] = array(
          select b.source from rowcast.attached b
          where parts[1] in ((parse_ident(b.source))[2], (parse_ident(rowcast.relation_of(b.capture)::text))[2]))
  order by parse_ident(a.source) = parts desc limit 1;
  if definition.source is null then
    return format('%s was not attached', detach.source);
  end if;
  if not limited then
    perform set_config('lock_timeout', '5s', true);
  end if;
  begin
    foreach operation in array array['insert', 'update', 'delete'] loop
      execute format('drop function if exists rowcast.%I() cascade', rowcast.capture_name(definition, operation));
    end loop;
  exception when lock_not_available then
    raise exception 'rowcast.detach: % could not be locked within %: a transaction that used it is still open',
      definition.source, current_setting('lock_timeout') using errcode = '55P03', hint = 'Try again, or set lock_timeout.';
  end;
  if not limited then
    perform set_config('lock_timeout', '0', true);
  end if;
  delete from rowcast.attached a where a.source = definition.source;
  return format('%s is detached', definition.source);
end $$;
comment on function rowcast.detach is 'removes the triggers, functions and definition of a source; says what it did';

-- One row per attached table. `relation` is the table that it is now: the one with the triggers, or, where they are gone, the
-- one with the name.
create view rowcast.sources as
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
  where format('%I.%I', n.nspname, c.relname) = a.source
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
comment on view rowcast.sources is 'the attached tables; problems says what keeps a source from being captured as attached';

revoke all on all functions in schema rowcast from public;
