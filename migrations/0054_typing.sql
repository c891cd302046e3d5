-- Typing ends with the answer: servers are told when typing began, so that an answer that they had before ends it all the same.
--
-- The notification and the event of one transaction come on two ways, in either order.
--
-- Guarantee: as in 0037_secret.sql.
-- Cost:      as there.
-- Rights:    as there.

create or replace function rowcast.typing(contact_id text, typing boolean default true) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
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
