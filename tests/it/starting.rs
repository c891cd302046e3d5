//! Starting while the database is away, or not as it should be: the ports are open, the cause is said, nobody is turned away for good.

use rustix::process::Signal;
use serde_json::json;

use crate::harness::wait::until;
use crate::harness::{Database, Launch, Postgres, Scratch, Server, Stock, http};

/// Waits until `/readyz` is 503 because of the database, with these words.
async fn database_fails(address: &str, words: &str) {
    fails(address, "database", words).await;
}

async fn fails(address: &str, check: &str, words: &str) {
    until(format!("/readyz to say {words:?}"), async || {
        let answer = http::get(address, "/readyz", &[]).await;
        let cause = answer.json()["failing"][check].to_string();
        (answer.status == 503 && cause.contains(words)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_ports_are_open_while_the_database_is_away() {
    let (mut postgres, database) = Postgres::with_chat().await;
    postgres.down(Signal::INT).await;
    let server = Launch::serve().database(&database.url).spawn();
    let (address, admin) = server.listening().await;

    assert_eq!(http::get(&address, "/livez", &[]).await.status, 200);
    database_fails(&address, "the database can't be reached: ").await;
    let origin = [("origin", "http://localhost:3000")];
    for path in [
        "/socket.io/?EIO=4&transport=polling",
        "/socket.io/?EIO=4&transport=websocket",
        "/api/conversations/42/messages",
        "/api/conversations/42/events?after=x",
        "/",
    ] {
        let refused = http::get(&address, path, &origin).await;
        assert_eq!(refused.status, 503, "{path}");
        assert_eq!(refused.json()["error"]["code"], "unavailable", "{path}");
        assert_eq!(refused.header("retry-after"), Some("1"), "{path}");
        let allowed = refused.header("access-control-allow-origin");
        assert_eq!(allowed, Some("http://localhost:3000"), "{path}");
    }
    let metrics = http::get(&admin, "/metrics", &[]).await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.body.contains("rowcast_http_"), "{metrics:?}");
    let (_, port) = address.rsplit_once(':').expect("a port");
    Launch::command(["healthcheck"])
        .env("PORT", port)
        .refuse(&["is not ready", "the database can't be reached"])
        .await;

    // A stock client that came too early comes in by itself, by either transport.
    let stock = Stock::start();
    let mut clients = Vec::new();
    for transport in ["websocket", "polling"] {
        let options = json!({"transports": [transport], "reconnectionDelayMax": 500});
        let mut client = stock.open(&address, &options, &[]).0;
        client.refused().await;
        clients.push(client);
    }
    postgres.up().await;
    server.ready().await;
    for client in &mut clients {
        client.connected().await;
        client.join("42").await;
    }
    database.say("42", "at last").await;
    for client in &mut clients {
        assert_eq!(client.event("message:new").await.body(), "at last");
    }
    server.readiness(200).await;
    server.stop().await;
}

#[tokio::test]
async fn a_signal_ends_a_server_that_waits_for_its_database() {
    let folder = Scratch::folder();
    let server = Launch::serve().database(&nobody(&folder)).spawn();
    let (address, _) = server.listening().await;
    database_fails(&address, "the database can't be reached").await;
    server.stop().await;
}

/// The URL of a database that is not there.
fn nobody(folder: &Scratch) -> String {
    format!(
        "postgres://app@localhost/app?host={}",
        folder.path().display()
    )
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_before_the_database_is_waited_for() {
    let folder = Scratch::folder();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let (_, port) = address.rsplit_once(':').expect("a port");
    for (variable, value) in [("PORT", port), ("ROWCAST_ADMIN", &address)] {
        Launch::serve()
            .database(&nobody(&folder))
            .env(variable, value)
            .refuse(&[variable, &address])
            .await;
    }
}

#[tokio::test]
async fn a_host_name_that_cannot_be_resolved_is_named() {
    let url = "postgres://app@no-such-host.invalid/app";
    let server = Launch::serve().database(url).spawn();
    let (address, _) = server.listening().await;
    let line = server
        .log("a word about the host", |line| {
            let text = line.to_string();
            let is_warning = line["level"] == "WARN" && text.contains("no-such-host.invalid");
            is_warning && !text.contains("certificate")
        })
        .await;
    let said = line["message"].as_str().unwrap_or_default();
    assert!(said.contains("host name in DATABASE_URL"), "{said}");
    database_fails(&address, "can't be resolved").await;
    Launch::command(["migrate", "--timeout", "1s"])
        .database(url)
        .refuse(&["no-such-host.invalid", "gave up after 1s", "host name"])
        .await;
}

#[tokio::test]
async fn a_database_that_is_read_only_by_default_is_migrated_and_served() {
    let database = Database::empty().await;
    let name = database.value("select current_database()").await;
    let read_only = format!("alter database {name} set default_transaction_read_only = on");
    database.run(&read_only).await;
    Launch::command(["migrate", "--chat"])
        .database(&database.url)
        .succeed()
        .await;
    let server = Server::on(&database).await;
    server.readiness(200).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    let write =
        "begin read write; insert into messages (contact_id, body) values ('42', 'hi'); commit";
    let mut writer = database.connection().await;
    crate::harness::database::run(&mut writer, write).await;
    assert_eq!(client.next().await.body(), "hi");
}

#[tokio::test]
async fn connection_slots_that_run_out_are_waited_for() {
    let database = Database::chat().await;
    let role = database.value("select current_database() || '_one'").await;
    database
        .run(&format!(
            "create role {role} login connection limit 1;
             grant usage on schema rowcast to {role};
             grant select, insert, update, delete on all tables in schema rowcast to {role};
             grant execute on all functions in schema rowcast to {role}"
        ))
        .await;
    let url = database.url_as(&role);
    let held = Database::at(url.clone());
    held.run("select 1").await;
    let server = Launch::serve().database(&url).spawn();
    let (address, _) = server.listening().await;
    database_fails(&address, "too many connections").await;
    database
        .run(&format!("alter role {role} connection limit -1"))
        .await;
    server.ready().await;
    server.readiness(200).await;
    server.stop().await;
    held.pool.close().await;
    database
        .run(&format!("drop owned by {role}; drop role {role}"))
        .await;
}

/// Nothing is wrong, the reader only has to wait for a lock that is held for a moment.
#[tokio::test]
async fn a_client_that_comes_in_the_moment_of_the_start_is_held_and_not_refused() {
    let database = Database::chat().await;
    let mut other = database.connection().await;
    let lock = "begin; lock table rowcast.epoch in access exclusive mode";
    crate::harness::database::run(&mut other, lock).await;
    let server = Launch::serve().database(&database.url).spawn();
    let (address, _) = server.listening().await;
    until("the reader to wait", async || {
        let waiting = "select count(*) from pg_stat_activity
                       where application_name = 'rowcast reader' and wait_event_type = 'Lock'";
        (database.value(waiting).await == "1").then_some(())
    })
    .await;
    // Not for ever.
    let refused = http::get(&address, "/api/conversations/42/messages", &[]).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    let history = http::get(&address, "/api/conversations/42/messages", &[]);
    let stock = Stock::start();
    let options = json!({"transports": ["websocket"], "reconnection": false});
    let mut client = stock.open(&address, &options, &[]).0;
    let release = crate::harness::database::run(&mut other, "commit");
    let (history, ()) = tokio::join!(history, release);
    assert_eq!(history.status, 200, "{history:?}");
    client.connected().await;
    client.join("42").await;
    server.ready().await;
}

#[tokio::test]
async fn an_outbox_that_cannot_be_read_is_said_and_waited_out() {
    let database = Database::chat().await;
    database
        .run("alter table rowcast.epoch rename to elsewhere")
        .await;
    let server = Launch::serve().database(&database.url).spawn();
    let (address, _) = server.listening().await;
    fails(&address, "reader", "the outbox can't be read").await;
    let refused = http::get(&address, "/api/conversations/42/messages", &[]).await;
    assert_eq!(refused.json()["error"]["code"], "unavailable");
    database
        .run("alter table rowcast.elsewhere rename to epoch")
        .await;
    server.ready().await;
}

#[tokio::test]
async fn a_standby_at_the_address_is_said_and_waited_out() {
    let (mut postgres, database) = Postgres::with_chat().await;
    postgres.down(Signal::INT).await;
    std::fs::write(postgres.folder().join("data/standby.signal"), "").expect("a file");
    postgres.up().await;
    assert_eq!(database.value("select pg_is_in_recovery()").await, "t");
    let server = Launch::serve().database(&database.url).spawn();
    let (address, _) = server.listening().await;
    database_fails(&address, "is a standby").await;
    database.run("select pg_promote()").await;
    server.ready().await;
    server.readiness(200).await;
}

/// What the start says of the tables is not worth an end: clients are served by then.
#[tokio::test]
async fn attached_tables_that_cannot_be_listed_yet_are_listed_later() {
    let database = Database::chat().await;
    database
        .run("alter view rowcast.sources rename to elsewhere")
        .await;
    let server = Server::on(&database).await;
    let said = server.lines().join("\n");
    assert!(said.contains("attached tables can't be read yet"), "{said}");
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    database.say("42", "hi").await;
    assert_eq!(client.next().await.body(), "hi");
    database
        .run("alter view rowcast.elsewhere rename to sources")
        .await;
    server
        .log("the tables", |line| {
            line["message"] == "attached" && line["source"] == "public.messages"
        })
        .await;
    server.stop().await;
}

#[tokio::test]
async fn what_migrations_are_missing_is_named_and_left_where_that_is_wanted() {
    let database = Database::empty().await;
    let launch = || {
        Launch::serve()
            .database(&database.url)
            .env("ROWCAST_MIGRATE", "off")
    };
    let words = [
        "ROWCAST_MIGRATE=off",
        "0001_outbox",
        "0019_emit",
        "`rowcast migrate`",
    ];
    launch().refuse(&words).await;
    assert_eq!(
        database.value("select to_regnamespace('rowcast')").await,
        ""
    );
    // The command is asked for in so many words.
    Launch::command(["migrate"])
        .database(&database.url)
        .env("ROWCAST_MIGRATE", "off")
        .succeed()
        .await;
    launch().start().await.readiness(200).await;
}
