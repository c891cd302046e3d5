//! The connected clients, and what keeps their resume sessions: they are stored as long as their clients are there, and a
//! client whose session another connection has taken over is ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::owners::SessionOwners;
use super::store::session_progress;
use crate::db::{ResumeSession, SessionProgress, Sessions, parse_takeovers};
use crate::delivery::Hub;
use crate::metrics::{Metrics, Transport};
use crate::socketio::client::Client;

/// The longest pause between two rounds.
const ROUND: Duration = Duration::from_secs(3600);

/// The connected clients, and who has which session.
#[derive(Default)]
pub(in crate::socketio) struct Clients {
    by_id: Mutex<HashMap<u64, Arc<Client>>>,
    owners: SessionOwners,
}

impl Clients {
    fn by_id(&self) -> MutexGuard<'_, HashMap<u64, Arc<Client>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a client in. The one that had its session is ended.
    pub(in crate::socketio) fn add(&self, client: &Arc<Client>) {
        self.by_id().insert(client.id(), client.clone());
        self.owners.claim(&client.session, client.transport.clone());
    }

    /// Forgets a client.
    pub(in crate::socketio) fn remove(&self, id: u64) -> Option<Arc<Client>> {
        let client = self.by_id().remove(&id)?;
        self.owners.release(&client.session);
        Some(client)
    }

    /// Every connected client.
    pub(in crate::socketio) fn all(&self) -> Vec<Arc<Client>> {
        self.by_id().values().cloned().collect()
    }

    /// Every stored session, and how far its client was served.
    pub(in crate::socketio) fn progress(&self, hub: &Hub) -> Vec<(ResumeSession, SessionProgress)> {
        self.all()
            .into_iter()
            .filter(|client| client.has_stored_session())
            .filter_map(|client| {
                let progress = hub.progress(&client.subscriber)?;
                Some((client.session.clone(), session_progress(&progress)))
            })
            .collect()
    }

    /// Counts the clients for the metrics.
    pub(in crate::socketio) fn measure(&self, metrics: &Metrics) {
        let clients = self.all();
        for kind in [Transport::Websocket, Transport::Polling] {
            let count = clients
                .iter()
                .filter(|client| client.transport.kind() == kind)
                .count();
            metrics.sockets(kind, count as i64);
        }
    }
}

/// Keeps the sessions of connected clients alive, removes those that nobody can resume any more, and ends connections whose
/// session another server has taken over.
pub(crate) struct SessionKeeper {
    pub(in crate::socketio) hub: Arc<Hub>,
    pub(in crate::socketio) clients: Arc<Clients>,
    pub(in crate::socketio) sessions: Arc<Sessions>,
}

impl SessionKeeper {
    /// Runs until `stop`. `takeovers` is what notifications say of sessions that were taken over; sessions are kept for as
    /// long as their offsets are, which is the `retention`.
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
                        self.clients.owners.end_others(pid, owner);
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
                        tracing::debug!("sessions could not be kept up: {error}");
                    }
                }
            }
        }
    }
}
