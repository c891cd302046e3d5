//! The connected clients of this server, and which of them has which resume session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{join, join_all};

use super::expiry::Expiries;
use super::owners::SessionOwners;
use super::store::{session_progress, stored_session};
use crate::db::{PidHash, Sessions};
use crate::delivery::Hub;
use crate::metrics::{Metrics, Transport};
use crate::socketio::client::Client;

/// The connected clients, by their numbers, and which of them has which resume session.
#[derive(Default)]
pub(in crate::socketio) struct Clients {
    by_id: Mutex<HashMap<u64, Arc<Client>>>,
    owners: SessionOwners,
    pub(in crate::socketio) expiries: Arc<Expiries>,
}

impl Clients {
    fn by_id(&self) -> MutexGuard<'_, HashMap<u64, Arc<Client>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a client. The one that had its resume session is closed.
    pub(in crate::socketio) fn add(&self, client: &Arc<Client>) {
        self.by_id().insert(client.id(), client.clone());
        self.owners.claim(&client.session, client.transport.clone());
    }

    /// The client is to be cut when its token ends, which is accepted for `leeway` longer than it says.
    pub(in crate::socketio) fn expect_expiry(&self, client: &Arc<Client>, leeway: Duration) {
        let identity = client.identity();
        let Some(token) = identity.token() else {
            return;
        };
        let at = self.expiries.insert(client, token.expires_at(), leeway);
        if let Some(before) = client.set_cut_at(Some(at)).filter(|before| *before != at) {
            self.expiries.remove(before, client.id());
        }
    }

    /// Removes a client.
    pub(in crate::socketio) fn remove(&self, id: u64) -> Option<Arc<Client>> {
        let client = self.by_id().remove(&id)?;
        self.owners.release(&client.session);
        if let Some(at) = client.set_cut_at(None) {
            self.expiries.remove(at, id);
        }
        Some(client)
    }

    /// A resume session was taken over, perhaps on another server: the connection that had it here is closed.
    pub(super) fn end_others(&self, pid: PidHash, owner: i64) {
        self.owners.end_others(pid, owner);
    }

    /// A connected client.
    pub(in crate::socketio) fn get(&self, id: u64) -> Option<Arc<Client>> {
        self.by_id().get(&id).cloned()
    }

    /// Every connected client.
    pub(in crate::socketio) fn all(&self) -> Vec<Arc<Client>> {
        self.by_id().values().cloned().collect()
    }

    /// Stores how far each client was served whose resume session is stored.
    ///
    /// # Errors
    /// Why it could not be stored.
    pub(in crate::socketio) async fn store_progress(
        &self,
        hub: &Hub,
        sessions: &Sessions,
    ) -> Result<(), String> {
        let (mut progress, mut whole) = (Vec::new(), Vec::new());
        for client in self.all() {
            if !client.has_stored_session() {
                continue;
            }
            if client.must_be_stored_whole() {
                if let Some(stored) = stored_session(hub, &client.subscriber) {
                    whole.push(async move { client.write_session(sessions, stored).await });
                }
            } else if let Some(served) = hub.progress(&client.subscriber) {
                progress.push((client.session.clone(), session_progress(&served)));
            }
        }
        let (touched, _) = join(sessions.touch_all(&progress), join_all(whole)).await;
        touched.map_err(|error| error.to_string())
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
