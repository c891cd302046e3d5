//! Keeps the sessions of connected sockets alive, removes those that nobody can resume any more, and ends connections
//! whose session another server has taken over.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::hub::Hub;
use crate::outbox::{Sessions, parse_taken};

/// The longest pause between two rounds.
const ROUND: Duration = Duration::from_secs(3600);

/// Runs until `stop`. `taken` is what notifications say of sessions that were taken over.
pub async fn run(
    hub: Arc<Hub>,
    sessions: Arc<Sessions>,
    retention: Duration,
    mut taken: mpsc::Receiver<String>,
    stop: CancellationToken,
) {
    let mut round = interval((retention / 8).clamp(Duration::from_secs(1), ROUND));
    round.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(payload) = taken.recv() => {
                for (pid, owner) in parse_taken(&payload) {
                    hub.taken(pid, owner);
                }
            }
            _ = round.tick() => {
                let served = hub.served();
                let done = async {
                    sessions.touch_all(&served).await?;
                    // Longer than the retention by more than a round: an offset may be as old as that.
                    sessions.prune(retention + ROUND.min(retention)).await
                };
                if let Err(error) = done.await {
                    tracing::debug!("sessions could not be kept up: {error}");
                }
            }
        }
    }
}
