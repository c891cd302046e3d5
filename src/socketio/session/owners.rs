//! Which connection of this server has which resume session: the latest that asked for it, and no other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::db::{PidHash, ResumeSession};
use crate::delivery::SubscriberTransport;

/// The owners of the sessions.
#[derive(Default)]
pub(crate) struct SessionOwners(Mutex<HashMap<PidHash, Owner>>);

struct Owner {
    owner: i64,
    transport: Arc<dyn SubscriberTransport>,
}

impl SessionOwners {
    fn owners(&self) -> MutexGuard<'_, HashMap<PidHash, Owner>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session belongs to this connection now. The one that had it here is ended.
    pub(crate) fn claim(&self, session: &ResumeSession, transport: Arc<dyn SubscriberTransport>) {
        let owner = Owner {
            owner: session.owner,
            transport,
        };
        let earlier = self.owners().insert(session.pid, owner);
        if let Some(earlier) = earlier {
            earlier.transport.close();
        }
    }

    /// A connection has ended. Its session may belong to a later one.
    pub(crate) fn release(&self, session: &ResumeSession) {
        let mut owners = self.owners();
        if owners
            .get(&session.pid)
            .is_some_and(|current| current.owner == session.owner)
        {
            owners.remove(&session.pid);
        }
    }

    /// A session belongs to the connection `owner`, of whichever server: another one that has it here is ended.
    pub(crate) fn end_others(&self, pid: PidHash, owner: i64) {
        let ended = {
            let owners = self.owners();
            owners
                .get(&pid)
                .filter(|current| current.owner != owner)
                .map(|current| current.transport.clone())
        };
        if let Some(transport) = ended {
            transport.close();
        }
    }
}
