//! What the server waits for on a connection that is HTTP: the client's request, or that the client takes the answer. And when it has
//! waited too long.
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
    /// The answer to a request, which is being made.
    Nothing,
    /// That the client takes the answer.
    Answer(Instant),
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
    pub(super) fn due(self, patience: Patience) -> Option<Instant> {
        match self {
            Self::Head(since) => Some(since + patience.head),
            Self::Idle(since) => Some(since + patience.idle),
            Self::Answer(since) => Some(since + patience.answer),
            Self::Nothing => None,
        }
    }
}

/// How long is waited.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    /// From the first byte of a request's head to its last; of the first request, from the connection on.
    pub head: Duration,
    /// How long a connection without a request is kept.
    pub idle: Duration,
    /// How long a client may take to read an answer.
    pub answer: Duration,
}

impl Patience {
    /// The shortest of them.
    pub(super) fn least(self) -> Duration {
        self.head.min(self.idle).min(self.answer)
    }
}
