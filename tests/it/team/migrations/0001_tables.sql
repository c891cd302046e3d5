-- What the team has had for years. A partition a month; times are local, in whole seconds; acks are the gateway's numbers.
create table tenants (tenant_no int primary key, name text not null);
create table chats (
  chat_no bigint generated always as identity primary key,
  tenant_no int not null references tenants,
  jid text not null unique,
  title text
);
create table wa_messages (
  msg_no bigint generated always as identity,
  chat_no bigint not null references chats,
  from_me boolean not null default false,
  push_name text,
  body text,
  ack smallint not null default 0,
  sent timestamp(0) not null,
  deleted_at timestamp(0),
  primary key (msg_no, sent)
) partition by range (sent);
create table wa_messages_2026_01 partition of wa_messages for values from ('2026-01-01') to ('2026-02-01');
create table wa_messages_2026_02 partition of wa_messages for values from ('2026-02-01') to ('2026-03-01');
create table receipts (
  receipt_no bigint generated always as identity primary key,
  chat_no bigint not null references chats,
  msg_no bigint not null,
  sent timestamp(0) not null,
  ack smallint not null,
  foreign key (msg_no, sent) references wa_messages on delete cascade
);

-- The gateway reports late, and twice. A receipt that says nothing new is dropped; another one moves its message on.
create function take_receipt() returns trigger language plpgsql as $$
begin
  update wa_messages set ack = new.ack where msg_no = new.msg_no and sent = new.sent and ack < new.ack;
  return case when found then new end;
end $$;
create trigger take_receipt before insert on receipts for each row execute function take_receipt();

insert into tenants values (1, 'Clínica'), (2, 'Taller');
insert into chats (tenant_no, jid, title) values
  (1, '573001234567@s.whatsapp.net', 'Ana'), (1, '573009876543@s.whatsapp.net', null), (2, '120363025246125486@g.us', 'Equipo');
insert into wa_messages (chat_no, from_me, push_name, body, ack, sent)
select case when n % 10 = 9 then 3 else 1 + n % 2 end, n % 3 = 0, case when n % 3 > 0 then 'Ana' end, 'old ' || n,
       case when n % 3 = 0 then n % 5 else 0 end, timestamp '2026-01-30 23:59:50' + n / 4 * interval '1 s'
from generate_series(1, 40) n;
update wa_messages set deleted_at = sent + interval '1 min' where msg_no % 10 in (6, 7);
