-- Sessions: what a client that lost its connection is given again.
--
-- Guarantee: a join is answered after the room stands here, so a server that is killed forgets no room that a client counts on.
-- Cost:      servers write in batches: one statement for all joins that came meanwhile. Writers of events pay nothing.
-- Rights:    nothing is granted; docs/sql.md lists what a server's role needs. A pid is a secret and only its hash is kept.

create table rowcast.sessions (
  pid_hash bytea primary key,
  identity text not null,
  owner bigint not null,
  rooms jsonb not null default '{}',
  last_sent_offset text not null,
  complete_to_offset text not null,
  updated_at timestamptz not null default now()
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
