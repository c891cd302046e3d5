//! What a writer is owed: no wait for readers or clients, and no failure that is Rowcast's.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::harness::database::run;
use crate::harness::{Scene, say};

/// Far above what a write takes, far below any patience of the server's.
const AT_ONCE: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_stopped_server_holds_no_writer_up() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    // It keeps its connections and its key, and answers nobody.
    scene.server.signal(Signal::STOP);
    for number in 0..300 {
        let began = Instant::now();
        scene.database.say("42", &number.to_string()).await;
        assert!(
            began.elapsed() < AT_ONCE,
            "write {number} took {:?}",
            began.elapsed()
        );
    }
    scene.server.signal(Signal::CONT);
    for number in 0..300 {
        assert_eq!(client.next().await.body(), number.to_string());
    }
}

#[tokio::test]
async fn a_column_that_is_gone_fails_no_writer() {
    let scene = Scene::new().await;
    let database = &scene.database;
    database
        .run("create table orders (id int primary key, customer text, note text); select rowcast.attach('public.orders', room => 'conversation:{customer}', on_insert => 'order', on_update => 'order', on_delete => 'gone')")
        .await;
    let mut client = scene.joined("7").await;
    database
        .run("insert into orders values (1, '7', 'whole')")
        .await;
    assert_eq!(client.next().await.payload()["contactId"], "7");

    // Without a column of the payload.
    database.run("alter table orders drop column note").await;
    database.run("insert into orders values (2, '7')").await;
    assert_eq!(client.next().await.name, "order");

    // Without a room: recorded, counted, not sent.
    database
        .run("alter table orders rename customer to client")
        .await;
    database.run("insert into orders values (3, '7'); update orders set client = '8'; delete from orders where id = 1").await;
    scene
        .server
        .counted("rowcast_capture_errors_total", &[], 1.0)
        .await;
    scene.assert_nothing_more("7", &mut client).await;

    // With a type that nobody foresaw.
    database.run("alter table orders rename client to customer; alter table orders alter customer type int using 7").await;
    database.run("insert into orders values (4, 7)").await;
    assert_eq!(client.next().await.name, "order");
}

#[tokio::test]
async fn a_row_of_thirty_megabytes_fails_no_writer() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    let id = scene
        .database
        .value("insert into messages (contact_id, body) values ('42', repeat('x', 30000000)) returning id")
        .await;
    let event = client.next().await;
    assert_eq!(event.payload()["truncated"], true);
    assert_eq!(event.payload()["contactId"], "42");
    assert_eq!(event.payload()["message"]["id"], json!(id));
    scene.database.say("42", "small").await;
    assert_eq!(client.next().await.body(), "small");
}

#[tokio::test]
async fn a_room_name_without_end_fails_no_writer() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    scene
        .database
        .say(&"9".repeat(5_000), "nobody can join this")
        .await;
    scene.database.say("", "nor this").await;
    scene.database.say("42", "after").await;
    assert_eq!(client.next().await.body(), "after");
    scene
        .server
        .counted("rowcast_capture_errors_total", &[], 1.0)
        .await;
}

#[tokio::test]
async fn writers_wait_for_each_other_only_where_they_would_anyway() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    let mut open = scene.database.pool.begin().await.expect("a transaction");
    say(&mut *open, "42", "open").await;
    for number in 0..20 {
        let began = Instant::now();
        scene.database.say("42", &number.to_string()).await;
        assert!(
            began.elapsed() < AT_ONCE,
            "write {number} took {:?}",
            began.elapsed()
        );
        assert_eq!(client.next().await.body(), number.to_string());
    }
    open.rollback().await.expect("it rolls back");
    scene.assert_nothing_more("42", &mut client).await;
}

#[tokio::test]
async fn a_writer_at_any_isolation_level_is_captured() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    for level in ["read committed", "repeatable read", "serializable"] {
        let mut writer = scene.database.connection().await;
        run(&mut writer, &format!("begin isolation level {level}")).await;
        say(&mut writer, "42", level).await;
        run(&mut writer, "commit").await;
        assert_eq!(client.next().await.body(), level);
    }
}
