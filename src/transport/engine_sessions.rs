//! What is known of an engine session by its id, which requests name.
//!
//! Owns three things of each engine session: the client whose socket it carries, the pid for a CONNECT packet that has not been
//! sent yet, and the connection that the session is being upgraded to. Nothing here outlives the engine session by more than a
//! bounded number of entries.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::client_transport::ClientTransport;
use super::connection::Connection;

/// Pids and upgrades that are held before those of ended connections are removed.
const MAX_LOOSE: usize = 1024;

/// The engine sessions that there are.
#[derive(Default)]
pub(crate) struct EngineSessions(Mutex<Sessions>);

#[derive(Default)]
struct Sessions {
    /// By the engine session's id: the connection's number, and the way to the client.
    clients: HashMap<Box<str>, (u64, Arc<ClientTransport>)>,
    connects: HashMap<Box<str>, PendingConnect>,
    /// Connections that engine sessions were upgraded to before their socket was connected.
    upgrades: HashMap<Box<str>, Weak<Connection>>,
}

/// What a CONNECT packet is to carry.
struct PendingConnect {
    pid: Box<str>,
    /// Lives as long as the socket does.
    owner: Weak<dyn Any + Send + Sync>,
}

impl EngineSessions {
    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says which pid the CONNECT packet of a polling client is to carry. The packet goes out with the next answer to a poll,
    /// or over the connection that the engine session is being upgraded to. `owner` lives as long as the socket does.
    pub(crate) fn expect_connect(&self, id: &str, pid: &str, owner: Weak<dyn Any + Send + Sync>) {
        let mut sessions = self.sessions();
        if let Some(connection) = sessions.upgrades.get(id).and_then(Weak::upgrade) {
            connection.set_pid(pid);
        }
        if sessions.connects.len() >= MAX_LOOSE {
            sessions
                .connects
                .retain(|_, connect| connect.owner.strong_count() > 0);
        }
        let connect = PendingConnect {
            pid: pid.into(),
            owner,
        };
        sessions.connects.insert(id.into(), connect);
    }

    /// The pid for the CONNECT packet, if that has not been sent yet.
    pub(super) fn pending_pid(&self, id: &str) -> Option<Box<str>> {
        let sessions = self.sessions();
        Some(sessions.connects.get(id)?.pid.clone())
    }

    /// The CONNECT packet has been sent.
    pub(super) fn connect_sent(&self, id: &str) {
        self.sessions().connects.remove(id);
    }

    /// A socket is connected: `connection` is its number.
    pub(crate) fn register(&self, connection: u64, transport: &Arc<ClientTransport>) {
        let id = transport.engine_session_id();
        let mut sessions = self.sessions();
        sessions
            .clients
            .insert(id.into(), (connection, transport.clone()));
        let upgrade = sessions.upgrades.remove(id);
        if let Some(connection) = upgrade.and_then(|upgrade| upgrade.upgrade()) {
            transport.set_upgraded(&connection);
        }
    }

    /// A socket has ended. If its client has connected anew in the same engine session, that entry stays.
    pub(crate) fn unregister(&self, connection: u64, transport: &ClientTransport) {
        let id = transport.engine_session_id();
        let mut sessions = self.sessions();
        if sessions
            .clients
            .get(id)
            .is_some_and(|(number, _)| *number == connection)
        {
            sessions.clients.remove(id);
            sessions.connects.remove(id);
        }
    }

    /// An engine session is being upgraded to this connection. Its socket may not be connected yet.
    pub(super) fn begin_upgrade(&self, id: &str, connection: &Arc<Connection>) {
        let mut sessions = self.sessions();
        if let Some(connect) = sessions.connects.get(id) {
            connection.set_pid(&connect.pid);
        }
        if let Some((_, client)) = sessions.clients.get(id) {
            return client.set_upgraded(connection);
        }
        if sessions.upgrades.len() >= MAX_LOOSE {
            sessions
                .upgrades
                .retain(|_, connection| connection.strong_count() > 0);
        }
        sessions
            .upgrades
            .insert(id.into(), Arc::downgrade(connection));
    }

    /// The engine refused the upgrade.
    pub(super) fn upgrade_refused(&self, id: &str) {
        self.sessions().upgrades.remove(id);
    }

    /// The way to the client of an engine session.
    pub(super) fn find(&self, id: &str) -> Option<Arc<ClientTransport>> {
        let sessions = self.sessions();
        Some(sessions.clients.get(id)?.1.clone())
    }
}
