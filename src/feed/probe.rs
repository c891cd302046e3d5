//! Asks the database for what can't be seen from inside.
//!
//! Sends a notification of our own, which the listener must hear: a connection that is up and hears nothing is the
//! failure that no other check finds. Says how full the queue of notifications is, and fails a check
//! while that is a trouble. And takes the outbox's figures for the metrics.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::db::{Pool, notify_queue_holder, send_probe, stats};
use crate::metrics::Metrics;
use crate::status::{Check, Checks, FoundBy};

/// Between two probes. A little more than between two looks of the self-check, each of which can take a probe along.
const PAUSE: Duration = Duration::from_millis(3_200);
const PATIENCE: Duration = Duration::from_secs(3);
/// Every so many probes, the figures.
const FIGURES: u64 = 5;

/// The probes of this server: their payloads, and when the last one was sent, by whomever.
#[derive(Clone)]
pub(crate) struct Probes {
    server_name: String,
    sent: watch::Sender<Option<Instant>>,
}

impl Probes {
    /// None was sent yet. A random name begins the payloads, so that servers on one database tell their probes apart.
    pub(crate) fn new() -> Self {
        Self {
            server_name: format!("{:016x}", rand::random::<u64>()),
            sent: watch::Sender::new(None),
        }
    }

    /// What the payloads begin with.
    pub(crate) fn server_name(&self) -> &str {
        &self.server_name
    }

    /// Sends one by `send`, which says whether it did; where it did not, one is due at once.
    pub(super) async fn send_by(&self, send: impl AsyncFnOnce(&str) -> bool) -> bool {
        let now = Instant::now();
        let before = self.sent.send_replace(Some(now));
        let is_sent = send(&self.payload()).await;
        if !is_sent {
            self.sent.send_replace(before);
        }
        is_sent
    }

    fn payload(&self) -> String {
        format!("{}:{:x}", self.server_name, rand::random::<u32>())
    }

    /// Waits until one is due.
    async fn due(&self) {
        let mut sent = self.sent.subscribe();
        loop {
            let last = *sent.borrow_and_update();
            let due = last.map_or_else(Instant::now, |last| last + PAUSE);
            tokio::select! {
                () = sleep_until(due) => return,
                // Never an error: the other end is here.
                _ = sent.changed() => {}
            }
        }
    }
}

/// Sends probes, and takes figures.
pub(crate) struct Probe {
    pool: Pool,
    probes: Probes,
    checks: Checks,
    queue_is_full: watch::Sender<bool>,
    metrics: Metrics,
}

impl Probe {
    /// A probe, and whether it finds the queue so full that nothing at all can be added.
    pub(crate) fn new(
        pool: Pool,
        probes: Probes,
        checks: Checks,
        metrics: Metrics,
    ) -> (Self, watch::Receiver<bool>) {
        let (queue_is_full, is_full) = watch::channel(false);
        let probe = Self {
            pool,
            probes,
            checks,
            queue_is_full,
            metrics,
        };
        (probe, is_full)
    }

    /// Probes until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        for count in 0_u64.. {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.probes.due() => {}
            }
            let payload = self.probes.payload();
            self.probes.sent.send_replace(Some(Instant::now()));
            match timeout(PATIENCE, send_probe(&self.pool, &payload)).await {
                Ok(Ok(Some(usage))) => self.note_queue(usage).await,
                Ok(Err(error)) => tracing::debug!("the self-probe could not be sent: {error}"),
                Ok(Ok(None)) | Err(_) => {}
            }
            if count.is_multiple_of(FIGURES)
                && let Ok(Ok(stats)) = timeout(PATIENCE, stats(&self.pool)).await
            {
                self.metrics.outbox_rows.set(stats.rows);
                self.metrics.outbox_bytes.set(stats.bytes);
                self.metrics.session_rows.set(stats.session_rows);
                self.metrics.session_bytes.set(stats.session_bytes);
                let bytes = stats.database_bytes.unwrap_or_default();
                self.metrics.database_bytes.set(bytes);
            }
        }
    }

    /// Publishes how full the queue is; asks who holds it up where that matters.
    async fn note_queue(&self, usage: f64) {
        self.metrics.notify_queue.set(usage);
        let was_in_trouble = self.checks.found(Check::NotifyQueue, FoundBy::SelfCheck);
        if usage == 0.0 && !was_in_trouble {
            return;
        }
        let Ok(Ok((held_up, holder))) = timeout(PATIENCE, notify_queue_holder(&self.pool)).await
        else {
            return;
        };
        if held_up {
            let trouble = trouble(usage, holder.as_deref());
            self.checks
                .fail(Check::NotifyQueue, FoundBy::SelfCheck, trouble);
        } else {
            self.checks.pass(Check::NotifyQueue, FoundBy::SelfCheck);
        }
        self.queue_is_full.send_replace(usage >= 1.0);
    }
}

/// One line with the cause and the remedy.
fn trouble(usage: f64, holder: Option<&str>) -> String {
    let holder = holder.map_or_else(
        || "find it in pg_stat_activity, state 'idle in transaction'".to_owned(),
        |holder| format!("probably {holder}"),
    );
    format!(
        "the NOTIFY queue is {:.0} % full, so nothing of ours is added to it: events wait for the poll, typing from SQL is lost, \
         and back ends that notify themselves fail when it is full. A session that listens does not read: {holder}. \
         Remedy: select pg_terminate_backend(<its pid>);",
        usage * 100.0
    )
}
