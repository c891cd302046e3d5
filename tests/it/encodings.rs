//! Databases that are not set up as ours are: an encoding that takes any bytes, strings as old applications write them.

use crate::harness::cluster::with_database;
use crate::harness::{Database, Launch, Postgres, Server, Stock};

/// A new database of this cluster, with the chat tables.
async fn made(postgres: &Postgres, sql: &str) -> Database {
    let admin = Database::at(postgres.url());
    admin.run(sql).await;
    let url = with_database(&postgres.url(), "odd");
    Launch::command(["migrate", "--chat"])
        .database(&url)
        .succeed()
        .await;
    Database::at(url)
}

#[tokio::test]
async fn bytes_that_are_no_utf8_keep_nobody_from_their_events() {
    let postgres = Postgres::start().await;
    let make =
        "create database odd template template0 encoding 'SQL_ASCII' lc_collate 'C' lc_ctype 'C'";
    let database = made(&postgres, make).await;
    let server = Server::on(&database).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    let from = server.read("42", "events").await;
    let bodies = [("'é ü €'", "é ü €"), (r"E'bad \xff\xc3'", "bad ??")];
    for (sql, _) in bodies {
        let insert = format!("insert into messages (contact_id, body) values ('42', {sql})");
        database.run(&insert).await;
    }
    // A room that nobody can name.
    database
        .run(r"insert into messages (contact_id, body) values (E'4\xff2', 'lost')")
        .await;
    database.say("42", "after").await;
    for (_, body) in bodies {
        assert_eq!(client.event("message:new").await.body(), body);
    }
    assert_eq!(client.event("message:new").await.body(), "after");
    let after = from["offset"].as_str().expect("an offset");
    let missed = server.read("42", &format!("events?after={after}")).await;
    assert_eq!(
        missed["events"].as_array().map(Vec::len),
        Some(3),
        "{missed}"
    );
    server
        .counted("rowcast_capture_errors_total", &[], 1.0)
        .await;
    server.readiness(200).await;
}

#[tokio::test]
async fn strings_with_backslashes_of_old_applications_change_nothing() {
    let postgres = Postgres::start().await;
    let make = "create database odd";
    let old = "alter database odd set standard_conforming_strings = off";
    Database::at(postgres.url()).run(make).await;
    let database = made(&postgres, old).await;
    let server = Server::on(&database).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    database.say("42", "as ever").await;
    assert_eq!(client.event("message:new").await.body(), "as ever");
    let page = server.read("42", "messages").await;
    assert_eq!(page["messages"][0]["body"], "as ever", "{page}");
}
