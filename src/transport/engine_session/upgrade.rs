//! How a session that polls goes on over a WebSocket, or by polling where that fails.

use std::sync::Arc;

use super::EngineSession;
use super::polling_state::Upgrade;
use crate::transport::connection::Connection;

impl EngineSession {
    /// A WebSocket has been opened for this session. False: it has one already.
    pub(in crate::transport) fn begin_probe(&self) -> bool {
        let Some(mut state) = self.state() else {
            return false;
        };
        let is_first = matches!(state.upgrade, Upgrade::None) && !state.ended;
        if is_first {
            state.upgrade = Upgrade::Probing;
        }
        is_first
    }

    /// The client's probe has been answered.
    pub(in crate::transport) fn set_probed(&self) {
        self.set_upgrade(Upgrade::Probed);
        self.wake_poll();
    }

    /// The probe has failed: the session goes on by polling.
    pub(in crate::transport) fn end_probe(&self) {
        self.set_upgrade(Upgrade::None);
    }

    fn set_upgrade(&self, upgrade: Upgrade) {
        if let Some(mut state) = self.state() {
            state.upgrade = upgrade;
        }
    }

    /// The session goes on over this connection. False: the session has ended.
    pub(in crate::transport) fn upgrade_to(&self, connection: &Arc<Connection>) -> bool {
        let Some(mut state) = self.state() else {
            return false;
        };
        if state.ended {
            return false;
        }
        if let Some(data) = state.refusal.take() {
            connection.refuse(data);
        }
        for pid in state.pids.drain(..) {
            connection.push_pid(&pid);
        }
        state.upgrade = Upgrade::Done(Arc::downgrade(connection));
        let queue = state.queue.clone();
        drop(state);
        if let Some(queue) = queue.and_then(|queue| queue.upgrade()) {
            queue.set_upgraded(connection);
        }
        self.wake_poll();
        true
    }
}
