-- Sessions: what a client that lost its connection is given again; and revocations, the end of a right for a subject whose tokens live on.
--
-- Guarantee: a join is answered after the room stands here, so a server that is killed forgets no room that a client counts on.
--            A server removes the sessions of whoever has left more than ROWCAST_MAX_SESSIONS_SIZE, those first that ended longest ago; those
--            of connected clients are not touched. A session that is removed before its client came back is one that can't be resumed: the
--            client is told to load its rooms.
--            A revocation is a row, and an event in the outbox of the same transaction. Every server follows the outbox, so each handles
--            it at its place among the events; a server that starts, or may have missed an event, reads the table.
-- Cost:      servers write in batches: one statement for all joins that came meanwhile. Writers of events pay nothing. One row per revoked
--            subject and room, however often it is revoked.
-- Rights:    nothing is granted; docs/sql.md lists what a server's role needs. A pid is a secret and only its hash is kept.
--            rowcast.revoke runs as its owner with a fixed search_path; execute is revoked from public (rowcast grant ROLE --revoke).

-- Names mean Postgres's own things here, whatever is planted in the path of who migrates; the end of this file sets it back.
select pg_catalog.set_config('rowcast.path'::pg_catalog.text, pg_catalog.current_setting('search_path'::pg_catalog.text), true);
set local search_path = pg_catalog, pg_temp;

create table rowcast.sessions (
  pid_hash bytea primary key,
  identity text not null,
  owner bigint not null,
  rooms jsonb not null default '{}',
  last_sent_offset text not null,
  complete_to_offset text not null,
  updated_at timestamptz not null default now(),
  ended_at timestamptz,
  counted_for bytea
);
comment on table rowcast.sessions is 'resume sessions: one row per connection, kept as long as events are';
comment on column rowcast.sessions.pid_hash is 'the hash of the secret that the client shows when it comes back';
comment on column rowcast.sessions.identity is 'who may resume it';
comment on column rowcast.sessions.owner is
  'the connection that the session belongs to; a client that comes back takes it over, and writes of the earlier one are ignored';
comment on column rowcast.sessions.rooms is 'by room, the offset that the client joined with and the one that it joined at';
comment on column rowcast.sessions.last_sent_offset is 'the offset of the last event that the client was sent';
comment on column rowcast.sessions.complete_to_offset is
  'a client that got the event of last_sent_offset has missed nothing up to here, even if its rooms were quiet for longer than events are kept';
comment on column rowcast.sessions.ended_at is
  'when the connection ended, or was resumed last; null while the client is connected and has joined or left a room since';
comment on column rowcast.sessions.counted_for is 'a hash of the identity, or for a client without a token of its address';

-- What nobody came back to is found without reading the rows of everybody else.
create index sessions_updated on rowcast.sessions (updated_at);
-- For the sessions of a subject. An identity is "anonymous", or a JSON array of issuer and subject; Postgres has no text for U+0000.
-- A hash index, because a subject may be longer than an entry of a tree.
create index sessions_subject on rowcast.sessions
  using hash ((case when identity like '[%' and position('\u0000' in identity) = 0 then identity::json ->> 1 end))
  where identity like '[%';
create index sessions_ended on rowcast.sessions (counted_for, ended_at) where ended_at is not null;

create table rowcast.revocations (
  subject text not null check (octet_length(subject) between 1 and 1000),
  issuer text check (octet_length(issuer) between 1 and 500),
  room text check (octet_length(room) between 1 and 600),
  revoked_at timestamptz not null,
  reason text check (octet_length(reason) <= 500)
);
comment on table rowcast.revocations is
  'whose tokens are refused: those of the subject that were issued up to revoked_at; removed when ROWCAST_MAX_TOKEN_AGE has passed';
comment on column rowcast.revocations.subject is 'the claim sub';
comment on column rowcast.revocations.issuer is 'the claim iss; null: whoever issued the token';
comment on column rowcast.revocations.room is 'null: every room, and the connection itself';
comment on column rowcast.revocations.revoked_at is 'by the clock of the database, when rowcast.revoke was called';
comment on column rowcast.revocations.reason is 'what a client is told that has to leave the room';

create unique index revocations_key on rowcast.revocations (subject, coalesce(issuer, ''), coalesce(room, ''));
create index revocations_revoked_at on rowcast.revocations (revoked_at);
analyze rowcast.revocations;

-- Ends a subject's rights: to one room, or to all of them and to its connections. Its tokens that were issued until now are refused from
-- now on. Concerns whoever has such a token, and nobody who gets one later.
create function rowcast.revoke(subject text, room text default null, reason text default null, issuer text default null) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
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
comment on function rowcast.revoke(text, text, text, text) is
  'ends a subject''s right to a room, or to everything, on every server; its tokens that were issued until now are refused';

revoke all on function rowcast.revoke from public;

select pg_catalog.set_config('search_path'::pg_catalog.text, pg_catalog.current_setting('rowcast.path'::pg_catalog.text), true);
