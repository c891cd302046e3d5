//! The tables of presence: what this server has in them, and what others have.
//!
//! Owns one connection, by which the server lives: it holds an advisory lock whose key is the server's number, and rows of a server
//! whose lock nobody holds are no presence (`migrations/0022_presence.sql`). Whoever loses the connection has lost the rows, too,
//! connects as another server, and writes them all again. Behind a pooler, where a session keeps no lock, the row says until when it
//! lives.
//! Guarantees that no statement waits for ever, and that what is written is of a server that is known, or an error.

mod error;
mod statements;

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, FromRow};
use tokio::time::timeout;

use super::Database;
use super::backend::Backend;
use super::link::{Link, Settings, scoped};
use super::query_batcher::column;
use crate::event::Room;
use crate::presence::{RemoteRow, Since, Unstored};
pub(crate) use error::PresenceError;
use statements::{
    CHANGES, ENDED, LIVE_ON, LOCK, LOOK, REGISTER, REMOVE, REMOVE_ORPHANS, ROOMS, WRITE,
};

/// The longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A machine that is gone without a word is noticed by Postgres's own keepalives. What a crash of Postgres takes is written again, so
/// no commit waits for the disk.
const DIRECT: Settings = Settings {
    local: &[
        ("synchronous_commit", "off"),
        ("idle_session_timeout", "0"),
        ("tcp_keepalives_idle", "5"),
        ("tcp_keepalives_interval", "2"),
        ("tcp_keepalives_count", "3"),
    ],
    read_only: false,
};
/// Within a transaction of a pooler's connection, which is others' afterwards.
const POOLED: Settings = Settings {
    local: &[("synchronous_commit", "off")],
    read_only: false,
};

/// Another server, as it has written of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub(crate) struct RemoteServer {
    /// Its number.
    pub server: i64,
    /// The number of its last write.
    pub version: i64,
    /// Departures up to this write can't be read any more.
    pub complete_from: i64,
    /// Whether what it wrote holds.
    pub lives: bool,
}

/// What others have written since.
#[derive(Debug, Default)]
pub(crate) struct RemoteChanges {
    /// Rows that have come or changed.
    pub rows: Vec<RemoteRow>,
    /// Those that are gone: the server, and its number.
    pub gone: Vec<(i64, i64)>,
}

#[derive(FromRow)]
struct Read {
    server: i64,
    id: i64,
    room: Option<String>,
    subject: Option<String>,
    since: Option<i64>,
}

impl Read {
    fn row(self) -> Option<RemoteRow> {
        Some(RemoteRow {
            server: self.server,
            id: self.id,
            room: Room::from(self.room?.as_str()),
            subject: self.subject?.into(),
            since: Since(self.since?),
        })
    }
}

/// This server in the tables of presence, for as long as its connection lives.
pub(crate) struct PresenceTables {
    connection: PgConnection,
    link: Link,
    server: i64,
    version: i64,
}

impl PresenceTables {
    /// Connects, as a server that nobody has seen before and that has no rows.
    ///
    /// # Errors
    /// The database's own, or that it did not answer in time.
    pub(crate) async fn begin(database: &Database) -> Result<Self, PresenceError> {
        let opened = timeout(PATIENCE, database.open("rowcast presence", DIRECT)).await?;
        let (connection, link) = opened?;
        let mut tables = Self {
            connection,
            link,
            server: rand::random_range(1..i64::MAX),
            version: 0,
        };
        let (server, pooled) = (tables.server, link == Link::Pooled);
        tables
            .ask(async |on| {
                if !pooled {
                    let lock = sqlx::query_scalar::<_, bool>(LOCK).bind(server);
                    lock.fetch_one(&mut *on).await?;
                }
                let register = sqlx::query(REGISTER).bind(server).bind(pooled);
                register.execute(&mut *on).await?;
                sqlx::query(REMOVE_ORPHANS).execute(&mut *on).await?;
                Ok(())
            })
            .await?;
        Ok(tables)
    }

    /// Runs statements, in a transaction where the backend may be shared.
    async fn ask<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Backend<'_>) -> sqlx::Result<T>,
    ) -> Result<T, PresenceError> {
        let settings = match self.link {
            Link::Direct => DIRECT,
            Link::Pooled => POOLED,
        };
        let work = scoped(&mut self.connection, self.link, settings, work);
        Ok(timeout(PATIENCE, work).await??)
    }

    /// The number of the last write.
    pub(crate) fn version(&self) -> i64 {
        self.version
    }

    /// Whether a session can't keep a lock, so that the server must say that it lives.
    pub(crate) fn must_live_on(&self) -> bool {
        self.link == Link::Pooled
    }

    /// Writes what has changed, and forgets departures up to `forget`. Others are told to look where there are any.
    ///
    /// # Errors
    /// The database's own, or that it did not answer in time; or the server is unknown, and nothing was written.
    pub(crate) async fn write(
        &mut self,
        changed: &Unstored,
        forget: i64,
        tell: bool,
    ) -> Result<(), PresenceError> {
        self.version += 1;
        let Unstored { rows, gone } = changed;
        let write = sqlx::query(WRITE)
            .bind(self.server)
            .bind(self.version)
            .bind(column(rows, |row| row.id))
            .bind(column(rows, |row| row.room.as_str().to_owned()))
            // Postgres has no text for U+0000.
            .bind(column(rows, |row| row.subject.replace('\0', "\u{fffd}")))
            .bind(column(rows, |row| {
                i32::try_from(row.connections).unwrap_or(i32::MAX)
            }))
            .bind(column(rows, |row| row.since.0))
            .bind(gone)
            .bind(forget)
            .bind(tell);
        let known = self.ask(async |on| write.fetch_optional(on).await).await?;
        known.map(|_| ()).ok_or(PresenceError::Unknown)
    }

    /// Says that the server lives, where its connection does not.
    ///
    /// # Errors
    /// As for [`Self::write`].
    pub(crate) async fn live_on(&mut self) -> Result<(), PresenceError> {
        let server = self.server;
        let done = self
            .ask(async |on| sqlx::query(LIVE_ON).bind(server).execute(on).await)
            .await?;
        match done.rows_affected() {
            0 => Err(PresenceError::Unknown),
            _ => Ok(()),
        }
    }

    /// The other servers, also those that have ended and are to be removed.
    ///
    /// # Errors
    /// As for [`Self::write`].
    pub(crate) async fn look(&mut self) -> Result<Vec<RemoteServer>, PresenceError> {
        let server = self.server;
        let look = sqlx::query_as(LOOK).bind(server);
        let mut servers: Vec<RemoteServer> = self.ask(async |on| look.fetch_all(on).await).await?;
        let all = servers.len();
        servers.retain(|other| other.server != server);
        if servers.len() == all {
            return Err(PresenceError::Unknown);
        }
        Ok(servers)
    }

    /// Removes what servers have left that have ended.
    ///
    /// # Errors
    /// The database's own, or that it did not answer in time.
    pub(crate) async fn remove_ended(&mut self) -> Result<(), PresenceError> {
        let server = self.server;
        let ended = sqlx::query_scalar(ENDED).bind(server);
        let ended: Vec<i64> = self.ask(async |on| ended.fetch_all(on).await).await?;
        if !ended.is_empty() {
            // Another statement, so that it sees what such a server wrote last.
            let remove = sqlx::query(REMOVE).bind(ended);
            self.ask(async |on| remove.execute(on).await).await?;
        }
        Ok(())
    }

    /// All that some servers have in some rooms.
    ///
    /// # Errors
    /// The database's own, or that it did not answer in time.
    pub(crate) async fn rooms(
        &mut self,
        rooms: &[Room],
        servers: &[i64],
    ) -> Result<Vec<RemoteRow>, PresenceError> {
        let read = sqlx::query_as(ROOMS)
            .bind(column(rooms, |room| room.as_str().to_owned()))
            .bind(servers);
        let read: Vec<Read> = self.ask(async |on| read.fetch_all(on).await).await?;
        Ok(read.into_iter().filter_map(Read::row).collect())
    }

    /// What servers have written since the versions beside them: of `rooms`, or of all.
    ///
    /// # Errors
    /// The database's own, or that it did not answer in time.
    pub(crate) async fn changes(
        &mut self,
        since: &[(i64, i64)],
        rooms: Option<Vec<&str>>,
    ) -> Result<RemoteChanges, PresenceError> {
        let read = sqlx::query_as(CHANGES)
            .bind(column(since, |(server, _)| *server))
            .bind(column(since, |(_, version)| *version))
            .bind(rooms);
        let read: Vec<Read> = self.ask(async |on| read.fetch_all(on).await).await?;
        let mut changes = RemoteChanges::default();
        for read in read {
            let named = (read.server, read.id);
            match read.row() {
                Some(row) => changes.rows.push(row),
                None => changes.gone.push(named),
            }
        }
        Ok(changes)
    }

    /// Takes the server's rows away, and ends the connection.
    pub(crate) async fn end(mut self) {
        let remove = sqlx::query(REMOVE).bind(vec![self.server]);
        let removed = self.ask(async |on| remove.execute(on).await).await;
        if let Err(error) = removed {
            tracing::debug!("presence of this server ends with its connection: {error}");
        }
        let _ = timeout(Duration::from_secs(1), self.connection.close()).await;
    }
}
