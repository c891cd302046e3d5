//! The engine sessions that began by polling, by the id that their requests name.
//!
//! Owns no session: an entry ends with the session itself, which the engine holds. So nothing here outlives the engine's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::engine_session::EngineSession;

/// The engine sessions that there are. A leaf among the locks: no session is dropped while it is held.
#[derive(Default)]
pub(crate) struct EngineSessions(Mutex<HashMap<Box<str>, Weak<EngineSession>>>);

impl EngineSessions {
    fn sessions(&self) -> MutexGuard<'_, HashMap<Box<str>, Weak<EngineSession>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine has given a session its id.
    pub(super) fn insert(self: &Arc<Self>, id: &str, session: &Arc<EngineSession>) {
        self.sessions().insert(id.into(), Arc::downgrade(session));
        let (sessions, id): (_, Box<str>) = (self.clone(), id.into());
        session.on_end(move || {
            sessions.sessions().remove(&id);
        });
    }

    /// The engine session that a request names.
    pub(super) fn find(&self, id: &str) -> Option<Arc<EngineSession>> {
        let session = self.sessions().get(id).cloned();
        session?.upgrade()
    }
}
