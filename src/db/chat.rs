//! The chat tables, as the demo reads and writes them.
//!
//! Owns what the dashboard reads from and writes to `messages` and `message_statuses`. Writes rows as any back end does: events
//! come from the triggers alone. Relies on `migrations/chat`, and returns an error of its own if those tables are not there.

use std::time::Duration;

use super::backend::Backend;
use super::pools::Pool;
use super::retry::within;
use crate::event::ContactId;

/// How long a statement may take.
const PATIENCE: Duration = Duration::from_secs(5);

const SEND: &str = "
insert into public.messages (contact_id, direction, author, body, external_id) values ($1, 'outbound', 'agent', $2, $3)
on conflict (external_id) do nothing returning id::text";

/// In a statement of its own: it sees a row whose transaction the insert has waited for.
const SENT: &str =
    "select id::text from public.messages where contact_id = $1 and external_id = $2";

const MARK_READ: &str = "
update public.messages set status = 'read'
where contact_id = $1 and direction = 'inbound' and status <> 'read'";

/// Names the tables that the bot will write to, so that this fails before anybody sees typing if they are not there.
const BEGIN_TYPING: &str = "
select rowcast.typing($1, true)
where not exists (select from public.messages m join public.message_statuses s on s.message_id = m.id where false)";

const REPLY: &str = "
with reply as (
    insert into public.messages (contact_id, direction, author, body) values ($1, 'outbound', 'bot', $2) returning id
)
select rowcast.typing($1, false) from reply";

/// A trigger on the table ignores a status that is no step forward; this leaves such messages out in the first place.
const REPORT: &str = "
insert into public.message_statuses (message_id, status)
select id, $2 from public.messages
where contact_id = $1 and direction = 'outbound' and status = any ($3)
order by created_at, id";

/// A status that a provider reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// It is on the contact's phone.
    Delivered,
    /// The contact has seen it.
    Read,
}

/// Why the chat tables did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChatError {
    /// They are not there, or other tables have their names.
    #[error("there are no chat tables")]
    Missing,
    /// The database's own.
    #[error(transparent)]
    Database(sqlx::Error),
}

impl From<sqlx::Error> for ChatError {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(|error| error.code());
        match code.as_deref() {
            // No such table, column, or unique column (Postgres manual, appendix A).
            Some("42P01" | "42703" | "42P10") => Self::Missing,
            _ => Self::Database(error),
        }
    }
}

/// The chat tables of a database, over a few connections of their own.
pub(crate) struct Chat {
    pool: Pool,
}

impl Chat {
    /// Those that `pool` reaches.
    pub(crate) fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// Writes an agent's message, and returns its id. Of those with one `key` only the first is written; `None`: another
    /// conversation's message has it.
    ///
    /// # Errors
    /// See [`ChatError`].
    pub(crate) async fn send(
        &self,
        contact: &ContactId,
        body: &str,
        key: Option<&str>,
    ) -> Result<Option<String>, ChatError> {
        let contact = contact.as_str();
        self.within(async |connection| {
            let insert = sqlx::query_scalar(SEND).bind(contact).bind(body).bind(key);
            let id: Option<String> = insert.fetch_optional(&mut *connection).await?;
            if id.is_some() {
                return Ok(id);
            }
            let sent = sqlx::query_scalar(SENT).bind(contact).bind(key);
            sent.fetch_optional(connection).await
        })
        .await
    }

    /// Marks what the contact wrote as read.
    ///
    /// # Errors
    /// See [`ChatError`].
    pub(crate) async fn mark_read(&self, contact: &ContactId) -> Result<(), ChatError> {
        self.execute(sqlx::query(MARK_READ).bind(contact.as_str()))
            .await
    }

    /// Shows that someone types in the conversation.
    ///
    /// # Errors
    /// See [`ChatError`].
    pub(crate) async fn begin_typing(&self, contact: &ContactId) -> Result<(), ChatError> {
        self.execute(sqlx::query(BEGIN_TYPING).bind(contact.as_str()))
            .await
    }

    /// Writes a bot's message, with which its typing ends.
    ///
    /// # Errors
    /// See [`ChatError`].
    pub(crate) async fn reply(&self, contact: &ContactId, body: &str) -> Result<(), ChatError> {
        self.execute(sqlx::query(REPLY).bind(contact.as_str()).bind(body))
            .await
    }

    /// Reports a status for every outbound message that has neither come so far nor failed.
    ///
    /// # Errors
    /// See [`ChatError`].
    pub(crate) async fn report(
        &self,
        contact: &ContactId,
        report: Report,
    ) -> Result<(), ChatError> {
        let (status, before): (_, &[&str]) = match report {
            Report::Delivered => ("delivered", &["queued", "sent"]),
            Report::Read => ("read", &["queued", "sent", "delivered"]),
        };
        let query = sqlx::query(REPORT).bind(contact.as_str());
        self.execute(query.bind(status).bind(before)).await
    }

    async fn execute(
        &self,
        query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> Result<(), ChatError> {
        self.within(async |connection| query.execute(connection).await.map(|_| ()))
            .await
    }

    async fn within<T>(
        &self,
        work: impl AsyncFnOnce(&mut Backend<'_>) -> sqlx::Result<T>,
    ) -> Result<T, ChatError> {
        Ok(within(&self.pool, PATIENCE, work).await?)
    }
}
