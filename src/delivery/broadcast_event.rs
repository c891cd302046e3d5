//! An event on its way through the broadcast.

use std::sync::Arc;

use super::outgoing::Outgoing;
use crate::event::{Event, Reload};
use crate::offset::{Offset, Snapshot};

/// An event that the broadcast has come to.
#[derive(Clone, Debug)]
pub(super) struct BroadcastEvent {
    pub(super) event: Arc<Event>,
    /// What it has reloaded, if it is of that kind.
    pub(super) reload: Option<Arc<Reload>>,
    /// Whether it was broadcast before the database crashed.
    pub(super) repeated: bool,
    /// The snapshot of the read that found it.
    pub(super) batch: Arc<Snapshot>,
    /// Where the broadcast was before it.
    pub(super) before: Arc<Offset>,
    /// Where it is with it.
    pub(super) offset: Arc<Offset>,
    /// Its number in the order of the broadcast.
    pub(super) number: u64,
    /// Events that come again after a crash are none later than this.
    pub(super) repeated_to: Arc<Snapshot>,
}

impl BroadcastEvent {
    pub(super) fn outgoing(&self) -> Outgoing {
        Outgoing::stored(self.event.clone(), &self.offset)
    }
}
