//! Few connections to Postgres: a role or a cluster that allows hardly any, at the start and later.

use std::time::Duration;

use crate::doctor::{Role, amiss, examined};
use crate::harness::wait::until_for;
use crate::harness::{BackEnd, Database, Launch, Postgres, Scratch, Stock, database};

/// What a server takes at least, to what it takes without a limit.
#[tokio::test]
async fn a_role_with_a_few_connections_serves_history_and_joins() {
    for limit in [5, 6, 8] {
        let database = Database::chat().await;
        let role = Role::granted(&database, []).await;
        let alter = |limit: i32| format!("alter role {} connection limit {limit}", role.name);
        database.run(&alter(limit)).await;
        let (findings, code) = examined(&role.url).await;
        let said = amiss(&findings).join("\n");
        let words = format!("the role may have {limit} connections");
        assert!(code == 1 && said.contains(&words), "{said}");

        let server = Launch::serve().database(&role.url).start().await;
        let stock = Stock::start();
        let mut clients = Vec::new();
        for _ in 0..20 {
            clients.push(stock.joined(&server, "42").await);
        }
        let offset = server.offset("42").await;
        database.say("42", "here").await;
        for client in &mut clients {
            assert_eq!(client.next().await.body(), "here", "limit {limit}");
        }
        for _ in 0..10 {
            let after = format!("events?after={offset}");
            let (page, events) =
                tokio::join!(server.read("42", "messages"), server.read("42", &after));
            assert_eq!(page["messages"][0]["body"], "here", "limit {limit}: {page}");
            assert_eq!(events["events"].as_array().map(Vec::len), Some(1));
        }
        server.readiness(200).await;
        let said = server.lines();
        let troubled = said.iter().find(|line| line.contains("too many"));
        assert_eq!(troubled, None, "limit {limit}");
        server.stop().await;
        role.gone(&database).await;
    }
}

/// Takes every connection that ordinary roles may have, and gives them back when it is dropped.
async fn take_all(url: &str) -> Vec<sqlx::PgConnection> {
    use sqlx::Connection as _;
    let mut taken = Vec::new();
    while let Ok(connection) = sqlx::PgConnection::connect(url).await {
        taken.push(connection);
    }
    taken
}

#[tokio::test]
async fn connections_that_run_out_end_no_server_and_no_flood_is_logged() {
    let folder = Scratch::folder();
    let postgres = Postgres::start_in(folder, &["max_connections=24"]).await;
    let database = postgres.chat().await;
    let make = "create role server login; create role others login";
    database.run(make).await;
    Launch::command(["grant", "server", "--apply"])
        .database(&postgres.url())
        .succeed()
        .await;
    let [url, others] =
        ["server@", "others@"].map(|role| postgres.url().replacen("postgres@", role, 1));

    let back_end = BackEnd::on(&postgres.url());
    let taken = take_all(&others).await;
    let server = Launch::serve().database(&url).spawn();
    let (address, _) = server.listening().await;
    let slots = |text: &str| text.contains("connection slots") || text.contains("too many clients");
    until_for(
        Duration::from_secs(20),
        "the slots to be named",
        async || {
            let ready = crate::harness::http::get(&address, "/readyz", &[]).await;
            (ready.status == 503 && slots(&ready.body)).then_some(())
        },
    )
    .await;
    drop(taken);
    server.ready().await;
    server.readiness(200).await;
    let named = server.lines().iter().filter(|line| slots(line)).count();
    assert_eq!(named, 1, "one line while it starts");

    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    // It loses what it has, and others are quicker.
    let end =
        "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'server'";
    let mut all = Vec::new();
    let mut admin = database.connection().await;
    for _ in 0..5 {
        database::value(&mut admin, end).await;
        all.extend(take_all(&others).await);
    }
    until_for(
        Duration::from_secs(30),
        "the server to be unready",
        async || {
            database::value(&mut admin, end).await;
            all.extend(take_all(&others).await);
            (server.get("/readyz").await.status == 503).then_some(())
        },
    )
    .await;
    let written = "insert into messages (contact_id, body) values ('42', 'meanwhile')";
    database::run(&mut admin, written).await;
    drop(all);
    until_for(
        Duration::from_secs(30),
        "the server to be ready",
        async || (server.get("/readyz").await.status == 200).then_some(()),
    )
    .await;
    assert_eq!(client.next().await.body(), "meanwhile");
    let page = server.read("42", "messages").await;
    assert_eq!(page["messages"][0]["body"], "meanwhile", "{page}");
    back_end.unharmed().await;
    server.stop().await;
}
