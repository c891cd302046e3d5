//! What the listener and the reader say of themselves, for readiness and metrics.
//!
//! A leaf: `feed` writes these, `http` reads them, and neither knows the other.

use std::time::Duration;

use tokio::time::Instant;

/// The greatest age of the last self-probe that was heard. Beyond it two probes in a row were not heard in time.
pub(crate) const PROBE_LIMIT: Duration = Duration::from_secs(8);

/// What the listener knows of itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ListenerStatus {
    /// Whether LISTEN is in force.
    pub bound: bool,
    /// Whether a connection pooler is in the way: there is no LISTEN, and the poll delivers.
    pub pooled: bool,
    /// When the last self-probe came round.
    pub probed: Option<Instant>,
}

/// How far the reader is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReaderStatus {
    /// When a read last found everything; `None` until the first one came back.
    pub caught_up: Option<Instant>,
    /// Since when reading fails.
    pub failing: Option<Instant>,
}
