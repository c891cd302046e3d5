-- Policy: who may join which room. It is asked for clients that have a token (ROWCAST_AUTH=jwt), and for them only.
--
-- Guarantee: rowcast.may_join is the owner's to replace. It is made here once, if there is none, and no migration touches it again.
--            Only true allows: null is no.
-- Cost:      none for writers. One read-only transaction for a join, and one for all rooms of a client that comes back.
-- Rights:    the server asks as the role rowcast_policy, which may use this schema and call the policy, and read nothing of ours.
--            It can't log in. Where it can't be made, the server asks as itself, and `rowcast doctor` says so. Execute is revoked
--            from public.

-- A role belongs to the whole cluster: another database, or another server that migrates at this moment, may have made it.
do $$
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'rowcast_policy') then
    create role rowcast_policy nologin;
  end if;
exception
  when duplicate_object or unique_violation then null;
  when insufficient_privilege or feature_not_supported then
    raise notice 'rowcast: % may not make the role rowcast_policy: rowcast grant prints how to make it', current_user;
end $$;

-- Whether one of the texts in a JSON array ends in * and is, up to there, how the room begins.
create function rowcast.has_prefix(prefixes jsonb, room text) returns boolean
language sql stable parallel safe
return exists (
  select from pg_catalog.jsonb_array_elements_text(prefixes) p (prefix)
  where pg_catalog.right(p.prefix, 1) = '*' and pg_catalog.starts_with(has_prefix.room, pg_catalog.left(p.prefix, -1))
);
comment on function rowcast.has_prefix(jsonb, text) is 'whether a room begins as one of the prefixes, which end in *';

-- What claims alone say. A number stands for the contact whose id is written like it: 42 for 42, and not for 042. Without a subquery
-- Postgres puts the function into the statement that calls it.
create function rowcast.claims_allow(claims jsonb, room text) returns boolean
language sql stable parallel safe
return coalesce(
  case when pg_catalog.starts_with(room, 'conversation:') then
    case pg_catalog.jsonb_typeof(claims -> 'conversations')
      when 'string' then claims ->> 'conversations' = '*'
      when 'array' then claims -> 'conversations' @> pg_catalog.to_jsonb(pg_catalog.substr(room, 14))
        or case when pg_catalog.substr(room, 14) ~ '^(0|-?[1-9][0-9]*)$'
             then claims -> 'conversations' @> pg_catalog.substr(room, 14)::jsonb else false end
    end
  end, false)
  or case when pg_catalog.jsonb_typeof(claims -> 'rooms') = 'array' then
    claims -> 'rooms' @> pg_catalog.to_jsonb(room) or rowcast.has_prefix(claims -> 'rooms', room)
  else false end;
comment on function rowcast.claims_allow(jsonb, text) is
  'whether claims.conversations (contact ids, or "*") or claims.rooms (rooms, or prefixes that end in *) has the room';

revoke all on function rowcast.has_prefix(jsonb, text), rowcast.claims_allow(jsonb, text) from public;

do $$
begin
  if pg_catalog.to_regprocedure('rowcast.may_join(jsonb, text)') is null then
    create function rowcast.may_join(claims jsonb, room text) returns boolean
    language sql stable parallel safe
    return rowcast.claims_allow(claims, room);
    comment on function rowcast.may_join(jsonb, text) is
      'whether a token with these claims may join the room: yours to replace, no migration touches it again';
    revoke all on function rowcast.may_join(jsonb, text) from public;
    if exists (select from pg_catalog.pg_roles where rolname = 'rowcast_policy') then
      grant execute on function rowcast.may_join(jsonb, text) to rowcast_policy;
    end if;
  end if;
end $$;

-- What the role may do, and that the server may become it.
do $$
declare
  is_member text := case when pg_catalog.current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end;
begin
  if not exists (select from pg_catalog.pg_roles where rolname = 'rowcast_policy') then
    return;
  end if;
  grant usage on schema rowcast to rowcast_policy;
  grant execute on function rowcast.has_prefix(jsonb, text), rowcast.claims_allow(jsonb, text) to rowcast_policy;
  if not pg_catalog.pg_has_role('rowcast_policy', is_member) then
    execute pg_catalog.format('grant rowcast_policy to %I', current_user);
  end if;
exception
  -- Another cluster-wide change at this moment is an internal error to Postgres.
  when insufficient_privilege or internal_error or feature_not_supported then
    raise notice 'rowcast: % may not become rowcast_policy: rowcast grant prints how it can', current_user;
end $$;
