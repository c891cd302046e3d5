-- Whether everything is on disk: for everybody to call again, since 0020 revoked every function from public.
--
-- Guarantee: a server's role needs no new right to run on this schema.
-- Cost:      none.
-- Rights:    rowcast.is_flushed may be called by everybody, because it says nothing of anybody.

grant execute on function rowcast.is_flushed() to public;
