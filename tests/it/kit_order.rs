//! The client kit shows live what history shows after a reload: the order of late messages, and keys of any name and number.

use serde_json::json;

use crate::harness::Scene;
use crate::harness::database::run;
use crate::kit::Page;

/// A page in this conversation, once it is connected.
async fn page(scene: &Scene, contact: &str) -> Page {
    let page = Page::open(scene.server.address(), &json!({})).await;
    page.gives(&json!({ "sub": "anybody" }), 600);
    page.join(contact);
    page.page
        .says(&format!("{contact} connected null []"))
        .await;
    page
}

/// What a fresh page shows, which the first one must show, too.
async fn both_show(scene: &Scene, first: &Page, contact: &str, bodies: &str) {
    let shown = format!("{contact} connected null {bodies}");
    first.page.says(&shown).await;
    let reloaded = Page::open(scene.server.address(), &json!({})).await;
    reloaded.gives(&json!({ "sub": "anybody" }), 600);
    reloaded.join(contact);
    reloaded.page.says(&shown).await;
}

#[tokio::test]
async fn a_late_message_stands_where_history_has_it() {
    let scene = Scene::new().await;
    let late = page(&scene, "late").await;
    let database = &scene.database;
    database
        .run("insert into messages (contact_id, body, created_at) values ('late', 'A', now() - interval '2 min'), ('late', 'C', now() - interval '1 s')")
        .await;
    late.page.says(r#"late connected null ["A","C"]"#).await;
    database
        .run("insert into messages (contact_id, body, created_at) values ('late', 'B', now() - interval '1 min')")
        .await;
    both_show(&scene, &late, "late", r#"["A","B","C"]"#).await;

    // A transaction that began earlier and is over later.
    let lap = page(&scene, "lap").await;
    let mut open = database.connection().await;
    run(
        &mut open,
        "begin; insert into messages (contact_id, body) values ('lap', 'first')",
    )
    .await;
    database.say("lap", "second").await;
    lap.page.says(r#"lap connected null ["second"]"#).await;
    run(&mut open, "commit").await;
    both_show(&scene, &lap, "lap", r#"["first","second"]"#).await;

    // Equal times, in one statement, in one transaction, and in two that overlap.
    let tie = page(&scene, "tie").await;
    let insert =
        "insert into messages (contact_id, created_at, body) values ('tie', '2026-05-01', ";
    run(
        &mut open,
        &format!("begin; {insert} '1'), ('tie', '2026-05-01', '2'), ('tie', '2026-05-01', '3')"),
    )
    .await;
    database.run(&format!("{insert} '4')")).await;
    run(&mut open, &format!("{insert} '5'); commit")).await;
    both_show(&scene, &tie, "tie", r#"["1","2","3","4","5"]"#).await;
    database
        .run("update messages set status = 'read', updated_at = now() where body in ('1', '3')")
        .await;
    both_show(&scene, &tie, "tie", r#"["1","2","3","4","5"]"#).await;
}

#[tokio::test]
async fn a_key_of_any_name_and_number_is_a_key() {
    let scene = Scene::new().await;
    let database = &scene.database;
    database
        .run(
            "select rowcast.detach('messages'); drop table message_statuses, messages;
             create table a (message_id bigint generated always as identity primary key, chat text, body text);
             create table b (tenant int default 1, id bigint generated always as identity, chat text, body text, primary key (tenant, id));
             create table c (wamid text, part int, chat text, body text, at int, primary key (wamid, part));
             select rowcast.attach('a', room => 'conversation:ka-{chat}', on_insert => 'message:new', on_update => 'message:updated', on_delete => 'message:deleted');
             select rowcast.attach('b', room => 'conversation:kb-{chat}', on_insert => 'message:new', on_update => 'message:updated', on_delete => 'message:deleted', order_column => 'id');
             select rowcast.attach('c', room => 'conversation:kc-{chat}', on_insert => 'message:new', on_update => 'message:updated', on_delete => 'message:deleted', order_column => 'at')",
        )
        .await;
    for (table, columns, values) in [
        ("a", "chat, body", "('x', '2'), ('x', '1'), ('x', '3')"),
        (
            "b",
            "tenant, chat, body",
            "(1, 'x', '2'), (2, 'x', '1'), (1, 'x', '3')",
        ),
        (
            "c",
            "wamid, part, chat, at, body",
            "('w:1', 1, 'x', 7, '2'), ('w:1', 2, 'x', 8, '1'), ('w:2', 1, 'x', 90, '3')",
        ),
    ] {
        let contact = format!("k{table}-x");
        let page = page(&scene, &contact).await;
        database
            .run(&format!("insert into {table} ({columns}) values {values}"))
            .await;
        both_show(&scene, &page, &contact, r#"["2","1","3"]"#).await;
        database.run(&format!("update {table} set body = 'one' where body = '1'; delete from {table} where body = '2'")).await;
        both_show(&scene, &page, &contact, r#"["one","3"]"#).await;
    }
    // Tables whose keys differ feed one room. The second one's first message has an id that one of the first one's has.
    database
        .run(
            "select rowcast.attach(t, room => 'conversation:all-{chat}', on_insert => 'message:new', on_update => 'message:updated', on_delete => 'message:deleted')
             from unnest(array['a', 'b']) t;
             delete from a; delete from b;
             insert into a (message_id, chat, body) overriding system value values (100, 'x', '1')",
        )
        .await;
    let all = Page::open(scene.server.address(), &json!({})).await;
    all.gives(&json!({ "sub": "anybody" }), 600);
    all.join("all-x");
    all.page.says(r#"all-x connected null ["1"]"#).await;
    database
        .run("insert into b (id, chat, body) overriding system value values (100, 'x', '2'), (101, 'x', '3'); update a set body = 'one'; delete from b where body = '2'")
        .await;
    all.page.says(r#"all-x connected null ["one","3"]"#).await;
}
