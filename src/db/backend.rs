//! A connection as statements are run on it: with names or without.
//!
//! sqlx gives each statement a name, so that Postgres parses it once. Through a pooler the name may meet another client's, or be
//! missing on the next backend. There each statement goes without a name, which holds until the next one on the same backend,
//! and so within a transaction.

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sqlx::postgres::{PgArguments, PgConnection, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{AssertSqlSafe, Connection as _, Either, Execute, Executor, FromRow, Postgres, SqlStr};

use super::numbers::pin_names;

/// A connection that runs statements.
#[derive(Debug)]
pub(super) struct Backend<'a> {
    connection: &'a mut PgConnection,
    named: bool,
}

impl<'a> Backend<'a> {
    /// With names if the connection is direct.
    pub(super) fn new(direct: bool, connection: &'a mut PgConnection) -> Self {
        Self {
            connection,
            named: direct,
        }
    }

    /// Runs a statement that may fail within a transaction, and undoes it.
    ///
    /// # Errors
    /// The savepoint's; the statement's own are in the answer.
    pub(super) async fn attempt<'q>(
        &mut self,
        statement: impl Execute<'q, Postgres> + 'q,
    ) -> sqlx::Result<sqlx::Result<PgQueryResult>> {
        let named = self.named;
        let mut savepoint = self.connection.begin().await?;
        let done = savepoint.execute(Statement { statement, named }).await;
        savepoint.rollback().await?;
        Ok(done)
    }

    /// Sets the path of names again: code that a table brings along may have changed it for what follows in this transaction.
    ///
    /// # Errors
    /// The connection's.
    pub(super) async fn pin_names(&mut self) -> sqlx::Result<()> {
        let pin = sqlx::raw_sql(pin_names!()).execute(&mut *self.connection);
        pin.await.map(|_| ())
    }

    /// The same in one message, for a statement without parameters.
    ///
    /// # Errors
    /// That it can't be undone; the statement's own are in the answer.
    pub(super) async fn attempt_at_once(
        &mut self,
        statement: &str,
    ) -> sqlx::Result<sqlx::Result<PgQueryResult>> {
        let (begin, undo) = if self.named {
            ("begin", "rollback")
        } else {
            ("savepoint attempt", "rollback to savepoint attempt")
        };
        let attempt = AssertSqlSafe(format!("{begin}; {statement}; {undo}"));
        let done = sqlx::raw_sql(attempt).execute(&mut *self.connection).await;
        if done.is_err() {
            // Where a statement fails, Postgres leaves out what follows it in the message.
            sqlx::raw_sql(undo).execute(&mut *self.connection).await?;
        }
        Ok(done)
    }

    /// Reads with several statements in one message, which is one transaction: what it sets locally ends with it.
    ///
    /// # Errors
    /// The database's own.
    pub(super) async fn read_at_once<T>(&mut self, statements: &'static str) -> sqlx::Result<Vec<T>>
    where
        T: for<'r> FromRow<'r, PgRow>,
    {
        let read = sqlx::raw_sql(statements);
        let rows = read.fetch_all(&mut *self.connection).await?;
        rows.iter().map(T::from_row).collect()
    }
}

/// A statement that may have to go without a name.
struct Statement<E> {
    statement: E,
    named: bool,
}

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Statement<E> {
    fn sql(self) -> SqlStr {
        self.statement.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.statement.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, sqlx::error::BoxDynError> {
        self.statement.take_arguments()
    }

    fn persistent(&self) -> bool {
        self.named && self.statement.persistent()
    }
}

impl<'c> Executor<'c> for &'c mut Backend<'_> {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        statement: E,
    ) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let named = self.named;
        self.connection.fetch_many(Statement { statement, named })
    }

    fn fetch_optional<'e, 'q: 'e, E>(
        self,
        statement: E,
    ) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let named = self.named;
        self.connection
            .fetch_optional(Statement { statement, named })
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        self.connection.prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<sqlx::Describe<Postgres>>>
    where
        'c: 'e,
    {
        self.connection.describe(sql)
    }
}
