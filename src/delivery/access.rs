//! What a subscriber may have, as far as delivery has to know: whom its token speaks for, and what the server took from it.

use std::sync::Arc;

use crate::offset::Offset;
use crate::revocations::Bearer;

/// A subscriber's rights.
#[derive(Debug, Default)]
pub(super) struct Access {
    /// Whom its token speaks for, if it has one.
    pub(super) bearer: Option<Bearer>,
    pub(super) generation: AccessGeneration,
    /// Where the broadcast was when the server last took it out of a room, if it ever did.
    pub(super) taken_out_at: Option<Arc<Offset>>,
}

/// A time between two looks at what a subscriber may not have any more. What was allowed in an earlier one is asked for again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AccessGeneration(u32);

impl Access {
    pub(super) fn generation(&self) -> AccessGeneration {
        self.generation
    }

    /// What the subscriber may have is looked at again: whatever is under way for it asks anew.
    pub(super) fn renew(&mut self) {
        self.generation.0 = self.generation.0.wrapping_add(1);
    }
}

/// When a join was begun: what its answer has to know of what came since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct JoinBegun {
    pub(super) access: AccessGeneration,
    /// How often the subscriber had been told to reload rooms.
    pub(super) reloads: u32,
}
