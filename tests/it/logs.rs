//! What the log says, and what it never says.

use serde_json::json;

use crate::harness::token::{JWT, token};
use crate::harness::wait::until;
use crate::harness::{Database, Launch, Server, Stock, http};

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

/// What a client says may come back in an error of the database: it must not look like a line of the server's.
#[tokio::test]
async fn nobody_writes_a_line_of_their_own_into_the_log() {
    let database = Database::chat().await;
    database
        .run(
            "create or replace function rowcast.may_join(claims jsonb, room text) returns boolean language plpgsql as $$ begin
               raise exception '% is no member of %', claims ->> 'sub', room;
             end $$",
        )
        .await;
    let launch = Launch::serve().database(&database.url);
    let launch = JWT
        .iter()
        .fold(launch, |it, (name, value)| it.env(name, value));
    let server = launch.env("ROWCAST_LOG_FORMAT", "text").spawn();
    let line = |word: &'static str| {
        let lines = || server.lines().into_iter();
        until(word, async move || lines().find(|line| line.contains(word)))
    };
    let ready = line("announce: ready").await;
    let subject = "a\nFORGED one\r\nFORGED two\u{85}FORGED three\u{1b}[2K\u{7f}";
    let bearer = format!("Bearer {}", token(subject, &json!({})));
    let room = "/api/rooms/x%3A%0AFORGED%20four/events";
    let address = ready
        .split("address=")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let address = address.expect("an address");
    let answer = http::get(address, room, &[("authorization", &bearer)]).await;
    assert_eq!(answer.status, 403, "{answer:?}");
    let said = line("is no member of").await;
    assert!(
        said.contains("FORGED three") && said.contains("FORGED four"),
        "{said:?}"
    );
    assert!(said.chars().all(|it| !it.is_control()), "{said:?}");
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
