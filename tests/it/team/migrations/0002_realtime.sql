-- Conversations and the tenants' inboxes in real time.
create index on wa_messages (chat_no, sent, msg_no);
create index on chats (tenant_no);

select rowcast.attach('wa_messages',
  room           => 'conversation:{chat.jid}',
  on_insert      => 'message:new',
  on_update      => 'message:updated',
  on_delete      => 'message:deleted',
  update_columns => '{from_me, push_name, body}',
  condition      => '$.deleted_at == null',
  lookups        => '{"chat": {"table": "chats", "row": ["title"]}}',
  words          => '{"ack": {"0": "queued", "1": "sent", "2": "delivered", "3": "read", "4": "read"}}',
  timezone       => 'America/Bogota',
  order_columns  => '{sent, msg_no}',
  rooms          => '[{
    "room": "inbox:{chat.tenant_no}", "on_insert": "message:new", "on_update": "message:updated", "update_columns": ["chat_no", "body"],
    "rules": [{"on": "delete", "event": "message:deleted", "payload": {"messageId": "{msg_no}:{sent}", "contactId": "{contactId}"}}],
    "payload": {"message": {"id": "{msg_no}:{sent}", "nr": "{msg_no}", "jid": "{chat.jid}", "preview": "{body}", "sent": "{sent}"}, "contactId": "{contactId}"}
  }]');

-- A receipt is of a message: what it says is that message's status.
select rowcast.attach('receipts',
  room     => 'conversation:{chat.jid}',
  rules    => '[{"on": "insert", "event": "message:status",
                 "payload": {"messageId": "{msg_no}:{sent}", "status": "{ack}", "contactId": "{contactId}", "at": "{at}"}}]',
  lookups  => '{"chat": {"table": "chats"}}',
  words    => '{"ack": {"1": "sent", "2": "delivered", "3": "read", "4": "read"}}',
  timezone => 'America/Bogota');

-- An agent sees the chats and the inbox of its tenant.
grant select on chats to rowcast_policy;
create or replace function rowcast.may_join(claims jsonb, room text) returns boolean language sql stable
return room = 'inbox:' || (claims ->> 'tenant')
  or exists (select from public.chats c
             where 'conversation:' || c.jid = may_join.room and c.tenant_no::text = claims ->> 'tenant');
