//! A team with tables that were there long before: chats with a `jid`, messages with numeric acks, times in whole seconds, a key of two
//! columns, none of which is called `id`, and a partition a month, a table of receipts, tenants, soft deletes. It attaches them in a migration of its own. Its page,
//! which is made with the kit, shows what SQL says, live and after a reload.

use std::fmt;
use std::path::Path;

use serde_json::{Value, json};
use sqlx::migrate::Migrator;

use crate::harness::token::JWT;
use crate::harness::wait::until;
use crate::harness::{Database, Server};
use crate::history_tables::without_chat;
use crate::kit::Page;

const ANA: &str = "573001234567@s.whatsapp.net";
const OTHER: &str = "573009876543@s.whatsapp.net";
const FOREIGN: &str = "120363025246125486@g.us";

/// A message's id: its key of two columns, of which one is a time in the team's zone.
const ID: &str = r#"msg_no || ':' || to_char(sent + interval '5 h', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"#;

/// A page of an agent, who sees whole rows, eight at a time.
struct Agent {
    page: Page,
}

impl Agent {
    async fn of(server: &Server, tenant: u8) -> Self {
        let options = json!({ "rows": true, "options": { "limit": 8 } });
        let page = Page::open(server.address(), &options).await;
        let claims = json!({ "sub": "agent", "tenant": tenant.to_string() });
        page.gives(&claims, 600);
        Self { page }
    }

    fn joins(&self, room: &str) {
        self.page.tell(&json!({ "op": "join", "room": room }));
    }

    /// The rows that it shows in a room now.
    fn rows(&self, room: &str) -> Value {
        let start = format!("{room} connected null ");
        let lines = self.page.page.lines();
        let mut shown = lines
            .iter()
            .rev()
            .filter_map(|line| line.strip_prefix(&start));
        shown.next().map_or(Value::Null, |rows| {
            serde_json::from_str(rows).expect("JSON")
        })
    }

    /// Waits until it shows these rows there, and loads what is older where that is not all.
    async fn shows(&self, room: &str, rows: &Value) {
        let what = Shown {
            agent: self,
            room,
            rows,
        };
        let all = rows.as_array().expect("an array").len();
        let mut asked_at = 0;
        until(&what, async || {
            let shown = self.rows(room);
            let count = shown.as_array().map_or(0, Vec::len);
            if count < all && count != asked_at {
                asked_at = count;
                self.page.tell(&json!({ "op": "older", "room": room }));
            }
            (shown == *rows).then_some(())
        })
        .await;
    }

    /// What its listeners heard of a contact, in order.
    fn heard(&self, contact: &str) -> Vec<String> {
        let lines = self.page.page.lines();
        let heard = lines
            .iter()
            .filter_map(|line| line.strip_prefix("heard message:"));
        heard
            .filter(|line| line.contains(&format!(" {contact} ")))
            .map(|line| line.replace(&format!(" {contact}"), ""))
            .collect()
    }
}

/// What is waited for, and what there is instead.
struct Shown<'a> {
    agent: &'a Agent,
    room: &'a str,
    rows: &'a Value,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { agent, room, rows } = self;
        write!(f, "{room} to show {rows}, not {}", agent.rows(room))
    }
}

async fn rows(database: &Database, sql: &str) -> Value {
    let answer = database.value(sql).await;
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{sql}: {answer}: {error}"))
}

/// What a conversation must show, by SQL over the team's tables alone.
async fn conversation(database: &Database, jid: &str) -> Value {
    let sql = format!(
        "select coalesce(json_agg(json_build_object(
           'id', id, 'msgNo', msg_no::text, 'chatNo', chat_no::text, 'fromMe', from_me, 'pushName', push_name, 'body', body,
           'ack', (array['queued', 'sent', 'delivered', 'read', 'read'])[ack + 1], 'sent', split_part(id, ':', 2) || substring(id from ':..:..Z$'),
           'deletedAt', null, 'chat', json_build_object('title', title)) order by sent, msg_no), '[]')
         from (select m.*, title, {ID} as id from wa_messages m join chats using (chat_no) where jid = '{jid}' and deleted_at is null) m"
    );
    rows(database, &sql).await
}

/// The same of a tenant's inbox.
async fn inbox(database: &Database, tenant: u8) -> Value {
    let sql = format!(
        "select coalesce(json_agg(json_build_object('id', id, 'nr', msg_no::text, 'jid', jid, 'preview', body, 'sent', split_part(id, ':', 2) || substring(id from ':..:..Z$'))
                                  order by sent, msg_no), '[]')
         from (select m.*, jid, {ID} as id from wa_messages m join chats using (chat_no) where tenant_no = {tenant} and deleted_at is null) m"
    );
    rows(database, &sql).await
}

/// What the team's programs write while its pages are open.
const WRITES: [&str; 13] = [
    // Three in one second, of two chats, and an answer that is on its way.
    "insert into wa_messages (chat_no, push_name, body, sent) values
       (1, 'Ana', 'Hello', '2026-02-01 09:00:00'), (2, null, 'Good morning', '2026-02-01 09:00:00'), (1, 'Ana', 'Anybody?', '2026-02-01 09:00:00')",
    "insert into wa_messages (chat_no, from_me, body, sent) values (1, true, 'Here I am', '2026-02-01 09:00:00')",
    // Its receipts: late, twice, and together.
    "insert into receipts (chat_no, msg_no, sent, ack) select chat_no, msg_no, sent, 2 from wa_messages where body = 'Here I am'",
    "insert into receipts (chat_no, msg_no, sent, ack)
     select chat_no, msg_no, sent, a from wa_messages cross join unnest(array[1, 3, 3, 4]) a where body = 'Here I am'",
    // A correction, which has the newest ack.
    "update wa_messages set body = 'Here I am.' where body = 'Here I am'",
    // What the phone sent when it was online again, hours late.
    "insert into wa_messages (chat_no, push_name, body, sent) values (1, 'Ana', 'late', '2026-01-31 00:00:02')",
    // Its time was wrong, by which it was in another partition.
    "update wa_messages set sent = '2026-02-01 08:59:59' where body = 'late'",
    // The next month's, and the next day's by the partition's own name.
    "create table wa_messages_2026_03 partition of wa_messages for values from ('2026-03-01') to ('2026-04-01');
     select rowcast.follow_tables();
     insert into wa_messages (chat_no, push_name, body, sent) values (1, 'Ana', 'in March', '2026-03-01 00:00:00');
     insert into wa_messages_2026_02 (msg_no, chat_no, push_name, body, sent) values (1000, 2, null, 'by its partition', '2026-02-02 09:00:00')",
    // Taken back, and given again.
    "update wa_messages set deleted_at = now() where body in ('Hello', 'Good morning')",
    "update wa_messages set deleted_at = null where body = 'Hello'",
    // It was the other chat's.
    "update wa_messages set chat_no = 2 where body = 'Anybody?'",
    // Gone, with its receipts.
    "delete from wa_messages where body = 'Here I am.'",
    // Nothing to this tenant.
    "insert into wa_messages (chat_no, body, sent) values (3, 'secret', '2026-02-01 09:00:01')",
];

#[tokio::test]
async fn a_team_with_tables_of_its_own_sees_in_its_page_what_sql_says() {
    let database = without_chat().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/team/migrations");
    let migrator = Migrator::new(folder).await.expect("the team's migrations");
    migrator.run(&database.pool).await.expect("they apply");
    let problems =
        "select string_agg(problems::text, ' ') from rowcast.sources where problems <> '{}'";
    assert_eq!(database.value(problems).await, "");

    let server = Server::with(&database, &JWT).await;
    let rooms = [ANA, OTHER].map(|jid| format!("conversation:{jid}"));
    let [ana, other] = &rooms;
    let first = Agent::of(&server, 1).await;
    for room in [ana, other, "inbox:1"] {
        first.joins(room);
    }
    let foreign = format!("conversation:{FOREIGN}");
    first.joins(&foreign);
    let refused = format!("{foreign} offline forbidden []");
    first.page.page.says(&refused).await;

    let all = async |agent: &Agent| {
        agent.shows(ana, &conversation(&database, ANA).await).await;
        agent
            .shows(other, &conversation(&database, OTHER).await)
            .await;
        agent.shows("inbox:1", &inbox(&database, 1).await).await;
    };
    all(&first).await;
    for write in WRITES {
        database.run(write).await;
        all(&first).await;
    }
    let heard = [
        "new Hello",
        "new Anybody?",
        "new Here I am",
        "status delivered",
        "status read",
        "status read",
        "updated Here I am.",
        "new late",
        "deleted 45:2026-01-31T05:00:02Z",
        "new late",
        "new in March",
        "deleted 41:2026-02-01T14:00:00Z",
        "new Hello",
        "deleted 43:2026-02-01T14:00:00Z",
        "deleted 44:2026-02-01T14:00:00Z",
    ];
    until("its listeners to hear the same", async || {
        (first.heard(ANA) == heard).then_some(())
    })
    .await;
    assert_eq!(first.heard(FOREIGN), [""; 0]);

    let reloaded = Agent::of(&server, 1).await;
    for room in [ana, other, "inbox:1"] {
        reloaded.joins(room);
    }
    all(&reloaded).await;
    let elsewhere = Agent::of(&server, 2).await;
    elsewhere.joins(&foreign);
    elsewhere
        .shows(&foreign, &conversation(&database, FOREIGN).await)
        .await;
}
