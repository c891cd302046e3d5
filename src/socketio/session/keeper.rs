//! The task that looks after the resume sessions of this server's clients.
//!
//! [`SessionKeeper`] writes down from time to time how far each client was served, so that the rows of connected clients are
//! never pruned; removes the rows that nobody can resume any more; and closes clients whose resume session was taken over on
//! another server.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::clients::Clients;
use crate::db::{Sessions, parse_takeovers};
use crate::delivery::Hub;

/// The longest pause between two times of storing and pruning.
const ROUND: Duration = Duration::from_secs(3600);

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
        let mut round = interval((retention / 8).clamp(Duration::from_secs(1), ROUND));
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(payload) = takeovers.recv() => {
                    for (pid, owner) in parse_takeovers(&payload) {
                        self.clients.end_others(pid, owner);
                    }
                }
                _ = round.tick() => {
                    let progress = self.clients.progress(&self.hub);
                    let done = async {
                        self.sessions.touch_all(&progress).await?;
                        // Longer than the retention by more than a round: an offset may be as old as that.
                        self.sessions.prune(retention + ROUND.min(retention)).await
                    };
                    if let Err(error) = done.await {
                        tracing::debug!("resume sessions could not be looked after: {error}");
                    }
                }
            }
        }
    }
}
