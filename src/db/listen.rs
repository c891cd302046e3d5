//! LISTEN: the one connection that hears notifications, and the channels that there are.
//!
//! Guarantees that a lost connection is an error, because notifications may have been missed. sqlx would reconnect by itself and
//! say nothing, so that is turned off: the caller reconnects, and wakes the reader after each success.
//! A connection that is quiet is asked whether it still lives.

use std::time::Duration;

use futures_util::FutureExt as _;
use sqlx::postgres::{PgListener, PgNotification, PgPoolOptions};
use tokio::time::timeout;

use super::fault::{cause_of, is_refused};
use super::link::Link;
use super::signed::{READ_SECRET, Verifier};
use super::{Database, PLAIN};

/// `rowcast.wake()` sends on it: the outbox has grown.
const WAKE: &str = "rowcast";
/// `rowcast.typing()` sends on it.
const TYPING: &str = "rowcast_typing";
/// Taking a resume session over sends on it.
const SESSION: &str = "rowcast_session";
/// Attaching and detaching send on it.
const SOURCES: &str = "rowcast_sources";
/// A server sends on it that has written who is in its rooms.
const PRESENCE: &str = "rowcast_presence";
/// Servers send on it to hear themselves.
const PROBE: &str = "rowcast_probe";

/// sqlx sets no keepalive: a connection that is quiet for this long is asked whether it lives. The server's own probes come more
/// often, so a connection that lives is never asked.
const QUIET: Duration = Duration::from_millis(3_500);
const PATIENCE: Duration = Duration::from_secs(2);
/// The secret is read again after so long, where a notification was not made with it.
const SECRET_AGE: Duration = Duration::from_secs(10);
/// For a connection of the listener's pool. Short, because sqlx's back-off grows up to it.
const ACQUIRE_PATIENCE: Duration = Duration::from_millis(500);

/// What a notification says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// The outbox has grown.
    Wake,
    /// Somebody types, or stopped; as JSON.
    Typing(String),
    /// Resume sessions were taken over; for [`super::parse_takeovers`].
    Takeovers(String),
    /// A table was attached or detached.
    Sources,
    /// Another server may have somebody in a room.
    Presence,
    /// A server probes itself; what it sent.
    Probe(String),
    /// It would act, and no server has sent it, nor a function of our schema.
    Forged,
}

/// Why notifications may have been missed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    /// The database refused, or the network did.
    #[error("{}", cause_of(.0))]
    Database(#[from] sqlx::Error),
    /// sqlx says so.
    #[error("the connection was lost")]
    Lost,
    /// The connection's backend may be given to others.
    #[error("LISTEN can't be had through a connection pooler")]
    Pooled,
    /// A half-open connection.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Silent(#[from] tokio::time::error::Elapsed),
}

/// A connection on which LISTEN is in force.
pub(crate) struct Listen {
    listener: PgListener,
    /// None where the role may not know the secret.
    verifier: Option<Verifier>,
    /// An error that was found after notifications had arrived: they are returned first, the error by the next call.
    failed: Option<ListenError>,
}

impl Listen {
    /// Connects, and listens on every channel.
    ///
    /// # Errors
    /// The database's own, or that it did not answer in time.
    pub(crate) async fn begin(database: &Database) -> Result<Self, ListenError> {
        let begin = async {
            // A pool for each connection: sqlx returns a lost one to its pool by talking to it, and until it answers,
            // which may be never, the pool has no other to give.
            if database.link().await? == Link::Pooled {
                // Whoever got the backend next would be sent our notifications.
                return Err(ListenError::Pooled);
            }
            let proven = database.clone();
            let pool = PgPoolOptions::new()
                .max_connections(1)
                .min_connections(0)
                .acquire_timeout(ACQUIRE_PATIENCE)
                .after_connect(move |connection, _| {
                    let database = proven.clone();
                    Box::pin(async move { database.link.require_direct(connection).await })
                })
                .connect_lazy_with(database.linked("rowcast listener", Link::Direct, PLAIN));
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.eager_reconnect(false);
            listener
                .listen_all([WAKE, TYPING, SESSION, SOURCES, PRESENCE, PROBE])
                .await?;
            let verifier = match read_secret(&mut listener).await {
                Ok(read) => Some(Verifier::new(read)),
                // The self-check names the right that is missing.
                Err(error) if is_refused(&error) => None,
                Err(error) => return Err(error.into()),
            };
            Ok::<_, ListenError>((listener, verifier))
        };
        let (listener, verifier) = timeout(PATIENCE, begin).await??;
        Ok(Self {
            listener,
            verifier,
            failed: None,
        })
    }

    /// Waits for notifications, and returns all that have come together. None after a while in which the connection was
    /// quiet and turned out to be alive.
    ///
    /// # Errors
    /// The connection is lost, and what was notified since is unknown.
    pub(crate) async fn next(&mut self) -> Result<Vec<Heard>, ListenError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let Ok(first) = timeout(QUIET, self.listener.try_recv()).await else {
            let alive = sqlx::query("select 1").execute(&mut self.listener);
            timeout(PATIENCE, alive).await??;
            return Ok(Vec::new());
        };
        let first = first?.ok_or(ListenError::Lost)?;
        let mut heard = vec![self.understand(&first)];
        while let Some(more) = self.listener.try_recv().now_or_never() {
            match more {
                Ok(Some(more)) => heard.push(self.understand(&more)),
                Ok(None) => self.failed = Some(ListenError::Lost),
                Err(error) => self.failed = Some(error.into()),
            }
            if self.failed.is_some() {
                break;
            }
        }
        if heard.contains(&Heard::Forged) {
            self.renew_secret().await?;
        }
        Ok(heard)
    }

    fn understand(&mut self, notification: &PgNotification) -> Heard {
        let (channel, payload) = (notification.channel(), notification.payload());
        let act = match channel {
            TYPING => Heard::Typing,
            SESSION => Heard::Takeovers,
            SOURCES => return Heard::Sources,
            PRESENCE => return Heard::Presence,
            PROBE => return Heard::Probe(payload.to_owned()),
            _ => return Heard::Wake,
        };
        let verifier = self.verifier.as_mut();
        let genuine = verifier.and_then(|verifier| verifier.open(channel, payload));
        genuine.map_or(Heard::Forged, |payload| act(payload.to_owned()))
    }

    /// Somebody may have drawn another secret, or the clock may have been set.
    async fn renew_secret(&mut self) -> Result<(), ListenError> {
        let verifier = self.verifier.as_mut();
        if let Some(verifier) = verifier.filter(|verifier| verifier.age() >= SECRET_AGE) {
            verifier.renew(timeout(PATIENCE, read_secret(&mut self.listener)).await??);
        }
        Ok(())
    }
}

async fn read_secret(listener: &mut PgListener) -> sqlx::Result<(Vec<u8>, i64)> {
    sqlx::query_as(READ_SECRET).fetch_one(listener).await
}
