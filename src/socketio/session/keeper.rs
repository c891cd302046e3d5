//! The task that looks after the resume sessions of this server's clients.
//!
//! [`SessionKeeper`] writes down from time to time how far each client was served, so that the rows of connected clients are
//! never pruned; removes the rows that nobody can resume any more; and closes clients whose resume session was taken over on
//! another server.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use super::clients::Clients;
use crate::db::{CountedFor, Sessions, parse_takeovers};
use crate::delivery::Hub;
use crate::metrics::Limit;

/// The longest pause between two times of storing how far clients were served.
const ROUND: Duration = Duration::from_secs(3600);
/// The longest pause between two times of pruning.
const PRUNE_PAUSE: Duration = Duration::from_secs(60);
/// Between two times of looking at who has left too much.
const TRIM_PAUSE: Duration = Duration::from_secs(1);

/// Stores how far connected clients were served, prunes resume sessions, and closes clients whose session was taken over.
pub(crate) struct SessionKeeper {
    pub(in crate::socketio) hub: Arc<Hub>,
    pub(in crate::socketio) clients: Arc<Clients>,
    pub(in crate::socketio) sessions: Arc<Sessions>,
}

impl SessionKeeper {
    /// Runs until `stop`. `takeovers` yields the payloads of notifications that resume sessions were taken over. A session is
    /// stored for as long as its offsets are good for a replay, which is the `retention`.
    pub(crate) async fn run(
        self,
        retention: Duration,
        mut takeovers: mpsc::Receiver<String>,
        stop: CancellationToken,
    ) {
        let pause = |longest| {
            let mut pause = interval((retention / 8).clamp(Duration::from_secs(1), longest));
            pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
            pause
        };
        let mut not_before = Instant::now();
        let (mut round, mut prune) = (pause(ROUND), pause(PRUNE_PAUSE));
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(payload) = takeovers.recv() => {
                    for (pid, owner) in parse_takeovers(&payload) {
                        self.clients.end_others(pid, owner);
                    }
                }
                _ = round.tick() => {
                    let stored = self.clients.store_progress(&self.hub, &self.sessions).await;
                    if let Err(error) = stored {
                        tracing::debug!("how far clients were served could not be stored: {error}");
                    }
                }
                crowded = self.crowded(not_before) => {
                    self.trim(&crowded, &stop).await;
                    not_before = Instant::now() + TRIM_PAUSE;
                }
                // Longer than the retention by more than a round: an offset may be as old as that.
                _ = prune.tick() => self.prune(retention + ROUND.min(retention), &stop).await,
            }
        }
    }

    /// Waits until somebody may have left too much, and says who.
    async fn crowded(&self, not_before: Instant) -> Vec<CountedFor> {
        sleep_until(not_before).await;
        self.sessions.crowded().await
    }

    /// Removes what somebody has left beyond its share.
    async fn trim(&self, crowded: &[CountedFor], stop: &CancellationToken) {
        let metrics = &self.hub.metrics;
        while !stop.is_cancelled() {
            match self.sessions.trim(crowded).await {
                Ok(0) => return,
                Ok(removed) => {
                    metrics.pruned_sessions.inc_by(removed);
                    metrics.limits(Limit::SessionsSize);
                    if removed < Sessions::MAX_PRUNED {
                        return;
                    }
                }
                Err(error) => {
                    tracing::debug!("resume sessions beyond a share could not be removed: {error}");
                    return;
                }
            }
        }
    }

    /// Removes whatever nobody can resume any more.
    async fn prune(&self, untouched: Duration, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            match self.sessions.prune(untouched).await {
                Ok(removed) => {
                    self.hub.metrics.pruned_sessions.inc_by(removed);
                    if removed < Sessions::MAX_PRUNED {
                        return;
                    }
                }
                Err(error) => {
                    tracing::debug!("resume sessions could not be pruned: {error}");
                    return;
                }
            }
        }
    }
}
