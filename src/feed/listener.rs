//! Wakes the reader when the outbox grows.
//!
//! Owns the one LISTEN connection. Carries no stored event: a notification means "look", never "here". What is never
//! stored, typing, comes the same way and is handed on.
//! After every successful LISTEN, the first included, it wakes the reader once, because whatever
//! was committed while nobody listened was announced to nobody.
//! Correctness never depends on this module: without it the reader still polls.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::outage::Outage;
use crate::backoff::Backoff;
use crate::db::{Database, Heard, Listen, ListenError};
use crate::metrics::Metrics;
use crate::status::ListenerStatus;

/// Forged notifications are told of in the log once in so long.
const FORGED_PAUSE: Duration = Duration::from_secs(60);
/// Behind a pooler there is nothing to listen to, until the address leads elsewhere.
const POOLED_PAUSE: Duration = Duration::from_secs(5);

/// Where what is heard goes.
pub(crate) struct Listener {
    /// Where the database is.
    pub database: Database,
    /// Wakes the reader.
    pub wake: watch::Sender<()>,
    /// Takes what is said of typing.
    pub typing: mpsc::Sender<String>,
    /// Takes what is said of resume sessions that were taken over.
    pub takeovers: mpsc::Sender<String>,
    /// Says that a table was attached or detached.
    pub sources: watch::Sender<()>,
    /// Says that another server has written who is in its rooms.
    pub presence: watch::Sender<()>,
    /// Takes what the listener knows of itself.
    pub status: watch::Sender<ListenerStatus>,
    /// Whether nothing at all can be notified.
    pub notify_queue_is_full: watch::Receiver<bool>,
    /// Begins the payload of this server's probes.
    pub server_name: String,
    /// What is counted.
    pub metrics: Metrics,
}

impl Listener {
    /// Listens until `stop`, for ever trying again.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        let mut outage = Outage::default();
        let mut queue_is_full = self.notify_queue_is_full.clone();
        loop {
            let failed = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                error = self.listen(&mut backoff, &mut outage) => Some(error),
                // Nobody is told to read what a transaction that failed has put there. Whoever listens would keep it there.
                Ok(_) = queue_is_full.wait_for(|is_full| *is_full) => None,
            };
            if matches!(failed, Some(ListenError::Pooled)) {
                // Where the address leads is said once, by whoever finds it out.
                self.status.send_replace(ListenerStatus {
                    pooled: true,
                    ..ListenerStatus::default()
                });
                let _ = timeout(POOLED_PAUSE, stop.cancelled()).await;
                continue;
            }
            let cause = failed.map_or_else(
                || "the NOTIFY queue is full".to_owned(),
                |error| error.to_string(),
            );
            if self.fail(&cause).bound {
                self.metrics.listener_reconnects.inc();
            }
            if outage.is_news(&cause) {
                tracing::warn!("listening failed, the reader polls meanwhile: {cause}");
            } else {
                tracing::debug!("listening failed again: {cause}");
            }
            let pause = backoff.next();
            let _ = timeout(pause, stop.cancelled()).await;
            tokio::select! {
                () = stop.cancelled() => break,
                _ = queue_is_full.wait_for(|is_full| !is_full) => {}
            }
        }
    }

    /// Says why LISTEN is not in force, and returns what was said before.
    fn fail(&self, cause: &str) -> ListenerStatus {
        self.status.send_replace(ListenerStatus {
            cause: Some(cause.into()),
            ..ListenerStatus::default()
        })
    }

    /// One connection's life. Any sign of a lost connection ends it, since what was notified meanwhile is unknown.
    async fn listen(&self, backoff: &mut Backoff, outage: &mut Outage) -> ListenError {
        let mut listen = match Listen::begin(&self.database).await {
            Ok(listen) => listen,
            Err(error) => return error,
        };
        backoff.reset();
        if outage.ends() {
            tracing::info!("LISTEN is in force again");
        }
        self.status.send_modify(|status| {
            status.bound = true;
            status.pooled = false;
        });
        self.wake.send_replace(());
        self.sources.send_replace(());
        let mut forgery_told = None;
        loop {
            match listen.next().await {
                Ok(heard) => {
                    // What came together is one wake, not one read each.
                    for heard in heard {
                        if heard == Heard::Forged {
                            self.tell_of_forgery(&mut forgery_told);
                        } else {
                            self.dispatch(heard);
                        }
                    }
                }
                Err(error) => return error,
            }
        }
    }

    fn tell_of_forgery(&self, told: &mut Option<Instant>) {
        self.metrics.forged_notifications.inc();
        if told.is_none_or(|at| at.elapsed() >= FORGED_PAUSE) {
            *told = Some(Instant::now());
            tracing::warn!(
                "a notification was not heeded: it came on rowcast_typing or rowcast_session, and no server has sent it, nor \
                 rowcast.typing(); who else notifies there is in the log of Postgres, with log_statement = all"
            );
        }
    }

    fn dispatch(&self, heard: Heard) {
        match heard {
            Heard::Wake => {
                self.wake.send_replace(());
            }
            Heard::Probe(payload) if payload.starts_with(&self.server_name) => {
                let now = Instant::now();
                self.status.send_modify(|status| status.probed = Some(now));
            }
            Heard::Probe(_) => {}
            Heard::Sources => {
                self.sources.send_replace(());
            }
            Heard::Presence => {
                self.presence.send_replace(());
            }
            Heard::Typing(payload) => {
                // Typing is transient: under a flood it is dropped rather than let it hold up the wakes.
                if self.typing.try_send(payload).is_err() {
                    self.metrics.typing_dropped.inc();
                }
            }
            Heard::Forged => {}
            // An earlier connection that is not told ends at its next ping.
            Heard::Takeovers(payload) => drop(self.takeovers.try_send(payload)),
        }
    }
}
