//! What breaks under a running server, and that nothing is lost by it.

use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;

use crate::harness::wait::{until, until_for};
use crate::harness::{Launch, Postgres, Scene, Server, Stock, database, say};

/// Ends the backends of that name, and waits until others stand in their place.
async fn kill_backends(scene: &Scene, name: &str) {
    let find = format!(
        "select string_agg(pid::text, ',' order by pid) from pg_stat_activity where datname = current_database() and application_name = '{name}'"
    );
    let before = until(format!("a backend of `{name}`"), async || {
        let found = scene.database.value(&find).await;
        (!found.is_empty()).then_some(found)
    })
    .await;
    scene
        .database
        .run(&format!(
            "select pg_terminate_backend(pid) from unnest('{{{before}}}'::int[]) pid"
        ))
        .await;
    until(format!("`{name}` to come back"), async || {
        let now = scene.database.value(&find).await;
        (!now.is_empty() && now != before).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_killed_listener_loses_nothing() {
    // With the poll off, only a listener that came back and woke the reader explains a delivery.
    let scene = Scene::with(&[("ROWCAST_POLL", "1h")]).await;
    let mut client = scene.joined("42").await;
    for round in 0..3 {
        let find = "select pid from pg_stat_activity where datname = current_database() and application_name = 'rowcast listener'";
        let listener = scene.database.value(find).await;
        // Killed and written to in one transaction: its notification finds nobody.
        let mut writer = scene.database.pool.begin().await.expect("a transaction");
        say(&mut *writer, "42", &format!("while away {round}")).await;
        database::run(
            &mut *writer,
            &format!("select pg_terminate_backend({listener}, 5000)"),
        )
        .await;
        writer.commit().await.expect("it commits");
        assert_eq!(client.next().await.body(), format!("while away {round}"));
        until("a listener to stand in its place", async || {
            let count = scene
                .database
                .value(&format!(
                    "select count(*) from ({find}) l where pid <> {listener}"
                ))
                .await;
            (count == "1").then_some(())
        })
        .await;
        scene.database.say("42", &format!("back {round}")).await;
        assert_eq!(client.next().await.body(), format!("back {round}"));
    }
    scene
        .server
        .counted("rowcast_listener_reconnects_total", &[], 3.0)
        .await;
    scene.server.readiness(200).await;
}

#[tokio::test]
async fn a_killed_reader_loses_and_doubles_nothing() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    let pool = scene.database.pool.clone();
    let mut writer = tokio::task::JoinSet::new();
    writer.spawn(async move {
        for number in 0..600 {
            say(&pool, "42", &number.to_string()).await;
        }
    });
    for _ in 0..3 {
        kill_backends(&scene, "rowcast reader").await;
    }
    for number in 0..600 {
        assert_eq!(
            client
                .event_for(Duration::from_secs(30), "message:new")
                .await
                .body(),
            number.to_string()
        );
    }
    scene.database.say("42", "last").await;
    assert_eq!(client.next().await.body(), "last");
}

#[tokio::test]
async fn a_reader_killed_in_the_middle_of_a_large_pass_loses_and_doubles_nothing() {
    const ROWS: usize = 40_000;
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    let import = format!(
        "insert into messages (contact_id, body) select '42', n::text from generate_series(1, {ROWS}) n"
    );
    scene.database.run(&import).await;
    for number in 1..=ROWS {
        let event = client
            .event_for(Duration::from_secs(30), "message:new")
            .await;
        assert_eq!(event.body(), number.to_string());
        if number % 5_000 == 1 {
            let kill = "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'rowcast reader'";
            scene.database.run(kill).await;
        }
    }
    scene.assert_nothing_more("42", &mut client).await;
}

#[tokio::test]
async fn a_reader_killed_again_while_it_finds_its_place_loses_and_doubles_nothing() {
    const ROWS: usize = 30_000;
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    let import = format!(
        "insert into messages (contact_id, body) select '42', n::text from generate_series(1, {ROWS}) n"
    );
    scene.database.run(&import).await;
    assert_eq!(client.next().await.body(), "1");
    for _ in 0..5 {
        kill_backends(&scene, "rowcast reader").await;
    }
    for number in 2..=ROWS {
        let event = client
            .event_for(Duration::from_secs(30), "message:new")
            .await;
        assert_eq!(event.body(), number.to_string());
    }
    scene.assert_nothing_more("42", &mut client).await;
}

#[tokio::test]
async fn every_backend_killed_at_once_loses_nothing() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    for round in 0..3 {
        scene.database.say("42", &format!("before {round}")).await;
        scene
            .database
            .run("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'rowcast%'")
            .await;
        scene.database.say("42", &format!("after {round}")).await;
        assert_eq!(client.next().await.body(), format!("before {round}"));
        assert_eq!(client.next().await.body(), format!("after {round}"));
    }
    scene.server.readiness(200).await;
}

#[tokio::test]
async fn a_restarted_postgres_loses_nothing() {
    let (mut postgres, database) = Postgres::with_chat().await;
    let server = Server::on(&database).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    // A fast shutdown, then what a crash leaves behind.
    for signal in [Signal::INT, Signal::QUIT] {
        database.say("42", "before").await;
        assert_eq!(client.next().await.body(), "before");
        postgres.down(signal).await;
        server.readiness(503).await;
        assert_eq!(
            server.get("/livez").await.status,
            200,
            "alive, if not ready"
        );
        let (_, port) = server.address().rsplit_once(':').expect("a port");
        let check = Launch::command(["healthcheck"]).env("PORT", port).end();
        assert_eq!(check.await.code, Some(1));

        postgres.up().await;
        until("the test's own connection", async || {
            sqlx::query("select 1").execute(&database.pool).await.ok()
        })
        .await;
        // At once: the server may not be back yet.
        database.say("42", "after").await;
        let event = client
            .event_for(Duration::from_secs(30), "message:new")
            .await;
        assert_eq!(event.body(), "after");
        until_for(
            Duration::from_secs(30),
            "/readyz to be 200 again",
            async || (server.get("/readyz").await.status == 200).then_some(()),
        )
        .await;
    }
    // The client's connection never noticed.
    client.join("43").await;
}

#[tokio::test]
async fn a_postgres_that_comes_late_is_waited_for() {
    let (mut postgres, database) = Postgres::with_chat().await;
    postgres.down(Signal::INT).await;
    let server = Launch::serve().database(&postgres.url()).spawn();
    // It says what it waits for, and does not give up.
    server
        .log("a word about the database", |line| {
            line["level"] == "WARN" || line["level"] == "ERROR"
        })
        .await;
    assert!(server.exited().is_none());
    postgres.up().await;
    server.ready().await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    database.say("42", "hello").await;
    assert_eq!(client.next().await.body(), "hello");
}

#[tokio::test]
async fn a_row_that_cannot_be_sent_stops_nothing() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    scene
        .database
        .run("insert into rowcast.events (room, event, data) values (null, 'lost', '{}'), ('conversation:42', 'odd', '[1, \"two\", null]')")
        .await;
    scene.database.say("42", "after").await;
    loop {
        let event = client.next().await;
        if event.name == "message:new" {
            assert_eq!(event.body(), "after");
            break;
        }
    }
    scene
        .server
        .counted("rowcast_capture_errors_total", &[], 1.0)
        .await;
}

#[tokio::test]
async fn a_listener_that_hears_nothing_any_more_is_replaced() {
    let (_postgres, database) = Postgres::with_chat().await;
    // With the poll off, only a new listener can deliver.
    let server = Server::with(&database, &[("ROWCAST_POLL", "1h")]).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    let find = "select pid from pg_stat_activity where application_name = 'rowcast listener'";
    let backend = database.value(find).await.parse().ok();
    let backend = backend.and_then(Pid::from_raw).expect("a listener");
    // Its connection stays open and silent, as behind a firewall that forgot it.
    kill_process(backend, Signal::STOP).expect("it runs");
    database.say("42", "into the silence").await;
    let event = client
        .event_for(Duration::from_secs(20), "message:new")
        .await;
    assert_eq!(event.body(), "into the silence");
    database.say("42", "heard").await;
    assert_eq!(client.next().await.body(), "heard");
    kill_process(backend, Signal::CONT).expect("it runs");
}
