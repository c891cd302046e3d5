//! History of the chat tables: the rows, their order, paging, and where events go on.

use serde_json::{Value, json};

use crate::harness::api::{column, encoded};
use crate::harness::wait::until;
use crate::harness::{Database, Scene, Server};

/// Every id of a conversation in its order.
async fn ids(database: &Database, contact: &str) -> Vec<String> {
    let all = format!(
        "select string_agg(id::text, ' ' order by created_at, id) from messages where contact_id = '{contact}'"
    );
    let all = database.value(&all).await;
    all.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_row_is_as_its_event_has_it() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    scene
        .database
        .run(r#"insert into messages (contact_id, author, body, metadata) values ('42', 'Ada', E'Grüße "q" \\ \n 🎈', '{"n": [1, 2.50, null], "deep": {"b_c": true}}')"#)
        .await;
    let event = client.event("message:new").await;
    let page = scene.server.read("42", "messages").await;
    assert_eq!(page["messages"], json!([event.payload()["message"]]));
    assert_eq!(page["more"], false);
    assert!(page["offset"].is_string());
    assert_eq!(
        (&page["key"], &page["order"]),
        (&json!(["id"]), &json!(["createdAt", "id"]))
    );
    assert_eq!(page.as_object().expect("an object").len(), 5, "{page}");
}

#[tokio::test]
async fn messages_of_one_transaction_stay_in_the_order_they_were_written() {
    let scene = Scene::new().await;
    let insert = "insert into messages (contact_id, body) values ";
    let many: Vec<_> = (5..60).map(|n| format!("('42', '{n}')")).collect();
    let script = format!(
        "begin; {insert} ('42', '1'); {insert} ('42', '2'); {insert} ('42', '3'); {insert} ('42', '4'); \
         {insert} {}; commit",
        many.join(", ")
    );
    scene.database.run(&script).await;
    // A time of the writer's own stands.
    scene
        .database
        .run("insert into messages (contact_id, body, created_at) values ('42', '0', '2001-01-01')")
        .await;
    let page = scene.server.read("42", "messages?limit=200").await;
    let expected: Vec<_> = (0..60).map(|n| n.to_string()).collect();
    assert_eq!(column(&page["messages"], "/body"), expected);
}

#[tokio::test]
async fn pages_go_back_to_the_beginning_also_where_times_are_equal() {
    let scene = Scene::with(&[("ROWCAST_MAX_HTTP_RATE", "10000")]).await;
    let rows = "insert into messages (contact_id, body, created_at) select '42', n::text, now() + (n / 40) * interval '1 microsecond' from generate_series(1, 150) n";
    scene.database.run(rows).await;
    scene.database.say("43", "elsewhere").await;
    let expected = ids(&scene.database, "42").await;
    for limit in [1, 10, 40, 149, 150, 151, 200] {
        let pages = scene.server.pages("42", limit, "/id").await;
        assert_eq!(
            pages.len(),
            150_usize.div_ceil(limit).max(1),
            "limit={limit}"
        );
        let got: Vec<_> = pages
            .iter()
            .rev()
            .flat_map(|page| column(&page["messages"], "/id"))
            .collect();
        assert_eq!(got, expected, "limit={limit}");
    }
    // What comes meanwhile does not move what was.
    let first = scene.server.read("42", "messages?limit=5").await;
    let oldest = column(&first["messages"], "/id")[0].clone();
    scene.database.say("42", "later").await;
    let second = scene
        .server
        .read("42", &format!("messages?limit=5&before={oldest}"))
        .await;
    assert_eq!(column(&second["messages"], "/id"), expected[140..145]);
}

#[tokio::test]
async fn fifty_is_the_default_and_the_newest_are_last() {
    let scene = Scene::new().await;
    scene.database.run("insert into messages (contact_id, body, created_at) select '42', n::text, now() + n * interval '1 s' from generate_series(1, 51) n").await;
    let page = scene.server.read("42", "messages").await;
    let expected: Vec<_> = (2..=51).map(|n: i32| n.to_string()).collect();
    assert_eq!(column(&page["messages"], "/body"), expected);
    assert_eq!(page["more"], true);
}

#[tokio::test]
async fn a_conversation_needs_no_row() {
    let scene = Scene::new().await;
    let page = scene.server.read("nobody", "messages").await;
    assert_eq!(
        (&page["messages"], &page["more"]),
        (&json!([]), &json!(false))
    );
}

#[tokio::test]
async fn any_contact_id_can_be_asked_for() {
    let scene = Scene::new().await;
    let long = "é".repeat(250);
    for contact in [
        "a/b",
        "..",
        "%2F",
        "🎈 ü",
        "a?b#c&d=e+f",
        "'; drop table messages; --",
        "\\",
        "{x}",
        &long,
    ] {
        let insert =
            sqlx::query("insert into messages (contact_id, body) values ($1, $1)").bind(contact);
        insert.execute(&scene.database.pool).await.expect("a row");
        let page = scene.server.read(contact, "messages").await;
        assert_eq!(column(&page["messages"], "/body"), [contact], "{page}");
        let after = page["offset"].as_str().expect("an offset").to_owned();
        scene
            .database
            .run(&format!(
                "update messages set body = 'seen' where body = {}",
                quoted(contact)
            ))
            .await;
        let events = scene
            .server
            .read(contact, &format!("events?after={after}"))
            .await;
        assert_eq!(
            column(&events["events"], "/data/contactId"),
            [contact],
            "{events}"
        );
    }
    scene
        .server
        .refused(&format!("{long}x"), "messages", 400, "bad_request")
        .await;
    scene
        .server
        .refused("a\0b", "messages", 400, "bad_request")
        .await;
    let answer = scene.server.get("/api/conversations/%ff/messages").await;
    assert_eq!(answer.status, 400, "{answer:?}");
}

fn quoted(text: &str) -> String {
    format!("e'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[tokio::test]
async fn what_is_asked_wrongly_is_said() {
    let scene = Scene::new().await;
    let elsewhere = scene.database.say("43", "elsewhere").await;
    for (query, word) in [
        ("limit=0", "1 to 200"),
        ("limit=201", "1 to 200"),
        ("limit=ten", "ten"),
        ("limit=%2B5", "+5"),
        ("limit=", "1 to 200"),
        ("limit=5&limit=6", "twice"),
        ("offset=5", "offset"),
        ("before=nope", "nope"),
        ("before=", "before"),
        ("before=%00", "before"),
        (&format!("before={elsewhere}"), &elsewhere),
    ] {
        let message = scene
            .server
            .refused("42", &format!("messages?{query}"), 400, "bad_request")
            .await;
        assert!(message.contains(word), "{query}: {message}");
    }
    let answer =
        crate::harness::http::post(scene.server.address(), "/api/conversations/42/messages", "")
            .await;
    assert_eq!(answer.status, 405, "{answer:?}");
}

#[tokio::test]
async fn a_message_that_is_gone_is_no_place() {
    let scene = Scene::new().await;
    let mut ids = Vec::new();
    for body in ["a", "b", "c"] {
        ids.push(scene.database.say("42", body).await);
    }
    let page = format!("messages?limit=1&before={}", ids[1]);
    let before = scene.server.read("42", &page).await;
    assert_eq!(column(&before["messages"], "/body"), ["a"]);
    for gone in [
        "update messages set contact_id = '43'",
        "delete from messages",
    ] {
        scene
            .database
            .run(&format!("{gone} where id = '{}'", ids[1]))
            .await;
        let message = scene.server.refused("42", &page, 400, "bad_request").await;
        let told = format!("before=\"{}\": the room has no message of that id", ids[1]);
        assert_eq!(message, told);
    }
    // The others that a page shows still are.
    let page = format!("messages?limit=1&before={}", ids[2]);
    let before = scene.server.read("42", &page).await;
    assert_eq!(column(&before["messages"], "/body"), ["a"]);
}

#[tokio::test]
async fn a_large_row_is_cut_to_its_ids_and_a_page_to_some_bytes() {
    let database = Database::chat().await;
    let server = Server::with(&database, &[("ROWCAST_MAX_PAYLOAD", "500KB")]).await;
    let large = database.say("42", &"x".repeat(600_000)).await;
    let page = server.read("42", "messages").await;
    assert_eq!(
        page["messages"],
        json!([{"truncated": true, "id": large, "contactId": "42", "externalId": null}])
    );
    database.run("insert into messages (contact_id, body) select '43', repeat(n::text, 100000) from generate_series(100, 140) n").await;
    let expected = ids(&database, "43").await;
    let (mut got, mut before) = (Vec::new(), String::new());
    loop {
        let page = server
            .read("43", &format!("messages?limit=200{before}"))
            .await;
        let ids = column(&page["messages"], "/id");
        assert!(page.to_string().len() < 6_000_000);
        before = format!("&before={}", encoded(&ids[0]));
        got.splice(0..0, ids);
        if page["more"] == Value::Bool(false) {
            break;
        }
        assert!(got.len() < 41, "more was said: {}", got.len());
    }
    assert_eq!(got, expected);
}

/// As after a dump was restored: nothing is known of the table, and all rows of a room would be made JSON and sorted for each page.
#[tokio::test]
async fn a_page_is_read_by_the_index_whatever_the_statistics_say() {
    let database = Database::chat().await;
    // Without triggers: bringing the list of conversations up to date reads messages as well.
    database
        .run("alter table messages set (autovacuum_enabled = off);
              set session_replication_role = replica;
              insert into messages (contact_id, body, created_at)
                select (n % 2)::text, n::text, now() - n * interval '1 s' from generate_series(1, 10000) n")
        .await;
    let server = Server::on(&database).await;
    let page = server.read("1", "messages?limit=20").await;
    assert_eq!(column(&page["messages"], "/body")[19], "1");
    let before = format!(
        "messages?limit=20&before={}",
        column(&page["messages"], "/id")[0]
    );
    let page = server.read("1", &before).await;
    assert_eq!(column(&page["messages"], "/body")[19], "41");
    // Postgres counts what its processes did when they end.
    server.stop().await;
    let read = "select idx_tup_fetch from pg_stat_user_tables where relname = 'messages' and idx_tup_fetch >= 40";
    let read = until("both pages to be counted", async || {
        database
            .value(&format!("select coalesce(({read}), 0)"))
            .await
            .parse::<u64>()
            .ok()
            .filter(|rows| *rows > 0)
    });
    let read = read.await;
    assert!(read < 200, "{read} rows were read for two pages");
}
