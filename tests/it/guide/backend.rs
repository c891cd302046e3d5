//! The back end's blocks: one table attached by SQL, and one story told in three languages.

use std::path::Path;

use serde_json::{Value, json};

use super::page::{block, blocks, repository};
use super::tools::{folder, output, program, write};
use super::whatsapp::{reply, sent, webhook};
use crate::harness::wait::until;
use crate::harness::{Client, Database, Event, Scene, Server, Stock};

#[tokio::test]
async fn an_attached_table_sends_its_changes() {
    let database = Database::empty().await;
    let migrate = crate::harness::Launch::command(["migrate"]);
    migrate.database(&database.url).succeed().await;
    let steps = blocks("Attach your table", "sql");
    let (writes, before) = steps.split_last().expect("several");
    for step in before {
        database.run(step).await;
    }
    let server = Server::on(&database).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    database.run(writes).await;
    let new = client.event("message:new").await;
    assert_eq!(new.body(), "Hello");
    assert_eq!(
        new.payload()["message"].get("internalNote"),
        None,
        "it was to be left out"
    );
    let status = client.event("message:status").await;
    assert_eq!(status.payload()["status"], "read");
    assert_eq!(
        status.payload()["messageId"],
        new.payload()["message"]["id"]
    );
    let history = server.read("42", "messages").await;
    assert_eq!(history["messages"][0]["state"], "read");
}

#[tokio::test]
async fn typing_from_sql_stands_before_and_after_the_answer() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    let block = block("Typing", "sql");
    for statement in block.trim().split_inclusive(';') {
        scene.database.run(statement).await;
        let event = client.next().await;
        let expected = match statement.trim() {
            insert if insert.starts_with("insert") => "message:new",
            stop if stop.contains("false") => "typing:stop",
            _ => "typing:start",
        };
        assert_eq!(event.name, expected);
        assert_eq!(event.payload()["contactId"], "42");
    }
}

#[tokio::test]
async fn a_webhook_is_stored_from_sql() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    let mut ana = scene.joined("5511987654321").await;
    let [store, one_form, by_hand, own] = blocks("A WhatsApp webhook", "sql")
        .try_into()
        .expect("four");
    let kept = scene
        .database
        .value(&format!("with k as ({}) select string_agg(concat_ws(' | ', kind, external_id, reason), '') from k", store.trim().trim_end_matches(';')))
        .await;
    let shown = block("A WhatsApp webhook", "text");
    let shown = shown.lines().last().expect("a row").split_whitespace();
    assert_eq!(kept, shown.collect::<Vec<_>>().join(" "));
    for body in ["Hola", "[image]"] {
        let message = ana.event("message:new").await;
        let told = &message.payload()["message"];
        assert_eq!([&told["body"], &told["author"]], [body, "Ana"]);
    }

    // A conversation from before, in the other form of the number.
    scene.database.say("551187654321", "old").await;
    scene.database.run(&one_form).await;
    assert_eq!(ana.event("message:new").await.body(), "old");

    scene.database.run(&by_hand).await;
    let queued = client.event("message:new").await;
    assert_eq!(queued.payload()["message"]["status"], "queued");
    assert_eq!(
        client.event("message:status").await.payload()["status"],
        "delivered"
    );

    // The same for a table of one's own.
    let setup = blocks("Attach your table", "sql");
    for step in &setup[..2] {
        scene.database.run(step).await;
    }
    scene.database.run(&own).await;
    let insert = "insert into wa_messages (customer_id, direction, body, state, wamid) values ('42', 'outbound', 'Hola', 'queued', 'wamid.A')";
    scene.database.run(insert).await;
    for body in bodies() {
        let take = sqlx::query("select take_messages($1), take_statuses($1)").bind(body);
        take.execute(&scene.database.pool)
            .await
            .expect("they are taken");
    }
    let seen = until_fence(&scene, "42", &mut client).await;
    assert_eq!(statuses(&seen, None), ["delivered", "read"]);
    let new = seen.iter().filter(|event| event.name == "message:new");
    let new: Vec<_> = new.map(Event::body).collect();
    assert_eq!(new, ["Hola", "¡Gracias!", "Mi perro"], "each once");
}

#[tokio::test]
async fn the_back_end_in_rust_does_what_the_guide_says() {
    let source = std::fs::read_to_string(repository("tests/it/guide/whatsapp.rs")).unwrap();
    let code = source.split_once("\n\n").expect("a header").1;
    assert_eq!(
        block("Rust", "rust"),
        code,
        "the guide shows what is compiled here"
    );
    proves(async |scene, seen| {
        let pool = &scene.database.pool;
        let says = async |number: &str, answer: &str| {
            let mark = seen.join(number);
            until("its typing to be seen", async || {
                mark.exists().then_some(())
            })
            .await;
            answer.to_owned()
        };
        let answer = reply(pool, "42", says("1", "Hola")).await.unwrap();
        sent(pool, &answer, "wamid.A").await.unwrap();
        let second = reply(pool, "42", says("2", "¿Sigues?")).await.unwrap();
        sent(pool, &second, "wamid.B").await.unwrap();
        let mut unknown = Vec::new();
        for body in bodies() {
            unknown.push(webhook(pool, &body).await.unwrap());
        }
        json!([answer, second, unknown])
    })
    .await;
}

#[tokio::test]
async fn the_back_end_in_node_does_what_the_guide_says() {
    let folder = folder();
    write(&folder, "backend.mjs", &block("Node", "js"));
    let story = r#"
        import { existsSync } from "node:fs";
        import { setTimeout } from "node:timers/promises";
        import pg from "pg";
        import { reply, sent, webhook } from "./backend.mjs";
        const says = async (number, answer) => {
          while (!existsSync(`${process.argv[3]}/${number}`)) await setTimeout(5);
          return answer;
        };
        const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
        const answer = await reply(pool, "42", () => says(1, "Hola"));
        await sent(pool, answer, "wamid.A");
        const second = await reply(pool, "42", () => says(2, "¿Sigues?"));
        await sent(pool, second, "wamid.B");
        const unknown = [];
        for (const body of JSON.parse(process.argv[2])) unknown.push((await webhook(pool, body)).map((row) => Object.values(row)));
        console.log(JSON.stringify([answer, second, unknown]));
        await pool.end();
    "#;
    write(&folder, "story.mjs", story);
    proves(async |scene, seen| {
        let mut node = program("node", folder.path());
        let bodies = json!(bodies()).to_string();
        node.arg("story.mjs").arg(bodies).arg(seen);
        serde_json::from_str(&output(node, &scene.database).await).expect("JSON")
    })
    .await;
}

#[tokio::test]
async fn the_back_end_in_python_does_what_the_guide_says() {
    let folder = folder();
    write(&folder, "backend.py", &block("Python", "python"));
    let story = "\
import json, os, sys, time, psycopg
from backend import reply, sent, webhook
def says(number, answer):
    while not os.path.exists(f'{sys.argv[2]}/{number}'):
        time.sleep(0.005)
    return answer
with psycopg.connect(os.environ['DATABASE_URL']) as db:
    answer = reply(db, '42', lambda: says(1, 'Hola'))
    sent(db, answer, 'wamid.A')
    second = reply(db, '42', lambda: says(2, '¿Sigues?'))
    sent(db, second, 'wamid.B')
    print(json.dumps([answer, second, [webhook(db, body) for body in json.loads(sys.argv[1])]]))
";
    write(&folder, "story.py", story);
    proves(async |scene, seen| {
        let mut python = program("python3", folder.path());
        let bodies = json!(bodies()).to_string();
        python.arg("story.py").arg(bodies).arg(seen);
        serde_json::from_str(&output(python, &scene.database).await).expect("JSON")
    })
    .await;
}

/// Two answers, and a webhook that reports too early, too late, twice, of strangers and in words that nobody knows, and brings every
/// kind of message, and a bad one among the good ones. Each answer waits until the file of its number says that the typing was seen: one
/// that is there before that ends it unseen.
async fn proves(story: impl AsyncFnOnce(&Scene, &Path) -> Value) {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    let seen = folder();
    // Typing is transient: it is ordered with its like only, and its end may come after the fence.
    let watch = async {
        for number in ["1", "2"] {
            assert_eq!(
                client.event("typing:start").await.payload()["contactId"],
                "42"
            );
            std::fs::write(seen.path().join(number), "").expect("a file");
            assert_eq!(
                client.event("typing:stop").await.payload()["contactId"],
                "42"
            );
        }
    };
    let (told, ()) = tokio::join!(story(&scene, seen.path()), watch);
    let [answer, second] = [&told[0], &told[1]].map(|id| id.as_str().expect("an id"));
    let played = json!(["status", "wamid.A", "unknown status \"played\""]);
    let late = json!([
        ["message", null, "a message without an id"],
        [
            "message",
            "wamid.N",
            "it says neither who sent it nor to whom"
        ],
        ["status", "wamid.C", "its message is not stored yet"]
    ]);
    assert_eq!(told[2], json!([[played], [played], late, late]));

    let seen = until_fence(&scene, "42", &mut client).await;
    let new = seen.iter().filter(|event| event.name == "message:new");
    let new: Vec<_> = new.map(Event::body).collect();
    assert_eq!(new, ["Hola", "¿Sigues?", "¡Gracias!", "Mi perro"]);
    assert_eq!(statuses(&seen, Some(answer)), ["sent", "delivered", "read"]);
    assert_eq!(statuses(&seen, Some(second)), ["sent", "failed"]);
    let why = format!("select error from message_statuses where message_id = '{second}'");
    assert_eq!(scene.database.value(&why).await, "Message undeliverable");
    let when = format!(
        "select string_agg(status || extract(epoch from occurred_at)::bigint, ' ' order by occurred_at) from message_statuses where message_id = '{answer}'"
    );
    assert_eq!(
        scene.database.value(&when).await,
        "sent1760000001 delivered1760000005 read1760000009"
    );
    // Every kind, with WhatsApp's time and as it came.
    let rows = "select string_agg(concat_ws('|', contact_id, direction, author, body, extract(epoch from created_at)::bigint), E'\n' order by id)
        from messages where metadata <> '{}'";
    assert_eq!(
        scene.database.value(rows).await,
        "42|inbound|Ana|¡Gracias!|1760000008\n42|inbound|Ana|Mi perro|1760000009\nXX.1|inbound|[audio]|1760000010\n\
         5511987654321|inbound|Sí|1760000011\n5511987654321|inbound|Reservar|1760000012\n5511987654321|inbound|👍|1760000013\n\
         5511987654321|inbound|4.6, -74.1|1760000014\n5511987654321|inbound|[hologram]|1760000015\n5511987654321|outbound|Desde el móvil|1760000016"
    );
    let as_it_came = "select metadata -> 'image' from messages where body = 'Mi perro'";
    assert_eq!(
        scene.database.value(as_it_came).await,
        r#"{"id": "8", "caption": "Mi perro"}"#
    );
    let kept = "select string_agg(reason, ', ' order by id) from webhook_leftovers";
    assert_eq!(
        scene.database.value(kept).await,
        "unknown status \"played\", a message without an id, it says neither who sent it nor to whom, its message is not stored yet"
    );
}

/// What was sent to a conversation by now.
async fn until_fence(scene: &Scene, contact: &str, client: &mut Client) -> Vec<Event> {
    let fence = format!("select rowcast.emit('conversation:{contact}', 'fence', '{{}}')");
    scene.database.run(&fence).await;
    let mut seen = Vec::new();
    loop {
        match client.next().await {
            fence if fence.name == "fence" => return seen,
            event => seen.push(event),
        }
    }
}

/// The statuses that were told, of one message or of all.
fn statuses(seen: &[Event], message: Option<&str>) -> Vec<String> {
    seen.iter()
        .filter(|event| event.name == "message:status")
        .filter(|event| message.is_none_or(|id| event.payload()["messageId"] == id))
        .map(|event| {
            event.payload()["status"]
                .as_str()
                .expect("a status")
                .to_owned()
        })
        .collect()
}

/// The bodies of four calls of the Cloud API's webhook: two, each of which comes twice.
fn bodies() -> [Value; 4] {
    let call = |values: &[Value]| {
        let changes: Vec<_> = values
            .iter()
            .map(|value| json!({"field": "messages", "value": value}))
            .collect();
        json!({"object": "whatsapp_business_account", "entry": [{"id": "0", "changes": changes}]})
    };
    let report = |id: &str, status: &str, second: u32| json!({"id": id, "status": status, "timestamp": format!("176000000{second}"), "recipient_id": "42"});
    let early = call(&[json!({"messaging_product": "whatsapp", "statuses": [
        report("wamid.A", "delivered", 5), report("wamid.A", "sent", 1), report("wamid.A", "played", 7)]})]);
    let inbound = json!({"from": "42", "id": "wamid.M", "timestamp": "1760000008", "type": "text",
        "text": {"body": "¡Gracias!"}});
    let picture = json!({"from": "42", "id": "wamid.P", "timestamp": 1_760_000_009, "type": "image",
        "image": {"id": "8", "caption": "Mi perro"}});
    let without_id =
        json!({"from": "42", "timestamp": "1760000009", "type": "text", "text": {"body": "?"}});
    let without_sender =
        json!({"id": "wamid.N", "timestamp": "1760000009", "type": "text", "text": {"body": "?"}});
    let mut failed = report("wamid.B", "failed", 9);
    failed["errors"] = json!([{"code": 131_026, "title": "Message undeliverable"}]);
    let from_two = json!({"messaging_product": "whatsapp", "contacts": [{"wa_id": "42", "profile": {"name": "Ana"}}, {"user_id": "XX.1"}],
        "messages": [inbound, inbound, without_id, picture, without_sender,
            {"from_user_id": "XX.1", "id": "wamid.Q", "timestamp": "1760000010", "type": "audio", "audio": {"id": "9"}}],
        "statuses": [report("wamid.A", "read", 9), failed, report("wamid.C", "sent", 9)]});
    // The number of one person, in both of its forms.
    let kinds = [
        ("551187654321", "button", json!({"text": "Sí"})),
        (
            "5511987654321",
            "interactive",
            json!({"type": "button_reply", "button_reply": {"id": "b", "title": "Reservar"}}),
        ),
        (
            "551187654321",
            "reaction",
            json!({"message_id": "wamid.A", "emoji": "👍"}),
        ),
        (
            "5511987654321",
            "location",
            json!({"latitude": 4.6, "longitude": -74.1}),
        ),
        ("551187654321", "hologram", json!({"depth": 3})),
    ];
    let messages: Vec<_> = (1u32..)
        .zip(kinds)
        .map(|(n, (from, kind, content))| {
            json!({"from": from, "id": format!("wamid.K{n}"), "timestamp": format!("176000001{n}"), "type": kind, kind: content})
        })
        .collect();
    let echo = json!({"from": "0", "to": "551187654321", "id": "wamid.E", "timestamp": "1760000016", "type": "text",
        "text": {"body": "Desde el móvil"}});
    let late = call(&[
        from_two,
        json!({"messages": messages}),
        json!({"message_echoes": [echo]}),
    ]);
    [early.clone(), early, late.clone(), late]
}
