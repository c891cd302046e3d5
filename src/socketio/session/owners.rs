//! Which connection of this server has which resume session.
//!
//! Guarantees that it is the latest one which asked for the session: the earlier one is closed, so that no two connections serve
//! one client. The same holds across servers, by the notification of a takeover.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::db::{PidHash, ResumeSession};
use crate::delivery::SubscriberTransport;

/// The connection that owns each resume session. A leaf among the locks: nothing is closed while it is held.
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

    /// The resume session belongs to this connection now. The connection that had it is closed.
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

    /// A connection has ended. If its resume session belongs to a later one already, nothing changes.
    pub(crate) fn release(&self, session: &ResumeSession) {
        let mut owners = self.owners();
        if owners
            .get(&session.pid)
            .is_some_and(|current| current.owner == session.owner)
        {
            owners.remove(&session.pid);
        }
    }

    /// The resume session belongs to the connection `owner`, of this or another server. Any other connection that has it here is
    /// closed.
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
