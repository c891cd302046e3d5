//! The list of conversations of the chat tables, where commits could not bring it up to date.
//!
//! `rowcast.settle_conversations` does the work, some conversations a call, each call a transaction of its own, so that no writer waits for
//! long. A database without the chat tables has no such function, and nothing is done there.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor, Postgres};

use super::pools::Pool;
use super::retry::within;
use super::{Database, PLAIN};

/// The longest wait for an answer: the first call looks for all conversations there are.
const PATIENCE: Duration = Duration::from_secs(60);

const IS_THERE: &str = "select to_regprocedure('rowcast.settle_conversations(int)') is not null";
const SETTLE: &str = "select settled, failed, problem from rowcast.settle_conversations()";

/// What one call did.
#[derive(sqlx::FromRow, Debug)]
pub(crate) struct Settled {
    /// Conversations that are up to date.
    pub settled: i64,
    /// Those that are not, and are tried again by the next call.
    pub failed: i64,
    /// Why one of those is not.
    pub problem: Option<String>,
}

/// Settles some conversations; `None` where there is no list of them.
///
/// # Errors
/// The database's own, or that there was no answer in time.
pub(crate) async fn settle_some(pool: &Pool) -> sqlx::Result<Option<Settled>> {
    within(pool, PATIENCE, async |connection| {
        if is_there(&mut *connection).await? {
            settle(connection).await.map(Some)
        } else {
            Ok(None)
        }
    })
    .await
}

/// Settles all of them, as far as it can.
///
/// # Errors
/// The database's own.
pub(crate) async fn settle_conversations(database: &Database) -> sqlx::Result<()> {
    let (mut connection, _) = database.open("rowcast migrate", PLAIN).await?;
    if is_there::<&mut PgConnection>(&mut connection).await? {
        while settle::<&mut PgConnection>(&mut connection).await?.settled > 0 {}
    }
    connection.close().await
}

// Not kept prepared: behind a pooler it would be left to others.
async fn is_there<'c, E: Executor<'c, Database = Postgres>>(connection: E) -> sqlx::Result<bool> {
    sqlx::query_scalar(IS_THERE)
        .persistent(false)
        .fetch_one(connection)
        .await
}

async fn settle<'c, E: Executor<'c, Database = Postgres>>(connection: E) -> sqlx::Result<Settled> {
    sqlx::query_as(SETTLE)
        .persistent(false)
        .fetch_one(connection)
        .await
}
