-- Reload: tells whoever listens in a source's rooms to load them again, where rows went or came without an event of their own.
--
-- A TRUNCATE removes rows without reading them, so nobody can say which. What is known is what the source's rooms are called. So one
-- event names them, as patterns: a room of the servers' own has it, and each server tells whoever is in a room that is meant, those
-- who were away as well, as soon as they ask for what they missed.
--
-- Guarantee: a TRUNCATE of an attached table, by its own name or by a cascade, is told to every client in a room that the table may have
--            had rows of: once, in the order of the events. Offsets from before it are no good in such a room.
-- Cost:      one row in rowcast.events, however large the table and however many its rooms. Other statements pay nothing.
-- Rights:    rowcast.reload runs as its owner with a fixed search_path, for whoever may call it and may read the table; execute is
--            revoked from public, and given to who may attach.

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

-- What a source's rooms may be called, as patterns of LIKE.
create function rowcast.room_patterns(definition rowcast.attached) returns text[]
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select array_agg(distinct pattern order by pattern) from (
    select (
      select string_agg(case when p.name is not null then '%' else regexp_replace(p.literal, '([\\%_])', '\\\1', 'g') end, '' order by p.place)
      from rowcast.pieces(r.room) p) as pattern
    from rowcast.rooms_of(definition) r
  ) patterns
$$;

-- Stores the event. One statement may truncate a table with its partitions, each of which comes here: that is one event, unless another
-- one of this session's was written in between.
create function rowcast.tell_to_reload(source text, rooms text[], reason text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  told text := current_setting('rowcast.told_to_reload', true);
  new_id bigint;
begin
  if told <> '' then
    begin
      if told = currval(pg_get_serial_sequence('rowcast.events', 'id')) || ' ' || source then
        return;
      end if;
    exception when others then
      null; -- The session forgot it: then it is told once more.
    end;
  end if;
  -- A crash must not undo what listeners were told to reload for: they would go on with what is not there any more.
  if current_setting('synchronous_commit') = 'off' then
    perform set_config('synchronous_commit', 'local', true);
  end if;
  -- Nobody else writes this source: capture writes the name of a table of somebody else's, and emit writes none.
  insert into rowcast.events (room, event, data, source)
  values ('rowcast:reloads', 'reload', json_build_object('rooms', rooms, 'source', source, 'reason', reason), 'rowcast.reload')
  returning id into new_id;
  perform set_config('rowcast.told_to_reload', new_id || ' ' || source, true);
end $$;

-- The attached table that a name means: the one that the table was attached with, or the one that it has now. A name without a schema is
-- enough where only one attached table is called so.
create function rowcast.definition_of(source text) returns rowcast.attached
language sql stable set search_path = pg_catalog, pg_temp as $$
  select a.* from rowcast.attached a
  where parse_ident(definition_of.source) in (parse_ident(a.source), parse_ident(rowcast.relation_of(a.capture)::text))
     or cardinality(parse_ident(definition_of.source)) = 1
        and array[a.source] = array(
          select b.source from rowcast.attached b
          where (parse_ident(definition_of.source))[1] in ((parse_ident(b.source))[2], (parse_ident(rowcast.relation_of(b.capture)::text))[2]))
  order by parse_ident(a.source) = parse_ident(definition_of.source) desc limit 1
$$;

create function rowcast.reload(source text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp set quote_all_identifiers = off as $$
declare
  definition rowcast.attached := rowcast.definition_of(source);
  -- As in 0036_readers.sql.
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
comment on function rowcast.reload is 'tells whoever listens in the rooms of an attached table to load them again';

revoke all on function rowcast.room_patterns, rowcast.tell_to_reload, rowcast.definition_of, rowcast.reload from public;

-- Who may attach may tell as well.
do $$
declare
  attacher record;
begin
  for attacher in
    select case when a.grantee = 0 then 'public' else a.grantee::regrole::text end as name, a.is_grantable
    from pg_proc p cross join aclexplode(p.proacl) a
    where p.pronamespace = 'rowcast'::regnamespace and p.proname = 'attach' and a.privilege_type = 'EXECUTE' and a.grantee <> p.proowner
  loop
    execute format('grant execute on function rowcast.reload(text) to %s%s', attacher.name,
      case when attacher.is_grantable then ' with grant option' else '' end);
  end loop;
end $$;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
