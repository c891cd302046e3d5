//! Somebody else holds the advisory locks that readers and pruning use: nothing stops, and it is said who it is.

use std::cell::Cell;
use std::time::Duration;

use serde_json::Value;

use crate::doctor::Role;
use crate::harness::database::{Database, connection, run, value};
use crate::harness::wait::until_for;
use crate::harness::{Launch, Scene, Server};

#[tokio::test]
async fn another_role_that_holds_our_advisory_locks_stops_nothing_and_is_named() {
    let scene = Scene::with(&[("ROWCAST_RETENTION", "1s"), ("ROWCAST_POLL", "60s")]).await;
    let mallory = Role::bare(&scene.database).await;
    let mut client = scene.joined("42").await;
    let mut theirs = connection(&mallory.url).await;
    let pid = value(&mut theirs, "select pg_backend_pid()").await;
    // The reader lets go of its key while writers are busy; whoever waits for it gets it then.
    let taken = Cell::new(false);
    let take = async {
        let keys = "select pg_advisory_lock(1919903602, 1), pg_advisory_lock(1919903602, 2)";
        run(&mut theirs, keys).await;
        taken.set(true);
    };
    let write = until_for(Duration::from_secs(30), "the key to be taken", async || {
        scene
                .database
                .run("insert into messages (contact_id, body) select '7', n::text from generate_series(1, 200) n")
                .await;
        taken.get().then_some(())
    });
    tokio::join!(take, write);
    for body in ["one", "two", "three"] {
        scene.database.say("42", body).await;
        assert_eq!(client.event("message:new").await.body(), body);
    }
    until_for(
        Duration::from_secs(30),
        "the outbox to be pruned",
        async || {
            (scene
                .database
                .value("select count(*) from rowcast.events")
                .await
                == "0")
                .then_some(())
        },
    )
    .await;
    let named = format!("pid {pid} ");
    until_for(
        Duration::from_secs(40),
        "readiness to name the holder",
        async || {
            let ready = scene.server.get("/readyz").await;
            (ready.status == 200
                && ready.body.contains("reader_key")
                && ready.body.contains(&named))
            .then_some(())
        },
    )
    .await;
    // The line is on its way when readiness says it.
    let is_of_it = |line: &Value| {
        line["message"]
            .as_str()
            .is_some_and(|said| said.contains(&named))
    };
    scene.server.log("the holder's line", is_of_it).await;
    let told = scene
        .server
        .lines()
        .iter()
        .filter(|line| line.contains(&named))
        .count();
    assert_eq!(told, 1, "one line");
    let examined = Launch::command(["doctor", "--json"])
        .database(&scene.database.url)
        .end()
        .await;
    let report: Value = serde_json::from_str(&examined.stdout).expect("JSON");
    let findings = report["findings"].as_array().expect("a list");
    let found = findings
        .iter()
        .find(|finding| finding["check"] == "reader_key")
        .expect("it looks");
    assert_eq!(found["level"], "warning");
    assert!(found["said"].to_string().contains(&named), "{found}");

    drop(theirs);
    until_for(
        Duration::from_secs(40),
        "readiness to be as before",
        async || {
            let ready = scene.server.get("/readyz").await;
            (!ready.body.contains(&named)).then_some(())
        },
    )
    .await;
    scene.database.say("42", "after").await;
    assert_eq!(client.event("message:new").await.body(), "after");
    mallory.gone(&scene.database).await;
}

/// A prepared transaction holds its locks without a session: `pg_locks` has no pid for it.
#[tokio::test]
async fn a_prepared_transaction_that_holds_our_locks_is_named_and_ends_no_server() {
    let database = Database::chat().await;
    if database
        .value("select current_setting('max_prepared_transactions')")
        .await
        == "0"
    {
        return;
    }
    let name = database.value("select current_database()").await;
    let prepared = async |what: &str, suffix: &str| {
        let sql = format!("begin; {what}; prepare transaction '{name}''{suffix}'");
        database.run(&sql).await;
    };
    // While a reader sleeps it has the key.
    prepared("select pg_advisory_xact_lock(1919903602, 1)", "key").await;
    let server = Server::on(&database).await;
    prepared("lock table rowcast.sessions", "table").await;
    let named = format!("the prepared transaction '{name}''");
    for check in ["locks", "reader_key"] {
        until_for(
            Duration::from_secs(40),
            "readiness to name the holder",
            async || {
                let ready = server.get("/readyz").await;
                let ready: Value = serde_json::from_str(&ready.body).ok()?;
                let cause = [&ready["failing"][check], &ready["degraded"][check]];
                cause
                    .iter()
                    .any(|cause| cause.as_str().is_some_and(|cause| cause.contains(&named)))
                    .then_some(())
            },
        )
        .await;
    }
    let examined = Launch::command(["doctor", "--json"])
        .database(&database.url)
        .end()
        .await;
    let report: Value = serde_json::from_str(&examined.stdout).expect("JSON");
    let findings = report["findings"].as_array().expect("a list");
    for check in ["locks", "reader_key"] {
        let found = findings.iter().find(|finding| {
            finding["check"] == check && finding["said"].to_string().contains(&named)
        });
        let found = found.unwrap_or_else(|| panic!("{check} names it: {findings:?}"));
        let paste = found["paste"].as_str().expect("a remedy");
        assert!(
            paste.starts_with(&format!("rollback prepared '{name}''")),
            "{paste}"
        );
    }
    for suffix in ["key", "table"] {
        let sql = format!("rollback prepared '{name}''{suffix}'");
        database.run(&sql).await;
    }
    server.readiness(200).await;
    until_for(
        Duration::from_secs(40),
        "readiness to be as before",
        async || (!server.get("/readyz").await.body.contains(&named)).then_some(()),
    )
    .await;
}
