//! Rows from `psql`, as the README has it.

use std::process::Stdio;

use tokio::process::Command;

use crate::harness::Database;
use crate::harness::postgres;
use crate::harness::wait::within;

/// Runs SQL by Postgres's own client. The packages from npm have none: there a connection of ours runs it.
pub(super) async fn psql(database: &Database, sql: &str) {
    let Some(program) = postgres::psql() else {
        eprintln!("no psql on this machine: sqlx runs {sql}");
        return database.run(sql).await;
    };
    let ran = Command::new(program)
        .args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1"])
        .args(["--command", sql, &database.url])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ran = within(sql, ran).await.expect("psql starts");
    assert!(ran.status.success(), "{sql}: {ran:?}");
}
