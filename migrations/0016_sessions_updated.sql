-- Sessions by their age: what nobody came back to is found without reading the rows of everybody else.
--
-- Cost:      one more index entry each time that a session is stored.
-- Rights:    nothing is granted.

create index if not exists sessions_updated on rowcast.sessions (updated_at);
