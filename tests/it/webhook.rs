//! A webhook's body is stored by one statement, and nothing of it is lost: whatever it has, in whatever order it comes, however often,
//! and whoever stores another one at the same time.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::doctor::Role;
use crate::harness::api::column;
use crate::harness::database::{connection, run, value};
use crate::harness::{Database, Event, Scene};

/// A body with this as the value of its only change.
fn call(value: &Value) -> String {
    json!({"entry": [{"changes": [{"field": "messages", "value": value}]}]}).to_string()
}

fn text(id: &str, from: &str, body: &str) -> Value {
    json!({"id": id, "from": from, "timestamp": "1760000000", "type": "text", "text": {"body": body}})
}

/// Stores a body; says what was kept, as lines.
async fn store(database: &Database, body: &str) -> String {
    let kept = "select coalesce(string_agg(concat_ws(' ', kind, external_id, reason), E'\n'), '') from rowcast.store_whatsapp($1)";
    sqlx::query_scalar(kept)
        .bind(body)
        .fetch_one(&database.pool)
        .await
        .unwrap_or_else(|error| panic!("{body}: {error}"))
}

#[tokio::test]
async fn each_kind_of_message_has_something_to_read_and_is_kept_as_it_came() {
    let database = Database::chat().await;
    let kinds = [
        (
            json!({"type": "text", "text": {"body": " Hola "}}),
            " Hola ",
        ),
        (json!({"type": "text", "text": {"body": "  "}}), "[text]"),
        (json!({"type": "image", "image": {"id": "1"}}), "[image]"),
        (
            json!({"type": "image", "image": {"id": "1", "caption": "Mi perro"}}),
            "Mi perro",
        ),
        (
            json!({"type": "document", "document": {"filename": "a.pdf"}}),
            "a.pdf",
        ),
        (
            json!({"type": "audio", "audio": {"id": "1", "voice": true}}),
            "[audio]",
        ),
        (
            json!({"type": "button", "button": {"text": "Sí", "payload": "yes"}}),
            "Sí",
        ),
        (
            json!({"type": "interactive", "interactive": {"type": "list_reply", "list_reply": {"id": "1", "title": "Lunes"}}}),
            "Lunes",
        ),
        (
            json!({"type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": {"body": "Sent", "response_json": "{}"}}}),
            "Sent",
        ),
        (
            json!({"type": "reaction", "reaction": {"message_id": "a", "emoji": "👍"}}),
            "👍",
        ),
        (
            json!({"type": "reaction", "reaction": {"message_id": "a"}}),
            "[reaction]",
        ),
        (
            json!({"type": "location", "location": {"latitude": 4.6, "longitude": -74, "name": "Casa", "address": "Calle 1"}}),
            "Casa, Calle 1",
        ),
        (
            json!({"type": "contacts", "contacts": [{"name": {"formatted_name": "Ana"}}, {"phones": [{"phone": "+57 1"}]}]}),
            "Ana, +57 1",
        ),
        (
            json!({"type": "order", "order": {"text": "Dos", "product_items": []}}),
            "Dos",
        ),
        (
            json!({"type": "system", "system": {"body": "Ana changed her number"}}),
            "Ana changed her number",
        ),
        (
            json!({"type": "unsupported", "errors": [{"code": 131_051}]}),
            "[unsupported]",
        ),
        (
            json!({"type": "hologram", "hologram": {"depth": {"m": 3}}}),
            "[hologram]",
        ),
        (json!({"type": 7, "7": "seven"}), "[7]"),
        (json!({}), "[unknown]"),
    ];
    let messages: Vec<_> = kinds
        .iter()
        .enumerate()
        .map(|(n, (message, _))| {
            let mut message = message.clone();
            message["id"] = json!(format!("{n:02}"));
            message["from"] = json!("42");
            message
        })
        .collect();
    for _ in 0..2 {
        assert_eq!(
            store(&database, &call(&json!({"messages": messages}))).await,
            ""
        );
    }
    let rows = "select json_agg(json_build_array(body, metadata) order by id)::text from messages";
    let rows: Vec<(String, Value)> =
        serde_json::from_str(&database.value(rows).await).expect("rows");
    let expected: Vec<_> = kinds
        .iter()
        .zip(messages)
        .map(|((_, body), message)| ((*body).to_owned(), message))
        .collect();
    assert_eq!(rows, expected);
}

#[tokio::test]
async fn a_bad_item_is_kept_and_reported_and_harms_no_other() {
    let database = Database::chat().await;
    database
        .run("insert into messages (contact_id, direction, body, status, external_id) values ('42', 'outbound', 'x', 'queued', 'OUT');
              alter table messages add constraint polite check (body <> 'rude')")
        .await;
    let long = "x".repeat(3000);
    let body = json!({"entry": [
        {"changes": [{"field": "messages", "value": {
            "messages": [text("A", "42", "good"), text("B", "42", "rude"), {"from": "42"}, 7, null, {"id": "C"}, text("", "42", "?"),
                text(&long, "42", "?"), text("D", &long, "?"), {"id": ["E"], "from": "42"}, {"id": 9, "from": 42, "timestamp": 1_760_000_000_000_u64}],
            "statuses": [{"id": "OUT", "status": "read", "timestamp": "soon"}, {"id": "OUT", "status": "played"}, {"id": "OUT"}, {"status": "read"}],
            "errors": [{"code": 1, "title": "Rate limit"}]}}, {"field": "account_update", "value": {"event": "BANNED"}}, 5]},
        {"id": "no changes"}]})
    .to_string();
    let kept = "message B new row for relation \"messages\" violates check constraint \"polite\"\n\
        message a message without an id\nmessage message is no object\nmessage message is no object\n\
        message C it says neither who sent it nor to whom\nmessage a message without an id\n\
        message LONG its id has more than 2,000 bytes\nmessage D the id of its contact has more than 500 bytes\n\
        message a message without an id\nstatus OUT unknown status \"played\"\nstatus OUT unknown status null\n\
        status a status without an id\nother WhatsApp reports: Rate limit\n\
        other neither a message nor a status: field \"account_update\"\nother neither a message nor a status: field null\n\
        other neither a message nor a status: entry";
    for _ in 0..2 {
        let said = store(&database, &body).await;
        assert_eq!(said.replace(&long, "LONG"), kept);
    }
    let stored = "select string_agg(concat_ws(' ', external_id, contact_id, body, status), ', ' order by external_id collate \"C\")
        || ' ' || extract(epoch from max(created_at) filter (where direction = 'inbound'))::bigint from messages";
    assert_eq!(
        database.value(stored).await,
        "9 42 [unknown] sent, A 42 good sent, OUT 42 x read 1760000000"
    );
    let leftovers = "select count(*) || ' ' || count(distinct item) from webhook_leftovers";
    assert_eq!(database.value(leftovers).await, "16 16");
    for (body, reason) in [
        ("{}", "body"),
        ("[]", "body"),
        (r#"{"entry": {}}"#, "entry"),
    ] {
        let kept = format!("other neither a message nor a status: {reason}");
        assert_eq!(store(&database, body).await, kept);
    }

    // What jsonb can't hold, written as providers write it: an escape, behind any number of backslashes.
    let odd = r#"{"entry": [{"changes": [{"value": {"messages": [
        {"id": "N", "from": "43", "type": "text", "text": {"body": "a\u0000\u0000b \ud83d c \ud83d\ude00 \ude00 \\u0000 \\\u0000 \\ud83d"}}]}}]}]}"#;
    assert_eq!(store(&database, odd).await, "");
    assert_eq!(
        database
            .value("select body from messages where external_id = 'N'")
            .await,
        "a\u{fffd}\u{fffd}b \u{fffd} c 😀 \u{fffd} \\u0000 \\\u{fffd} \\ud83d"
    );

    // What is no fault of the body's is the caller's to hear of: the provider sends it again.
    database
        .run("alter table message_statuses rename to elsewhere")
        .await;
    let refused = sqlx::query("select rowcast.store_whatsapp($1)")
        .bind(call(
            &json!({"messages": [text("Z", "42", "z")], "statuses": []}),
        ))
        .execute(&database.pool)
        .await;
    assert!(refused.is_err());
    assert_eq!(
        database
            .value("select count(*) from messages where external_id = 'Z'")
            .await,
        "0"
    );
}

#[tokio::test]
async fn an_id_that_no_index_can_hold_harms_no_other_item() {
    let database = Database::chat().await;
    database
        .run("insert into messages (contact_id, direction, body, status, external_id) values ('42', 'outbound', 'x', 'queued', 'OUT')")
        .await;
    // What can be compressed would find a place in an index.
    let long = "select string_agg(md5(n::text), '' order by n) from generate_series(1, 400) n";
    let long = database.value(long).await;
    assert_eq!(long.len(), 12_800);
    let body = call(&json!({
        "messages": [text("A", "42", "good"), text(&long, "42", "?"), text("B", "42", "too")],
        "statuses": [{"id": &long, "status": "read"}, {"id": "OUT", "status": "read"}]}));
    for _ in 0..2 {
        let said = store(&database, &body).await.replace(&long, "LONG");
        assert_eq!(
            said,
            "message LONG its id has more than 2,000 bytes\nstatus LONG its id has more than 2,000 bytes"
        );
    }
    let stored = "select string_agg(concat_ws(' ', external_id, status), ', ' order by external_id)
        || (select ' ' || count(*) || ' ' || count(external_id) || ' ' || min(length(item ->> 'id')) from webhook_leftovers) from messages";
    assert_eq!(
        database.value(stored).await,
        "A sent, B sent, OUT read 2 0 12800"
    );
}

#[tokio::test]
async fn a_hundred_contacts_are_looked_through_for_each_message() {
    let database = Database::chat().await;
    let who = |n: usize| format!("57300{n:07}");
    let contacts: Vec<_> = (1..=150)
        .map(|n| json!({"wa_id": who(n), "profile": {"name": format!("Person {n}")}}))
        .collect();
    let messages: Vec<_> = [1, 100, 101, 150]
        .iter()
        .map(|n| text(&format!("{n:03}"), &who(*n), "hi"))
        .collect();
    let body = call(&json!({"contacts": contacts, "messages": messages}));
    assert_eq!(store(&database, &body).await, "");
    let authors = "select string_agg(concat_ws(' ', external_id, author), ', ' order by external_id) from messages";
    assert_eq!(
        database.value(authors).await,
        "001 Person 1, 100 Person 100, 101, 150"
    );
}

#[tokio::test]
async fn a_status_that_comes_before_its_message_finds_it() {
    let scene = Scene::new().await;
    let database = &scene.database;
    let mut client = scene.joined("42").await;
    let report = |id: &str, status: &str, second: u32| json!({"id": id, "status": status, "timestamp": format!("17600000{second}")});
    let early = call(
        &json!({"statuses": [report("A", "read", 20), report("A", "delivered", 10), report("B", "read", 20)]}),
    );
    let waiting = "status A its message is not stored yet\nstatus A its message is not stored yet\nstatus B its message is not stored yet";
    assert_eq!(store(database, &early).await, waiting);
    assert_eq!(store(database, &early).await, waiting, "it comes again");
    // The id is given in the insert, or later; and a transaction that is rolled back takes nothing away. Whichever event a message has
    // shows the status that it has.
    let queued = "insert into messages (contact_id, direction, body, status) values ('42', 'outbound', 'b', 'queued')";
    let given = "update messages set external_id = 'B', status = 'sent' where body = 'b'";
    database.run(queued).await;
    database.run(&format!("begin; {given}; rollback")).await;
    database
        .run("insert into messages (contact_id, direction, body, status, external_id) values ('42', 'outbound', 'a', 'queued', 'A')")
        .await;
    database.run(given).await;
    let told = client.take(4).await;
    let told: Vec<_> = told
        .iter()
        .map(|event| (event.name.as_str(), status_of(event)))
        .collect();
    assert_eq!(
        told,
        [
            ("message:new", "queued"),
            ("message:new", "read"),
            ("message:status", "read"),
            ("message:updated", "read")
        ]
    );
    let kept = "select string_agg(body || ' ' || s.status || ' ' || extract(epoch from occurred_at)::bigint, ', ' order by s.id)
        || (select count(*) from webhook_leftovers) from message_statuses s join messages m on m.id = message_id";
    assert_eq!(
        database.value(kept).await,
        "a delivered 1760000010, a read 1760000020, b read 17600000200"
    );
}

/// The status that an event says its message has.
fn status_of(event: &Event) -> &str {
    let payload = event.payload();
    let status = payload
        .get("status")
        .unwrap_or(&payload["message"]["status"]);
    status.as_str().expect("a status")
}

#[tokio::test]
async fn a_status_and_its_message_that_cross_meet_at_the_next_call() {
    let database = Database::chat().await;
    database
        .run("insert into messages (contact_id, direction, body, status) values ('42', 'outbound', 'b', 'queued')")
        .await;
    let mut naming = database.connection().await;
    run(&mut naming, "begin; update messages set external_id = 'B'").await;
    let status =
        call(&json!({"statuses": [{"id": "B", "status": "read", "timestamp": "1760000000"}]}));
    assert_eq!(
        store(&database, &status).await,
        "status B its message is not stored yet"
    );
    run(&mut naming, "commit").await;
    assert_eq!(
        database.value("select status from messages").await,
        "queued"
    );
    store(
        &database,
        &call(&json!({"messages": [text("C", "42", "c")]})),
    )
    .await;
    let all = "select string_agg(status, ' ' order by id) || ' ' || (select count(*) from webhook_leftovers) from messages";
    assert_eq!(database.value(all).await, "read sent 0");
}

#[tokio::test]
async fn a_person_with_two_forms_of_a_number_has_one_room() {
    let scene = Scene::new().await;
    let people = [
        ("5511987654321", "551187654321"),
        ("5491123456789", "541123456789"),
        ("525512345678", "5215512345678"),
    ];
    for (person, (one, other)) in people.into_iter().enumerate() {
        let mut client = scene.joined(one).await;
        let both = [one, other].map(|from| text(&format!("{person}{from}"), from, from));
        assert_eq!(
            store(&scene.database, &call(&json!({"messages": both}))).await,
            ""
        );
        let seen = client.take(2).await;
        for (event, from) in seen.iter().zip([one, other]) {
            assert_eq!(event.payload()["contactId"], one);
            assert_eq!(event.payload()["message"]["metadata"]["from"], from);
        }
        let history = scene.server.read(one, "messages").await;
        assert_eq!(column(&history["messages"], "/body"), [one, other]);
    }
    // Landlines of Brazil have no ninth digit; others are left as they are; a number that is written with a plus is digits.
    let numbers = "select string_agg(rowcast.contact_of(n), ' ' order by o) from unnest(array['551132654321', '5511987654321', '34600123123',
        '+52 1 (55) 1234-5678', '54911', 'XX.1', '2026-001', '11-22@g.us', '']) with ordinality as t (n, o)";
    assert_eq!(
        scene.database.value(numbers).await,
        "551132654321 5511987654321 34600123123 525512345678 54911 XX.1 2026-001 11-22@g.us "
    );
    assert_eq!(
        scene
            .database
            .value("select rowcast.contact_of(null)")
            .await,
        ""
    );
}

/// Deliveries of the same and of other things, at once and in every order: each is stored once, and no call fails.
#[tokio::test]
async fn calls_that_cross_store_each_thing_once() {
    let database = Database::chat().await;
    database
        .run(
            "insert into messages (contact_id, direction, body, status, external_id)
              select '42', 'outbound', n::text, 'queued', 'OUT' || n from generate_series(0, 9) n",
        )
        .await;
    let body = |turn: usize| {
        let messages: Vec<_> = (0..10)
            .map(|n| text(&format!("IN{}", n + turn / 2), "42", "x"))
            .collect();
        let statuses: Vec<_> = (0..20)
            .map(|n| (n * 7 + turn * 3) % 20)
            .map(|n| json!({"id": format!("OUT{}", n % 10), "status": if n < 10 { "delivered" } else { "read" }, "timestamp": (1_760_000_000 + n).to_string()}))
            .collect();
        call(&json!({"messages": messages, "statuses": statuses}))
    };
    let mut calls = JoinSet::new();
    for turn in 0..12 {
        let (url, body) = (database.url.clone(), body(turn));
        calls.spawn(async move {
            let mut own = connection(&url).await;
            let mut failed = BTreeSet::new();
            for _ in 0..5 {
                let stored = sqlx::query("select rowcast.store_whatsapp($1)")
                    .bind(&body)
                    .execute(&mut own)
                    .await;
                failed.extend(stored.err().map(|error| error.to_string()));
            }
            failed
        });
    }
    for failed in calls.join_all().await {
        assert_eq!(failed, BTreeSet::new());
    }
    let all = "select count(*) filter (where direction = 'inbound') || ' ' || count(*) filter (where status = 'read') || ' '
        || (select count(distinct (message_id, status)) from message_statuses) || ' ' || (select count(*) from webhook_leftovers) from messages";
    assert_eq!(database.value(all).await, "15 10 20 0");
}

#[tokio::test]
async fn a_role_with_the_right_to_store_needs_no_other() {
    let database = Database::chat().await;
    let role = Role::granted(&database, ["--emit"]).await;
    let mut theirs = connection(&role.url).await;
    let body = call(&json!({"messages": [text("A", "42", "hi"), {"from": "42"}]}));
    let stored = format!("select count(*) from rowcast.store_whatsapp('{body}')");
    assert_eq!(value(&mut theirs, &stored).await, "1");
    let refused = sqlx::query("select from messages")
        .execute(&mut theirs)
        .await;
    assert!(refused.is_err());
    let bare = Role::bare(&database).await;
    database
        .run(&format!("grant usage on schema rowcast to {}", bare.name))
        .await;
    let mut theirs = connection(&bare.url).await;
    let items = format!("select count(*) from rowcast.whatsapp_items('{body}')");
    assert_eq!(value(&mut theirs, &items).await, "2");
    let refused = sqlx::query("select rowcast.store_whatsapp('{}')")
        .execute(&mut theirs)
        .await;
    assert!(refused.is_err());
    assert_eq!(
        database
            .value("select string_agg(body, '') from messages")
            .await,
        "hi"
    );
    role.gone(&database).await;
    bare.gone(&database).await;
}
