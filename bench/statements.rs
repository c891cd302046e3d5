//! Statements: what a server asks Postgres in some time, as pg_stat_statements counts it.
//!
//! Owns the settings that the cluster starts with, under which nothing is counted, and the databases in which it is. Refuses to guess
//! where the module is not installed: then there are no counts.
//! Guarantees that the benchmark's own inserts are not among them.

use std::path::Path;

use anyhow::Result;
use sqlx::AssertSqlSafe;

use crate::cluster::Cluster;
use crate::database::Database;

/// Loaded, and off.
pub(crate) const SETTINGS: [&str; 4] = [
    "-c",
    "shared_preload_libraries=pg_stat_statements",
    "-c",
    "pg_stat_statements.track=none",
];

/// Whether the module is where these binaries look for it.
pub(crate) fn are_there(bindir: &Path) -> bool {
    ["../lib", "../lib/postgresql", "../lib64"]
        .iter()
        .any(|lib| bindir.join(lib).join("pg_stat_statements.so").is_file())
}

/// One statement, its constants taken out.
pub(crate) struct Statement {
    pub(crate) text: String,
    pub(crate) calls: u64,
    pub(crate) total_ms: f64,
}

/// Counts from here on in that database, for connections that are opened from here on.
pub(crate) async fn count(cluster: &Cluster, database: &Database) -> Result<()> {
    if !cluster.counts_statements() {
        return Ok(());
    }
    let mut connection = cluster.connection().await?;
    let track = format!(
        "alter database {} set pg_stat_statements.track = 'top'",
        database.name()
    );
    sqlx::query(AssertSqlSafe(track))
        .execute(&mut connection)
        .await?;
    sqlx::query("create extension if not exists pg_stat_statements")
        .execute(&mut connection)
        .await?;
    sqlx::query("select pg_stat_statements_reset()")
        .execute(&mut connection)
        .await?;
    Ok(())
}

/// What was counted, the most frequent first.
pub(crate) async fn counted(cluster: &Cluster, database: &Database) -> Result<Vec<Statement>> {
    if !cluster.counts_statements() {
        return Ok(Vec::new());
    }
    let mut connection = cluster.connection().await?;
    let rows = sqlx::query_as::<_, (String, i64, f64)>(
        "select query, calls, total_exec_time from pg_stat_statements \
         join pg_database on pg_database.oid = dbid \
         where datname = $1 and query not like 'insert into messages %' order by calls desc",
    )
    .bind(database.name())
    .fetch_all(&mut connection)
    .await?;
    let statements = rows.into_iter().map(|(text, calls, total_ms)| Statement {
        text: text.split_whitespace().collect::<Vec<_>>().join(" "),
        calls: u64::try_from(calls).unwrap_or_default(),
        total_ms,
    });
    Ok(statements.collect())
}
