//! What is said of a policy in the log: a line now and then, however many rooms it fails for.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Between two lines.
const PAUSE: Duration = Duration::from_secs(5);

/// Logs why the policy does not answer.
#[derive(Default)]
pub(super) struct Complaints(Mutex<State>);

#[derive(Default)]
struct State {
    last: Option<Instant>,
    unsaid: u64,
}

impl Complaints {
    /// The policy `did` something, for this reason. Logged if the last line is a while ago, else counted.
    pub(super) fn log(&self, did: &str, cause: &str) {
        if let Some(unsaid) = self.turn(Instant::now()) {
            let more = match unsaid {
                0 => String::new(),
                unsaid => format!(" ({unsaid} more were not logged)"),
            };
            tracing::warn!(
                unsaid,
                "the policy rowcast.may_join {did}: {cause}; `rowcast doctor` looks at it{more}"
            );
        }
    }

    /// How many were not said meanwhile, if it may be said now.
    fn turn(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.last.is_some_and(|last| now - last < PAUSE) {
            state.unsaid += 1;
            return None;
        }
        state.last = Some(now);
        Some(std::mem::take(&mut state.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_and_a_number() {
        let (complaints, now) = (Complaints::default(), Instant::now());
        assert_eq!(complaints.turn(now), Some(0));
        for _ in 0..100 {
            assert_eq!(complaints.turn(now), None);
        }
        assert_eq!(complaints.turn(now + PAUSE), Some(100));
    }
}
