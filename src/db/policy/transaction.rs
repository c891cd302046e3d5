//! A transaction in which the policy is asked: it may read, and leaves nothing behind.
//!
//! It is read only, bounded in time, and has a search path without anybody's schema, all of which is set for the transaction alone; the
//! policy runs as the role `rowcast_policy` (`role`), and the transaction is rolled back. A rollback does not undo
//! advisory locks of the session: they are given up where the session is ours. Postgres keeps its warnings to itself: a client that
//! asks again and again would fill the log with them, and with what its token says.
//! Guarantees that a connection which did not end its transaction in order is closed and not used again: one whose policy timed out,
//! whose caller has gone, or of which anything failed. Postgres then ends what still runs there, also a policy that catches its own
//! cancellation (`client_connection_check_interval`, where Postgres has it).

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Postgres, Row as _};
use tokio::time::timeout;

use super::Question;
use super::Verdict;
use super::role::{As, Role};
use crate::db::backend::Backend;
use crate::db::fault::{cause_of, cause_with};
use crate::db::link::Link;
use crate::db::pools::Pool;
use crate::event::Room;

/// How much longer than Postgres we wait for its own time limit, and for the beginning and the end of a transaction.
const GRACE: Duration = Duration::from_millis(500);

/// SQLSTATE query_canceled: a statement that took too long.
const CANCELED: &str = "57014";

const ASK: &str = "
with claims as materialized (
    select c.claims::pg_catalog.jsonb as claims, c.place
    from pg_catalog.unnest($1::pg_catalog.text[]) with ordinality c (claims, place)
)
select (rowcast.may_join(c.claims, q.room)) is true as allowed
from rows from (pg_catalog.unnest($2::pg_catalog.int8[]), pg_catalog.unnest($3::pg_catalog.text[])) with ordinality q (of, room, place)
join claims c on c.place = q.of
order by q.place";

/// The same, as the role `rowcast_policy`, which Postgres lets nobody leave before the function returns.
const ASK_CONFINED: &str = "
select a.allowed from rowcast.ask_may_join($1::pg_catalog.text[], $2::pg_catalog.int8[], $3::pg_catalog.text[])
  with ordinality a (allowed, place)
order by a.place";

/// Why the policy gave no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// It raised this error.
    Raised(String),
    /// It took too long.
    TimedOut,
    /// The database could not be asked.
    Away(String),
}

impl Failure {
    /// What an error of the statement means. That the database does not take writes is the policy's own error: it tried to write.
    fn of(error: &sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|said| said.code());
        match code.as_deref() {
            Some(CANCELED) => Self::TimedOut,
            Some(code) => match code.get(..2) {
                Some("08" | "40" | "53" | "57") => Self::Away(cause_of(error)),
                _ if matches!(code, "55P03" | "55006") => Self::Away(cause_of(error)),
                _ => Self::Raised(cause_with(
                    error,
                    "; what it reads is to be granted to rowcast_policy",
                )),
            },
            None => Self::Away(cause_of(error)),
        }
    }
}

/// A transaction, and the connection that it runs on.
pub(super) struct Asking {
    /// Taken out when the transaction has ended in order.
    connection: Option<PoolConnection<Postgres>>,
    link: Link,
    limit: Duration,
    statement: &'static str,
}

impl Asking {
    /// Begins a transaction in which a statement may take `limit`.
    pub(super) async fn begin(pool: &Pool, role: &Role, limit: Duration) -> Result<Self, Failure> {
        let away = |error: &sqlx::Error| Failure::Away(cause_of(error));
        let (connection, link) = pool.acquire().await.map_err(|error| away(&error))?;
        let mut asking = Self {
            connection: Some(connection),
            link,
            limit,
            statement: ASK,
        };
        let begun = timeout(GRACE + limit, asking.set_up(role)).await;
        match begun {
            Ok(Ok(())) => Ok(asking),
            Ok(Err(error)) => {
                role.forget();
                Err(away(&error))
            }
            Err(_) => Err(away(&sqlx::Error::PoolTimedOut)),
        }
    }

    fn connection(&mut self) -> &mut PoolConnection<Postgres> {
        self.connection
            .as_mut()
            .expect("it is taken by end, which takes the transaction")
    }

    async fn set_up(&mut self, role: &Role) -> sqlx::Result<()> {
        let limit_ms = self.limit.as_millis().max(1);
        let connection = self.connection();
        let (become_role, statement) = match role.as_whom(connection).await? {
            As::Confined => ("", ASK_CONFINED),
            As::Policy => ("; set local role rowcast_policy", ASK),
            As::Server => ("", ASK),
        };
        let begin = format!(
            "begin isolation level read committed read only; set local jit = off; set local search_path = pg_catalog, pg_temp; \
             set local client_min_messages = error; set local statement_timeout = {limit_ms}{become_role}; \
             select set_config('client_connection_check_interval', '1s', true) where version() ~ 'linux'"
        );
        sqlx::raw_sql(AssertSqlSafe(begin))
            .execute(&mut **connection)
            .await?;
        self.statement = statement;
        Ok(())
    }

    /// Asks about all rooms of all questions by one statement.
    pub(super) async fn ask(
        &mut self,
        questions: &[&Question],
    ) -> Result<Vec<Vec<Verdict>>, Failure> {
        let claims: Vec<&str> = questions.iter().map(|question| &*question.claims).collect();
        let (mut of, mut rooms) = (Vec::new(), Vec::new());
        for (question, place) in questions.iter().zip(1_i64..) {
            for room in &question.rooms {
                of.push(place);
                rooms.push(room.as_str());
            }
        }
        let mut allowed = self.run(&claims, &of, &rooms).await?.into_iter();
        let verdicts = |question: &&Question| allowed.by_ref().take(question.rooms.len()).collect();
        Ok(questions.iter().map(verdicts).collect())
    }

    /// Asks about one room. The transaction goes on if the policy raises an error.
    pub(super) async fn ask_room(&mut self, claims: &str, room: &Room) -> Result<Verdict, Failure> {
        self.say("savepoint room").await?;
        match self.run(&[claims], &[1], &[room.as_str()]).await {
            Ok(verdicts) => {
                self.say("release savepoint room").await?;
                Ok(verdicts.first().copied().unwrap_or(Verdict::Unavailable))
            }
            Err(Failure::Raised(cause)) => {
                self.say("rollback to savepoint room").await?;
                Err(Failure::Raised(cause))
            }
            Err(failure) => Err(failure),
        }
    }

    async fn run(
        &mut self,
        claims: &[&str],
        of: &[i64],
        rooms: &[&str],
    ) -> Result<Vec<Verdict>, Failure> {
        let limit = self.limit + GRACE;
        let direct = self.link == Link::Direct;
        let query = sqlx::query(self.statement)
            .bind(claims)
            .bind(of)
            .bind(rooms);
        let mut backend = Backend::new(direct, self.connection());
        let answered = timeout(limit, query.fetch_all(&mut backend)).await;
        let answered = answered.map_err(|_| Failure::TimedOut)?;
        let rows = answered.map_err(|error| Failure::of(&error))?;
        if rows.len() != rooms.len() {
            return Err(Failure::Away(
                "an answer for each room is missing".to_owned(),
            ));
        }
        let verdict = |row: &sqlx::postgres::PgRow| {
            let allowed: bool = row
                .try_get("allowed")
                .map_err(|error| Failure::of(&error))?;
            Ok(if allowed {
                Verdict::Allowed
            } else {
                Verdict::Denied
            })
        };
        rows.iter().map(verdict).collect()
    }

    async fn say(&mut self, statement: &'static str) -> Result<(), Failure> {
        let said = sqlx::raw_sql(statement).execute(&mut **self.connection());
        match timeout(GRACE, said).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Failure::Away(cause_of(&error))),
            Err(_) => Err(Failure::TimedOut),
        }
    }

    /// Ends the transaction, after which the connection may be used again.
    pub(super) async fn end(mut self) {
        let end = match self.link {
            Link::Direct => "rollback; select pg_catalog.pg_advisory_unlock_all()",
            // The locks of a shared backend may be somebody else's.
            Link::Pooled => "rollback",
        };
        if self.say(end).await.is_ok() {
            drop(self.connection.take());
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Not back into the pool: it is closed.
            drop(connection.detach());
        }
    }
}
