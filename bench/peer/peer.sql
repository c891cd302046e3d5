-- The peer's trigger: announces each inserted row with the whole message as the notification's payload.
--
-- Guarantee: none beyond NOTIFY's own. Nobody listening, nothing delivered; past 7,999 bytes the insert fails.
-- Cost:      one NOTIFY per row: the commit holds the cluster's notification lock through its flush.
-- Relies on: the chat table public.messages, with no other trigger on its inserts.

create function public.announce_message() returns trigger
language plpgsql as $$
begin
  perform pg_notify('messages', json_build_object(
    'id', new.id,
    'contactId', new.contact_id,
    'direction', new.direction,
    'author', new.author,
    'body', new.body,
    'status', new.status,
    'externalId', new.external_id,
    'metadata', new.metadata,
    'createdAt', new.created_at,
    'updatedAt', new.updated_at)::text);
  return null;
end $$;

create trigger announce_message after insert on public.messages
  for each row execute function public.announce_message();
