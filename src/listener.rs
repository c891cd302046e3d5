//! Wakes the reader when the outbox grows.
//!
//! Owns the one LISTEN connection. Carries no stored event: a notification means "look", never "here". What is never
//! stored, typing, comes the same way and is handed on.
//! After every successful LISTEN, the first included, it wakes the reader once, because whatever
//! was committed while nobody listened was announced to nobody.
//! Correctness never depends on this module: without it the reader still polls.

use std::time::Duration;

use futures_util::FutureExt as _;
use sqlx::postgres::{PgListener, PgNotification};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::metrics::Metrics;
use crate::outbox::Database;

const WAKE: &str = "rowcast";
const TYPING: &str = "rowcast_typing";
const SESSION: &str = "rowcast_session";
const PROBE: &str = "rowcast_probe";

/// sqlx sets no keepalive: a connection that is quiet for this long is asked whether it lives.
const QUIET: Duration = Duration::from_millis(500);
const PATIENCE: Duration = Duration::from_secs(2);
const LOST: &str = "the connection was lost";

/// What the listener knows of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hearing {
    /// Whether LISTEN is in force.
    pub bound: bool,
    /// When the last self-probe came round.
    pub probed: Option<Instant>,
}

/// The listener: see the module.
pub struct Listener {
    database: Database,
    wake: watch::Sender<()>,
    typing: mpsc::Sender<String>,
    taken: mpsc::Sender<String>,
    hearing: watch::Sender<Hearing>,
    server: String,
    metrics: Metrics,
}

impl Listener {
    /// Listens on a connection of its own. `server` begins the self-probe's payload; what is said of typing, and of sessions
    /// that were taken over, is handed on.
    pub fn new(
        database: Database,
        wake: watch::Sender<()>,
        (typing, taken): (mpsc::Sender<String>, mpsc::Sender<String>),
        hearing: watch::Sender<Hearing>,
        server: String,
        metrics: Metrics,
    ) -> Self {
        Self {
            database,
            wake,
            typing,
            taken,
            hearing,
            server,
            metrics,
        }
    }

    /// Listens until `stop`, for ever trying again.
    pub async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        loop {
            let error = tokio::select! {
                () = stop.cancelled() => break,
                error = self.listen(&mut backoff) => error,
            };
            if self.hearing.send_replace(Hearing::default()).bound {
                self.metrics.listener_reconnects.inc();
            }
            let pause = backoff.next();
            tracing::warn!(
                retry_in_ms = pause.as_millis() as u64,
                "listening failed, the reader polls meanwhile: {error}"
            );
            let _ = timeout(pause, stop.cancelled()).await;
        }
    }

    /// One connection's life. Any sign of a lost connection ends it, since what was notified meanwhile is unknown.
    async fn listen(&self, backoff: &mut Backoff) -> anyhow::Error {
        let mut listener = match self.bind().await {
            Ok(listener) => listener,
            Err(error) => return error,
        };
        backoff.reset();
        self.hearing.send_modify(|hearing| hearing.bound = true);
        self.wake.send_replace(());
        loop {
            match timeout(QUIET, listener.try_recv()).await {
                Ok(Ok(Some(notification))) => {
                    self.hear(&notification);
                    // What came together is one wake, not one read each.
                    while let Some(more) = listener.try_recv().now_or_never() {
                        match more {
                            Ok(Some(more)) => self.hear(&more),
                            Ok(None) => return anyhow::anyhow!(LOST),
                            Err(error) => return error.into(),
                        }
                    }
                }
                Ok(Ok(None)) => return anyhow::anyhow!(LOST),
                Ok(Err(error)) => return error.into(),
                Err(_quiet) => {
                    let alive = sqlx::query("select 1").execute(&mut listener);
                    match timeout(PATIENCE, alive).await {
                        Ok(Ok(_)) => {}
                        Ok(Err(error)) => return error.into(),
                        Err(_) => {
                            return anyhow::anyhow!("no answer within {} s", PATIENCE.as_secs());
                        }
                    }
                }
            }
        }
    }

    async fn bind(&self) -> anyhow::Result<PgListener> {
        let bind = async {
            // A pool for each connection: sqlx returns a lost one to its pool by talking to it, and until it answers,
            // which may be never, the pool has no other to give.
            let mut listener = PgListener::connect_with(&self.database.listener_pool()).await?;
            listener.eager_reconnect(false);
            listener.listen_all([WAKE, TYPING, SESSION, PROBE]).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        Ok(timeout(PATIENCE, bind).await??)
    }

    fn hear(&self, notification: &PgNotification) {
        match notification.channel() {
            PROBE if notification.payload().starts_with(&self.server) => {
                self.hearing
                    .send_modify(|hearing| hearing.probed = Some(Instant::now()));
            }
            PROBE => {}
            TYPING => {
                // Typing is transient: under a flood it is dropped rather than let it hold up the wakes.
                if self
                    .typing
                    .try_send(notification.payload().to_owned())
                    .is_err()
                {
                    self.metrics.typing_dropped.inc();
                }
            }
            // An earlier connection that is not told ends at its next ping.
            SESSION => drop(self.taken.try_send(notification.payload().to_owned())),
            _ => {
                self.wake.send_replace(());
            }
        }
    }
}
