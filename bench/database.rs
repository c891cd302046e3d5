//! One database of the benchmark's cluster, and the statements that the measurements run on it.
//!
//! Owns no connection but those it hands out as a pool: each statement has a connection of its own, because none of them
//! runs while something is measured. [`crate::cluster::Cluster`] creates and removes databases.

use anyhow::Result;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection, PgConnection};

use crate::insert;

/// One database of the cluster.
#[derive(Clone)]
pub(crate) struct Database {
    name: String,
    /// What a server gets as `DATABASE_URL`.
    pub(crate) url: String,
    options: PgConnectOptions,
}

impl Database {
    pub(crate) fn new(name: String, url: String, options: PgConnectOptions) -> Self {
        Self { name, url, options }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Connections that stay open, so that no measured insert pays for a connect.
    pub(crate) async fn pool(&self, connections: u32) -> Result<PgPool> {
        let options = PgPoolOptions::new()
            .min_connections(connections)
            .max_connections(connections);
        Ok(options
            .test_before_acquire(false)
            .connect_with(self.options.clone())
            .await?)
    }

    pub(crate) async fn execute(&self, statements: &'static str) -> Result<()> {
        let mut connection = PgConnection::connect_with(&self.options).await?;
        sqlx::raw_sql(statements).execute(&mut connection).await?;
        Ok(())
    }

    /// Inserts that many numbered rows into room 0, a thousand in each transaction.
    pub(crate) async fn fill(&self, rows: u32) -> Result<()> {
        let mut connection = PgConnection::connect_with(&self.options).await?;
        for first in (0..rows).step_by(1000) {
            let bodies = (first..rows.min(first + 1000)).map(insert::body);
            sqlx::query(insert::MANY)
                .bind("0")
                .bind(bodies.collect::<Vec<_>>())
                .execute(&mut connection)
                .await?;
        }
        Ok(())
    }

    /// The same rows in one statement.
    pub(crate) async fn fill_at_once(&self, rows: u32) -> Result<()> {
        let mut connection = PgConnection::connect_with(&self.options).await?;
        let (before, after) = insert::around();
        sqlx::query(insert::AT_ONCE)
            .bind("0")
            .bind(i64::from(rows))
            .bind(before)
            .bind(after)
            .execute(&mut connection)
            .await?;
        Ok(())
    }

    pub(crate) async fn count(&self, query: &'static str) -> Result<u64> {
        let mut connection = PgConnection::connect_with(&self.options).await?;
        let count: i64 = sqlx::query_scalar(query).fetch_one(&mut connection).await?;
        Ok(u64::try_from(count)?)
    }
}
