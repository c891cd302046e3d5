-- Ended sessions: how much a client leaves behind that connects again and again is bounded.
--
-- A server removes the sessions of whoever has left more than ROWCAST_MAX_SESSIONS_SIZE, those first that ended longest ago. Sessions of
-- connected clients are not touched.
--
-- Guarantee: a session that is removed before its client came back is one that can't be resumed: the client is told to load its rooms.
-- Cost:      an index entry when a connection ends, and none while it lasts.
-- Rights:    nothing is granted.

alter table rowcast.sessions add column ended_at timestamptz, add column counted_for bytea;
comment on column rowcast.sessions.ended_at is
  'when the connection ended, or was resumed last; null while the client is connected and has joined or left a room since';
comment on column rowcast.sessions.counted_for is 'a hash of the identity, or for a client without a token of its address';

create index sessions_ended on rowcast.sessions (counted_for, ended_at) where ended_at is not null;
