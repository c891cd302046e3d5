//! What the parts of the server say of themselves, for readiness and metrics.
//!
//! A leaf: `feed` and `db` write these, `http` reads them, and neither knows the other. `checks` is for whatever can fail while
//! the listener hears and the reader reads.

mod checks;

pub(crate) use checks::{Check, Checks, FoundBy, Severity};

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// The greatest age of the last self-probe that was heard. Beyond it two probes in a row were not heard in time.
pub(crate) const PROBE_LIMIT: Duration = Duration::from_secs(8);

/// Beyond this the reader does not come back from handing on a part of a read, which takes milliseconds.
const HAND_OVER_LIMIT: Duration = Duration::from_secs(60);

/// What the listener knows of itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListenerStatus {
    /// Whether LISTEN is in force.
    pub bound: bool,
    /// Why it is not, in words; `None` before the first attempt has ended.
    pub cause: Option<Arc<str>>,
    /// Whether a connection pooler is in the way: there is no LISTEN, and the poll delivers.
    pub pooled: bool,
    /// When the last self-probe came round.
    pub probed: Option<Instant>,
}

/// How far the reader is.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReaderStatus {
    /// When a read last found everything; `None` until the first one came back.
    pub caught_up: Option<Instant>,
    /// When it last came further: it found everything, or handed on a part of a long read.
    pub moved: Option<Instant>,
    /// Since when reading fails, and why, in words.
    pub failing: Option<(Instant, Arc<str>)>,
    /// Since when what was read is being handed on, which waits for nobody outside of the server.
    pub handing_over: Option<Instant>,
}

impl ReaderStatus {
    /// Whether the reader hangs in the server's own code.
    pub(crate) fn is_stuck(&self, now: Instant) -> bool {
        self.handing_over
            .is_some_and(|since| now.duration_since(since) > HAND_OVER_LIMIT)
    }
}

/// What the start waits for, until the server serves. Shown by `/readyz`, so it has no address and no secret in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StartStatus {
    /// The part that the start waits for, in one word.
    pub check: &'static str,
    /// What is known of the reason, in words.
    pub cause: String,
    /// Something is wrong; else it only takes its time.
    pub is_failing: bool,
}

impl StartStatus {
    /// The start is at `check`, and nothing is wrong.
    pub(crate) fn working(check: &'static str, cause: impl Into<String>) -> Self {
        Self {
            check,
            cause: cause.into(),
            is_failing: false,
        }
    }

    /// The start waits for `check`, because of `cause`.
    pub(crate) fn failing(check: &'static str, cause: impl Into<String>) -> Self {
        Self {
            is_failing: true,
            ..Self::working(check, cause)
        }
    }
}

impl Default for StartStatus {
    fn default() -> Self {
        Self::working("database", "the database was not asked yet")
    }
}

/// What was last seen of the attached tables.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourcesStatus {
    /// The problems of each table that has some, in words.
    pub problems: BTreeMap<String, Vec<String>>,
    /// Why the tables can't be looked at.
    pub failing: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_is_stuck_that_does_not_come_back_from_handing_over() {
        let begun = Instant::now();
        let mut reader = ReaderStatus {
            handing_over: Some(begun),
            ..ReaderStatus::default()
        };
        let late = begun + HAND_OVER_LIMIT;
        assert!(!reader.is_stuck(late));
        let too_late = late + Duration::from_millis(1);
        assert!(reader.is_stuck(too_late));
        // It waits for Postgres, however long.
        reader.handing_over = None;
        assert!(!reader.is_stuck(too_late));
    }
}
