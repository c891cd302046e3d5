//! What the log says, and what it never says.

use serde_json::json;

use crate::harness::wait::until;
use crate::harness::{Database, Launch, Server, Stock};

#[tokio::test]
async fn logs_tell_no_secret() {
    let database = Database::chat().await;
    let server = Server::with(&database, &[("ROWCAST_LOG", "trace")]).await;
    let stock = Stock::start();
    let options = json!({"transports": ["polling", "websocket"], "auth": {"token": "a-secret-token"}, "extraHeaders": {"authorization": "Bearer a-secret-bearer"}});
    let mut client = stock.open(server.address(), &options, &[]).0;
    client.connected().await;
    client.join("42").await;
    database.say("42", "a-secret-body").await;
    assert_eq!(client.event("message:new").await.body(), "a-secret-body");
    server.stop().await;
    for line in server.lines() {
        for secret in [
            "a-secret-token",
            "a-secret-bearer",
            "a-secret-body",
            &database.url,
        ] {
            assert!(!line.contains(secret), "{line}");
        }
    }
}

#[tokio::test]
async fn a_start_names_what_is_attached() {
    let database = Database::chat().await;
    let server = Server::on(&database).await;
    let attached = server
        .log("the attached table", |line| {
            line["source"] == "public.messages"
        })
        .await;
    assert_eq!(attached["room"], "conversation:{contact_id}");
    // The database is named, its URL is not.
    let name = database.value("select current_database()").await;
    assert!(server.lines().iter().any(|line| line.contains(&name)));
}

#[tokio::test]
async fn a_start_without_an_attached_table_says_how_to_attach_one() {
    let database = Database::empty().await;
    let server = Server::on(&database).await;
    server
        .log("the command that attaches", |line| {
            line["level"] == "WARN"
                && line["message"]
                    .to_string()
                    .contains("select rowcast.attach('")
        })
        .await;
}

#[tokio::test]
async fn the_text_format_is_plain_when_nobody_watches() {
    let database = Database::chat().await;
    let server = Launch::serve()
        .env("ROWCAST_LOG_FORMAT", "text")
        .database(&database.url)
        .spawn();
    let line = until("the line `ready`", async || {
        server
            .lines()
            .into_iter()
            .find(|line| line.contains("ready") && line.contains("address="))
    })
    .await;
    assert!(line.contains("INFO"), "{line}");
    assert!(!line.contains('\u{1b}'), "no colours in a file: {line:?}");
}

#[tokio::test]
async fn no_event_is_logged_at_info() {
    let database = Database::chat().await;
    let server = Server::on(&database).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    let before = server.lines().len();
    for number in 0..20 {
        database.say("42", &number.to_string()).await;
        client.next().await;
    }
    client.leave("42").await;
    client.disconnect();
    server.counted("rowcast_disconnects_total", &[], 1.0).await;
    assert_eq!(server.lines()[before..], Vec::<String>::new());
}
