//! What lies between the server and Postgres: nothing, or a pooler that gives our connection's backend to others.
//!
//! A direct connection brings its settings along in the startup packet, among them a random value. If the backend knows that
//! value, and knows its settings from the packet, then it was started for this connection and nobody else ever gets it. Poolers
//! refuse the packet's options, or leave them out. Then nothing of ours outlives a transaction: settings are `set local`, each
//! statement runs in a transaction of its own, there is no LISTEN, no advisory lock and no named statement.
//! Guarantees that a connection which is used as a direct one has proved it, each by itself, and that none of them leads to a
//! standby.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _, Row as _};
use tokio::time::Instant;

use super::backend::Backend;
use super::numbers::pin_names;

/// What is known of the way to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// A backend is ours for as long as its connection lives.
    Direct,
    /// A pooler is in between. The backend may be another one in each transaction.
    Pooled,
}

/// The settings of a kind of connection.
#[derive(Clone, Copy)]
pub(super) struct Settings {
    /// Names and values, beside those that all connections have.
    pub(super) local: &'static [(&'static str, &'static str)],
    /// Whether transactions may not write.
    pub(super) read_only: bool,
}

/// What all connections have. No statement of ours is worth being compiled, and Postgres would do it again each time. Names mean
/// Postgres's own things: in another schema of the path, whoever may create there could plant functions that run as our role.
/// A backslash in a text is a backslash, whatever an old application has had set for its role or database.
const EVERYWHERE: [(&str, &str); 3] = [
    ("jit", "off"),
    ("standard_conforming_strings", "on"),
    ("search_path", "pg_catalog, pg_temp"),
];
/// The value by which a connection is recognised.
const MARK: &str = "rowcast.connection";

/// A standby shows snapshots that lack the transactions in progress: what is read there may be wrong.
pub(super) const STANDBY: &str =
    "the database is a standby, which can't be written to: DATABASE_URL must lead to the primary";
/// Whether a connection was refused because it leads to a standby.
pub(super) fn is_standby(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Protocol(said) if said == STANDBY)
}

const LEADS_ELSEWHERE: &str = "the address leads through a connection pooler now";

/// What is known of a database's address, shared by all who connect to it.
pub(super) struct LinkState {
    known: Mutex<Option<Link>>,
    /// One at a time finds out.
    pub(super) finding: tokio::sync::Mutex<()>,
    /// Connections that are older may lead to a server that is not the primary any more.
    trusted_since: Mutex<Instant>,
    mark: String,
    /// How many connections the role and the database are allowed, if that is limited; 0 if not.
    limit: AtomicU32,
}

impl LinkState {
    pub(super) fn new() -> Self {
        Self {
            known: Mutex::default(),
            finding: tokio::sync::Mutex::default(),
            trusted_since: Mutex::new(Instant::now()),
            mark: format!("{:016x}", rand::random::<u64>()),
            limit: AtomicU32::new(0),
        }
    }

    pub(super) fn known(&self) -> Option<Link> {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what was found, and says it where it is news.
    pub(super) fn found(&self, link: Link) {
        let before = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(link);
        if before == Some(link) {
            return;
        }
        self.distrust();
        if link == Link::Pooled {
            tracing::warn!(
                "DATABASE_URL leads through a connection pooler (it does not pass startup options on), so Rowcast keeps nothing \
                 in a session: there is no LISTEN, events come with the poll (ROWCAST_POLL), typing by SQL does not come; \
                 to have them at once, set DATABASE_URL to the database's own address"
            );
        }
    }

    /// What is known may be over: the next one who connects finds out anew.
    pub(super) fn forget(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Pools close what was opened before now.
    pub(super) fn distrust(&self) {
        *self
            .trusted_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    pub(super) fn trusts(&self, age: std::time::Duration) -> bool {
        let since = *self
            .trusted_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        age <= since.elapsed()
    }

    /// Options for a connection that is direct, or refused.
    pub(super) fn direct(&self, options: PgConnectOptions, settings: Settings) -> PgConnectOptions {
        let read_only = if settings.read_only { "on" } else { "off" };
        let always = [
            ("default_transaction_isolation", "read committed"),
            (MARK, self.mark.as_str()),
        ];
        let read_only = [("default_transaction_read_only", read_only)];
        options
            .options(EVERYWHERE)
            .options(always)
            .options(settings.local.iter().copied())
            .options(read_only.into_iter().filter(|_| settings.read_only))
    }

    /// How many connections we may have in all, where that is limited. Known once something was connected.
    pub(super) fn connection_limit(&self) -> Option<u32> {
        Some(self.limit.load(Ordering::Relaxed)).filter(|limit| *limit > 0)
    }

    /// Whether the backend was started for this very connection.
    ///
    /// # Errors
    /// The backend is a standby's; or the database's own.
    pub(super) async fn prove(&self, connection: &mut PgConnection) -> sqlx::Result<Link> {
        // The simple protocol: one message, which a pooler takes to one backend.
        let prove = format!(
            "begin read only; {}; select coalesce(current_setting('{MARK}', true), '') = '{}'
                    and exists (select from pg_settings where name = '{}' and source = 'client'),
                    pg_is_in_recovery(),
                    (select min(allowed) from (
                        select rolconnlimit from pg_roles where rolname = current_user
                        union all select datconnlimit from pg_database where datname = current_database()
                    ) l (allowed) where allowed >= 0); commit",
            pin_names!(),
            self.mark,
            EVERYWHERE[0].0
        );
        let row = sqlx::raw_sql(AssertSqlSafe(prove))
            .fetch_one(&mut *connection)
            .await?;
        if row.try_get(1)? {
            return Err(sqlx::Error::Protocol(STANDBY.to_owned()));
        }
        let limit: Option<i32> = row.try_get(2)?;
        let limit = limit.and_then(|limit| limit.try_into().ok());
        self.limit.store(limit.unwrap_or(0), Ordering::Relaxed);
        let ours: bool = row.try_get(0)?;
        Ok(if ours { Link::Direct } else { Link::Pooled })
    }

    /// Refuses a connection that was opened as a direct one and is none.
    pub(super) async fn require_direct(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        if self.prove(connection).await? == Link::Direct {
            return Ok(());
        }
        self.forget();
        Err(sqlx::Error::Protocol(LEADS_ELSEWHERE.to_owned()))
    }
}

/// The beginning of a transaction that has the settings itself.
pub(super) fn begin(settings: Settings) -> String {
    let mode = if settings.read_only {
        "read only"
    } else {
        "read write"
    };
    let pin = pin_names!();
    let locals = EVERYWHERE[..2].iter().chain(settings.local);
    let locals = locals.map(|(name, value)| format!("; set local {name} = '{value}'"));
    format!(
        "begin isolation level read committed {mode}; {pin}{}",
        locals.collect::<String>()
    )
}

/// Whether the options of the startup packet may be why a connection was refused: a pooler's own refusals carry various codes,
/// so it is told by what it is not (a wrong password, no such database, no right to connect, no place, not up).
pub(super) fn may_refuse_options(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|refused| {
        refused.code().is_none_or(|code| {
            !matches!(code.get(..2), Some("28" | "3D" | "53" | "57")) && code != "42501"
        })
    })
}

/// Does work on a connection: where others may get its backend, in a transaction that has our settings.
pub(super) async fn scoped<T, E: From<sqlx::Error>>(
    connection: &mut PgConnection,
    link: Link,
    settings: Settings,
    work: impl AsyncFnOnce(&mut Backend<'_>) -> Result<T, E>,
) -> Result<T, E> {
    if link == Link::Direct {
        return work(&mut Backend::new(true, connection)).await;
    }
    let begin = AssertSqlSafe(begin(settings));
    let mut transaction = connection.begin_with(begin).await?;
    let done = work(&mut Backend::new(false, &mut transaction)).await?;
    transaction.commit().await?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_backend_is_given_settings_for_one_transaction_only() {
        let settings = Settings {
            local: &[("statement_timeout", "5s")],
            read_only: true,
        };
        assert_eq!(
            begin(settings),
            "begin isolation level read committed read only; set local search_path = pg_catalog, pg_temp; set local jit = 'off'; set local standard_conforming_strings = 'on'; set local statement_timeout = '5s'"
        );
    }
}
