//! A server that can't do its work says so: to clients at once and truly, in readiness with the cause, in a metric, and in the log
//! with one line when it begins and one when it is over.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::doctor::Role;
use crate::harness::wait::until_for;
use crate::harness::{BackEnd, Database, Launch, Server, Stock};

/// From here on no session can be stored.
pub(crate) const NO_ROOM: &str = "create function no_room() returns trigger language plpgsql as $$ begin
       raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$;
     create trigger no_room before insert on rowcast.sessions for each row execute function no_room()";

/// A server with a role of its own.
struct Stage {
    server: Server,
    stock: Stock,
    role: Role,
    back_end: BackEnd,
    database: Database,
}

impl Stage {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(variables: &[(&str, &str)]) -> Self {
        let database = Database::chat().await;
        let role = Role::granted(&database, []).await;
        let mut launch = Launch::serve().database(&role.url);
        for (name, value) in variables {
            launch = launch.env(name, value);
        }
        let server = launch.start().await;
        server.readiness(200).await;
        Self {
            server,
            stock: Stock::start(),
            role,
            back_end: BackEnd::on(&database.url),
            database,
        }
    }

    async fn run(&self, sql: &str) {
        self.database
            .run(&sql.replace("ROLE", &self.role.name))
            .await;
    }

    /// What a client is answered that joins now, and after how long.
    async fn join(&self) -> (Value, Duration) {
        let mut client = self.stock.open(self.server.address(), &json!({}), &[]).0;
        client.connected().await;
        let begun = Instant::now();
        (
            client.ask("join:conversation", json!(["42"])).await,
            begun.elapsed(),
        )
    }

    /// Waits until `/readyz` has this status and this text about a check of that name.
    async fn tells(&self, status: u16, member: &str, check: &str, cause: &str) {
        let what = format!("{member}.{check} with {cause}");
        until_for(Duration::from_secs(20), what, async || {
            let answer = self.server.get("/readyz").await;
            let body = answer.json();
            let said = body[member][check]
                .as_str()
                .is_some_and(|said| said.contains(cause));
            (answer.status == status && said).then_some(())
        })
        .await;
        let ready = self.ready(check).await;
        assert_eq!(ready, 0.0, "rowcast_ready of {check}");
    }

    async fn ready(&self, check: &str) -> f64 {
        let label = format!("check=\"{check}\"");
        self.server.metric("rowcast_ready", &[&label]).await
    }

    /// Waits until all is well, and sees that the log had one line for the fault and one for its end.
    async fn mended(self, check: &str) {
        until_for(
            Duration::from_secs(20),
            "readiness without a fault",
            async || {
                let answer = self.server.get("/readyz").await;
                (answer.status == 200 && answer.json()["status"] == "ready").then_some(())
            },
        )
        .await;
        assert_eq!(self.ready(check).await, 1.0, "rowcast_ready of {check}");
        let (answer, _) = self.join().await;
        assert_eq!(answer["ok"], true, "{answer}");
        let about = |begin: &str| {
            let lines = self.server.lines();
            let named = format!("\"check\":\"{check}\"");
            lines
                .iter()
                .filter(|line| line.contains(&named) && line.contains(begin))
                .count()
        };
        let begun = about("not ready: ") + about("degraded: ");
        assert_eq!(
            (begun, about("mended: ")),
            (1, 1),
            "{:#?}",
            self.server.lines()
        );
        let Self {
            server,
            role,
            back_end,
            database,
            ..
        } = self;
        back_end.unharmed().await;
        server.stop().await;
        role.gone(&database).await;
    }
}

#[tokio::test]
async fn a_server_that_may_not_store_sessions_says_so_at_once() {
    let stage = Stage::new().await;
    stage
        .run("revoke insert on rowcast.sessions from ROLE")
        .await;
    for _ in 0..5 {
        let (answer, took) = stage.join().await;
        assert_eq!(answer["error"]["code"], "unavailable", "{answer}");
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert!(message.contains("can't store sessions"), "{answer}");
        assert!(took < Duration::from_secs(3), "{took:?}");
    }
    let cause = "may not insert rowcast.sessions";
    stage.tells(503, "failing", "sessions", cause).await;
    stage.run("grant insert on rowcast.sessions to ROLE").await;
    stage.mended("sessions").await;
}

/// Found without a client that joins.
#[tokio::test]
async fn a_server_finds_out_by_itself_that_joins_would_fail() {
    let stage = Stage::new().await;
    stage.run(NO_ROOM).await;
    stage
        .tells(503, "failing", "sessions", "No space left on device")
        .await;
    let (answer, took) = stage.join().await;
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("can't store sessions"), "{answer}");
    assert!(took < Duration::from_secs(9), "{took:?}");
    stage.run("drop function no_room cascade").await;
    stage.mended("sessions").await;
}

#[tokio::test]
async fn row_security_on_a_table_of_ours_is_told() {
    for table in ["events", "attached", "sessions"] {
        let stage = Stage::new().await;
        stage
            .run(&format!(
                "alter table rowcast.{table} enable row level security"
            ))
            .await;
        stage
            .tells(
                503,
                "failing",
                "row_security",
                &format!("rows of rowcast.{table}"),
            )
            .await;
        stage
            .run(&format!(
                "create policy ours on rowcast.{table} to ROLE using (true)"
            ))
            .await;
        stage.mended("row_security").await;
    }
}

#[tokio::test]
async fn history_behind_row_security_is_unavailable_and_not_empty() {
    let stage = Stage::new().await;
    stage
        .run("alter table rowcast.attached enable row level security")
        .await;
    stage
        .server
        .refused("42", "messages", 503, "unavailable")
        .await;
    stage
        .run("alter table rowcast.attached disable row level security")
        .await;
    stage.server.read("42", "messages").await;
    let Stage {
        server,
        role,
        database,
        ..
    } = stage;
    server.stop().await;
    role.gone(&database).await;
}

/// Events reach their clients all the same, so the server stays in service.
#[tokio::test]
async fn a_server_that_may_not_prune_is_degraded_and_says_so() {
    let stage = Stage::new().await;
    stage.run("revoke delete on rowcast.events from ROLE").await;
    stage
        .tells(
            200,
            "degraded",
            "retention",
            "may not delete rowcast.events",
        )
        .await;
    let (answer, _) = stage.join().await;
    assert_eq!(answer["ok"], true, "{answer}");
    stage.run("grant delete on rowcast.events to ROLE").await;
    stage.mended("retention").await;
}

#[tokio::test]
async fn a_read_only_database_is_told() {
    let stage = Stage::new().await;
    let anew = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'ROLE'";
    stage
        .run("alter role ROLE set default_transaction_read_only = on")
        .await;
    stage.run(anew).await;
    stage
        .tells(503, "failing", "writes", "default_transaction_read_only")
        .await;
    let (answer, took) = stage.join().await;
    let message = answer["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("can't store sessions"), "{answer}");
    assert!(took < Duration::from_secs(3), "{took:?}");
    stage
        .run("alter role ROLE reset default_transaction_read_only")
        .await;
    stage.run(anew).await;
    stage.mended("writes").await;
}

/// A right that a server needs only sometimes is told before it is needed.
#[tokio::test]
async fn a_right_that_is_missing_is_told_before_it_is_needed() {
    let stage = Stage::new().await;
    stage
        .run("revoke execute on function rowcast.truncate_payload(json) from ROLE")
        .await;
    stage
        .tells(503, "failing", "rights", "truncate_payload")
        .await;
    stage
        .run("grant execute on function rowcast.truncate_payload(json) to ROLE")
        .await;
    stage.mended("rights").await;
}

/// A right that resumes need and joins do not: a join that could be stored does not say that all is well.
#[tokio::test]
async fn a_right_that_a_join_does_not_take_is_missed_for_as_long_as_it_is_missing() {
    let stage = Stage::new().await;
    stage
        .run("revoke execute on function rowcast.signed(text, text) from ROLE")
        .await;
    let cause = "may not execute function rowcast.signed";
    stage.tells(503, "failing", "sessions", cause).await;
    // A rehearsed join is rolled back, and counted by Postgres all the same.
    let rehearsed = async || {
        let count = "select pg_stat_get_tuples_inserted('rowcast.sessions'::regclass)::text";
        stage.database.value(count).await.parse::<u64>()
    };
    let before = rehearsed().await.expect("a count");
    let longest = Duration::from_secs(30);
    until_for(longest, "two more rehearsals of a join", async || {
        (rehearsed().await.expect("a count") >= before + 2).then_some(())
    })
    .await;
    let answer = stage.server.get("/readyz").await;
    assert_eq!(answer.status, 503, "{}", answer.json());
    stage
        .run("grant execute on function rowcast.signed(text, text) to ROLE")
        .await;
    stage.mended("sessions").await;
}
