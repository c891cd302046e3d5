//! What the server waits for on a connection that is HTTP, and when it has waited too long.
//!
//! Why it exists: hyper's timer for a request's head runs between two requests, too, so a connection that is idle would end when a
//! head must be there. A proxy keeps idle connections for a minute, and a request that it sends on one which ends at that moment
//! fails.

use std::time::Duration;

use tokio::time::Instant;

/// What is waited for, and since when.
#[derive(Clone, Copy)]
pub(super) enum Reading {
    /// The rest of a request's head.
    Head(Instant),
    /// The first byte of the next request.
    Idle(Instant),
    /// A request is being answered.
    Nothing,
}

impl Default for Reading {
    /// The first request may be expected at once.
    fn default() -> Self {
        Self::Head(Instant::now())
    }
}

impl Reading {
    /// Bytes have come: where none were waited for, a head begins.
    pub(super) fn begin_head(&mut self) {
        if let Self::Idle(_) = self {
            *self = Self::Head(Instant::now());
        }
    }

    /// When it has been waited for too long; `None`: nothing is waited for.
    pub(super) fn due(self, head_timeout: Duration, keep_alive: Duration) -> Option<Instant> {
        match self {
            Self::Head(since) => Some(since + head_timeout),
            Self::Idle(since) => Some(since + keep_alive),
            Self::Nothing => None,
        }
    }
}
