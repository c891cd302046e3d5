//! A connection pooler between the server and Postgres: the application that shares it is not harmed, and no event is missed.

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::doctor::{amiss, examined};
use crate::harness::raw::Wire;
use crate::harness::wait::until_for;
use crate::harness::{BackEnd, Database, Launch, Pooler, Postgres, Stock, database};

/// What a client would find on a backend that others had before it.
const LEFT: &str = "
select concat_ws(', ',
    (select string_agg(name || ' = ' || setting, ', ') from pg_settings
     where source = 'session' and name not in ('application_name', 'client_encoding', 'DateStyle', 'TimeZone',
                                               'standard_conforming_strings', 'IntervalStyle')),
    (select string_agg(pg_listening_channels, ', ') from pg_listening_channels()),
    (select string_agg(name, ', ') from pg_prepared_statements),
    (select string_agg('lock ' || objid, ', ') from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()))";

/// Inserts as the application does, each over a connection of its own, and says what was left on theirs.
async fn use_as_the_application_does(url: &str, pool: u32) {
    for round in 0..pool * 5 {
        let mut connection = PgConnection::connect_with(&options(url))
            .await
            .expect("it answers");
        let insert = format!("insert into messages (contact_id, body) values ('app', '{round}')");
        database::run(&mut connection, &insert).await;
        assert_eq!(
            database::value(&mut connection, LEFT).await,
            "",
            "left by us"
        );
        connection.close().await.expect("it closes");
    }
}

fn options(url: &str) -> sqlx::postgres::PgConnectOptions {
    let options: sqlx::postgres::PgConnectOptions = url.parse().expect("a URL");
    options.extra_float_digits(None).statement_cache_capacity(0)
}

async fn a_pooler_is_survived(mode: &str, size: u32, settings: &str) {
    let (postgres, direct) = Postgres::with_chat().await;
    let pooler = Pooler::start(&postgres, mode, size, settings).await;
    let server = Launch::serve()
        .database(&pooler.url())
        .env("ROWCAST_POLL", "200ms")
        .start()
        .await;
    let degraded = server.readiness(200).await.json();
    let said = degraded["degraded"]["pooler"].as_str().unwrap_or_default();
    assert!(said.contains("DATABASE_URL"), "{degraded}");
    let back_end = BackEnd::on(&pooler.url());
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    // Many at once, in transactions that overlap.
    for half in 0..2 {
        let mut late = direct.connection().await;
        database::run(&mut late, "begin").await;
        database::say(&mut late, "42", "late").await;
        direct
            .run("insert into messages (contact_id, body) select '42', n::text from generate_series(1, 300) n")
            .await;
        if half == 0 {
            use_as_the_application_does(&pooler.url(), 2).await;
        }
        database::run(&mut late, "commit").await;
    }
    let mut bodies: Vec<String> = client
        .take(602)
        .await
        .iter()
        .map(|event| event.body().to_owned())
        .collect();
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 301, "each number, and the late ones");
    let page = server.read("42", "messages?limit=10").await;
    assert_eq!(page["messages"].as_array().map(Vec::len), Some(10));
    use_as_the_application_does(&pooler.url(), 2).await;
    let warned = server.lines();
    let warned = warned
        .iter()
        .filter(|line| line.contains("connection pooler"));
    assert_eq!(warned.count(), 1);
    server.stop().await;
    back_end.unharmed().await;
    use_as_the_application_does(&pooler.url(), 2).await;
    let locks = "select count(*) from pg_locks where locktype = 'advisory'";
    assert_eq!(direct.value(locks).await, "0");
}

pub(crate) const TOLERANT: &str = "ignore_startup_parameters = extra_float_digits";

#[tokio::test]
async fn a_pooler_in_transaction_mode_is_left_as_it_was() {
    a_pooler_is_survived("transaction", 2, TOLERANT).await;
}

/// Some are told to pass over what they don't know.
#[tokio::test]
async fn a_pooler_that_drops_our_options_is_recognised() {
    let settings = "ignore_startup_parameters = extra_float_digits, options";
    a_pooler_is_survived("transaction", 2, settings).await;
}

/// Nothing cleans up behind us.
#[tokio::test]
async fn a_pooler_in_session_mode_is_left_as_it_was() {
    let settings = format!("{TOLERANT}\nserver_reset_query =");
    a_pooler_is_survived("session", 40, &settings).await;
}

#[tokio::test]
async fn a_database_behind_a_pooler_is_migrated() {
    let postgres = Postgres::start().await;
    let pooler = Pooler::start(&postgres, "transaction", 2, TOLERANT).await;
    for _ in 0..2 {
        Launch::command(["migrate", "--chat"])
            .database(&pooler.url())
            .succeed()
            .await;
    }
    // Over a direct connection there is nothing left to do.
    Launch::command(["migrate", "--chat"])
        .database(&postgres.url())
        .succeed()
        .await;
    let direct = Database::at(postgres.url());
    let count = "select count(*) from rowcast.migrations where success";
    assert_ne!(direct.value(count).await, "0");
    use_as_the_application_does(&pooler.url(), 2).await;
}

/// The address is moved from the pooler to the database, as by a change of DNS, and back again.
#[tokio::test]
async fn a_server_follows_an_address_that_leads_elsewhere() {
    let (postgres, direct) = Postgres::with_chat().await;
    let folder = crate::harness::Scratch::folder();
    let link = folder.path().join(".s.PGSQL.5432");
    let socket = postgres.folder().join(".s.PGSQL.5432");
    let pooler = Pooler::start(&postgres, "transaction", 3, TOLERANT).await;
    let pooled = pooler.folder().join(".s.PGSQL.6432");
    std::os::unix::fs::symlink(&pooled, &link).expect("a link");
    let url = format!(
        "postgres://postgres@localhost/postgres?host={}",
        folder.path().display()
    );
    let server = Launch::serve().database(&url).start().await;
    let is_degraded = async |wanted: bool| {
        let what = if wanted {
            "a pooler to be named"
        } else {
            "the pooler to be gone"
        };
        until_for(Duration::from_secs(30), what, async || {
            let ready = server.get("/readyz").await;
            let degraded = ready.body.contains("pooler");
            (ready.status == 200 && degraded == wanted).then_some(())
        })
        .await;
    };
    is_degraded(true).await;
    let lead_to = |target: &Path| {
        std::fs::remove_file(&link).expect("a link");
        std::os::unix::fs::symlink(target, &link).expect("a link");
    };
    lead_to(&socket);
    drop(pooler);
    is_degraded(false).await;
    let pooler = Pooler::start(&postgres, "transaction", 3, TOLERANT).await;
    lead_to(&pooler.folder().join(".s.PGSQL.6432"));
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'rowcast%'";
    direct.run(kill).await;
    is_degraded(true).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    direct.say("42", "hello").await;
    assert_eq!(client.event("message:new").await.body(), "hello");
}

/// More than the reader hands over in one read: the rooms get it by replays, each event once and in order.
#[tokio::test]
async fn a_large_commit_arrives_through_a_pooler() {
    const ROWS: usize = 12_000;
    let (postgres, direct) = Postgres::with_chat().await;
    let pooler = Pooler::start(&postgres, "transaction", 2, TOLERANT).await;
    let server = Launch::serve()
        .database(&pooler.url())
        .env("ROWCAST_POLL", "200ms")
        .start()
        .await;
    let mut wire = Wire::connect(server.address()).await;
    let joined = wire.ask("join:conversation", &json!(["42"]), 1).await;
    assert_eq!(joined["ok"], true, "{joined}");
    let import = format!(
        "insert into messages (contact_id, body) select '42', n::text from generate_series(1, {ROWS}) n"
    );
    direct.run(&import).await;
    for expected in 1..=ROWS {
        let frame = wire.find("a message", |frame| frame.contains("message:new"));
        let body = format!("\"body\":\"{expected}\"");
        let frame = frame.await;
        assert!(frame.contains(&body), "{expected}: {frame}");
    }
    let large = server.metric("rowcast_large_reads_total", &[]).await;
    assert!(large >= 1.0, "it was read as a large one");
    use_as_the_application_does(&pooler.url(), 2).await;
}

#[tokio::test]
async fn rights_are_given_and_looked_at_through_a_pooler() {
    let (postgres, direct) = Postgres::with_chat().await;
    let pooler = Pooler::start(&postgres, "transaction", 2, TOLERANT).await;
    direct.run("create role app login").await;
    for apply in [false, true] {
        let mut grant = Launch::command(["grant", "app"]);
        grant = grant.database(&pooler.url());
        if apply {
            grant = grant.arg("--apply");
        }
        let said = grant.succeed().await.stdout;
        assert!(apply || said.contains("grant"), "{said}");
        let may = "select has_table_privilege('app', 'rowcast.sessions', 'insert')";
        assert_eq!(direct.value(may).await, if apply { "t" } else { "f" });
    }
    use_as_the_application_does(&pooler.url(), 2).await;

    let (findings, code) = examined(&pooler.url()).await;
    assert_eq!(code, 1, "{findings:#?}");
    let amiss = amiss(&findings);
    let expected = [
        "pooler warning a pooler stands before Postgres",
        "listen warning not tried, since the pooler shares its connections",
    ];
    assert_eq!(amiss, expected, "nothing else is amiss");
    // And what is amiss behind it is found as well.
    direct
        .run("alter table messages disable trigger rowcast_insert")
        .await;
    let (findings, code) = examined(&pooler.url()).await;
    assert_eq!(code, 2, "{findings:#?}");
    use_as_the_application_does(&pooler.url(), 2).await;
    let locks = "select count(*) from pg_locks where locktype = 'advisory'";
    assert_eq!(direct.value(locks).await, "0");
}
