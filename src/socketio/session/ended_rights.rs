//! The task that ends rights in what is stored: resume sessions, and the revocations themselves once they are old.
//!
//! `delivery` has ended the rights of whoever is connected; this is for those who are not, and for who stays without a room.
//! Nothing depends on it: a session that is still there is looked up with a token, and what that token may not have is not given.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::clients::Clients;
use super::store::stored_session;
use crate::db::Sessions;
use crate::delivery::{EndedRights, Hub, Subscriber};

/// Between two times of pruning, and of trying again what has failed.
const ROUND: Duration = Duration::from_secs(60);
/// Revocations that are handled together at most.
const MAX_TOGETHER: usize = 1_000;

/// Ends rights in what is stored.
pub(crate) struct EndedRightsKeeper {
    pub(in crate::socketio) hub: Arc<Hub>,
    pub(in crate::socketio) clients: Arc<Clients>,
    pub(in crate::socketio) sessions: Arc<Sessions>,
}

/// Whose stored sessions are still to be looked after.
#[derive(Default)]
struct Pending {
    everybody: bool,
    subjects: BTreeSet<String>,
}

impl EndedRightsKeeper {
    /// Runs until `stop`.
    pub(crate) async fn run(
        self,
        mut ended: mpsc::UnboundedReceiver<EndedRights>,
        stop: CancellationToken,
    ) {
        let mut round = interval(ROUND);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut pending, mut some) = (Pending::default(), Vec::new());
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ended.recv_many(&mut some, MAX_TOGETHER) => {
                    let mut left = Vec::new();
                    for rights in some.drain(..) {
                        pending.note(rights.subject);
                        left.extend(rights.left);
                    }
                    self.store_without_rooms(left).await;
                    self.end_sessions(&mut pending).await;
                }
                _ = round.tick() => {
                    self.end_sessions(&mut pending).await;
                    self.prune().await;
                }
            }
        }
    }

    /// Stores the sessions of those who had to leave a room.
    async fn store_without_rooms(&self, left: Vec<Arc<Subscriber>>) {
        let writes = left.into_iter().filter_map(|subscriber| {
            let client = self.clients.get(subscriber.id)?;
            let stored = stored_session(&self.hub, &subscriber)?;
            let is_stored = client.has_stored_session();
            is_stored.then_some(async move { client.write_session(&self.sessions, stored).await })
        });
        for written in join_all(writes).await {
            if let Err(error) = written {
                tracing::debug!("a session keeps a room that is closed to it: {error}");
            }
        }
    }

    async fn end_sessions(&self, pending: &mut Pending) {
        if !pending.everybody && pending.subjects.is_empty() {
            return;
        }
        let subjects: Vec<String> = pending.subjects.iter().cloned().collect();
        let named = (!pending.everybody).then_some(&*subjects);
        match self.sessions.end_revoked(named).await {
            Ok(ended) => {
                tracing::debug!(ended, "stored sessions of revoked rights are ended");
                *pending = Pending::default();
            }
            Err(error) => {
                tracing::warn!("stored sessions of revoked rights can't be ended yet: {error}");
            }
        }
    }

    async fn prune(&self) {
        let revocations = &self.hub.revocations;
        if revocations.is_empty() {
            // What others have revoked is known here, too.
            return;
        }
        revocations.prune();
        if let Err(error) = self
            .sessions
            .prune_revocations(revocations.kept_for())
            .await
        {
            tracing::warn!("old revocations can't be removed: {error}");
        }
    }
}

impl Pending {
    fn note(&mut self, subject: Option<String>) {
        match subject {
            Some(subject) => drop(self.subjects.insert(subject)),
            None => self.everybody = true,
        }
    }
}
