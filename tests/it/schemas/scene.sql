-- What is in a database whose schema is kept: the chat tables with statuses, tables of one's own attached in the ways that there are, and
-- events of no table. tests/it/upgrading.rs writes to each of them after the upgrade.
insert into messages (contact_id, direction, author, body) values ('42', 'inbound', 'Ana', 'of before'), ('42', 'outbound', 'bot', 'and its answer');
insert into message_statuses (message_id, status) select id, 'delivered' from messages where direction = 'outbound';

create table wa (wa_id bigint primary key, chat text not null, ack int not null default 0, body text, sent timestamp not null default now());
create index on wa (chat, sent, wa_id);
select rowcast.attach(
  'wa', room => 'conversation:{chat}', on_insert => 'message:new', on_delete => 'message:deleted',
  rules => '[{"on": "update", "columns": ["ack"], "event": "message:status"}]', words => '{"ack": {"0": "sent", "1": "delivered", "2": "read"}}',
  timezone => 'America/Bogota'
);
insert into wa (wa_id, chat, body) values (844197938335842305, '7', 'of before');
update wa set ack = 1;

create table letters (id bigint, chat text not null, body text, sent timestamptz not null, primary key (id, sent)) partition by range (sent);
create table letters_2026_01 partition of letters for values from ('2026-01-01') to ('2026-02-01');
create index on letters (chat, sent, id);
select rowcast.attach('letters', room => 'conversation:{chat}', on_insert => 'message:new');
insert into letters values (1, '8', 'of before', '2026-01-02');

create table chats (id bigint primary key, jid text not null);
create table notes (id bigint primary key, chat_id bigint not null references chats, body text);
create index on notes (chat_id, id);
select rowcast.attach('notes', room => 'order:{chat.jid}', lookups => '{"chat": {"table": "chats", "column": "chat_id"}}', on_insert => 'message:new',
  order_columns => '{id}');
insert into chats values (1, '9');
insert into notes values (1, 1, 'of before');

select rowcast.emit('conversation:42', 'note', '{"n": 1}');
select rowcast.revoke(subject => 'user-7', room => 'conversation:42');
