//! The functions in SQL that a command calls for its user, as the role of `DATABASE_URL`.

use super::link::scoped;
use super::{Database, PLAIN, cause_of, cause_with};

/// One call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call<'a> {
    /// `rowcast.emit`.
    Emit {
        /// The room, in full.
        room: &'a str,
        /// The event's name.
        event: &'a str,
        /// The payload, as JSON.
        data: &'a str,
    },
    /// `rowcast.revoke`.
    Revoke {
        /// Whose right ends.
        subject: &'a str,
        /// To which room; `None` for all of them.
        room: Option<&'a str>,
        /// What clients are told.
        reason: Option<&'a str>,
    },
    /// `rowcast.detach`.
    Detach {
        /// The table, qualified or found by the path of the database.
        table: &'a str,
    },
}

/// Calls it. Returns what it answers, as text.
///
/// # Errors
/// What the function says of its arguments, or the database's own, in words.
pub(crate) async fn call(database: &Database, call: Call<'_>) -> anyhow::Result<String> {
    let opened = database.open("rowcast", PLAIN).await;
    let (mut connection, link) = opened.map_err(|error| {
        let cause = cause_of(&error);
        anyhow::anyhow!("{} can't be used: {cause}", database.describe())
    })?;
    let right = match call {
        Call::Emit { .. } => "; `rowcast grant ROLE --emit` prints the right",
        Call::Revoke { .. } => "; `rowcast grant ROLE --revoke` prints the right",
        Call::Detach { .. } => "; `rowcast grant ROLE --attach` prints the right",
    };
    let called = scoped(&mut connection, link, PLAIN, async |connection| {
        let query = match call {
            Call::Emit { room, event, data } => {
                sqlx::query_scalar("select rowcast.emit($1, $2, $3::json)::text")
                    .bind(room)
                    .bind(event)
                    .bind(data)
            }
            Call::Revoke {
                subject,
                room,
                reason,
            } => sqlx::query_scalar("select rowcast.revoke($1, $2, $3)::text")
                .bind(subject)
                .bind(room)
                .bind(reason),
            Call::Detach { table } => sqlx::query_scalar("select rowcast.detach($1)").bind(table),
        };
        query.fetch_one(&mut *connection).await
    });
    called
        .await
        .map_err(|error: sqlx::Error| anyhow::anyhow!("{}", cause_with(&error, right)))
}
