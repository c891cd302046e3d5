//! A line of the log that may be due again and again, and is written now and then.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Between two lines.
const PAUSE: Duration = Duration::from_secs(10);

/// What the line tells of, as often as it has happened. A leaf among the locks.
#[derive(Debug, Default)]
pub(crate) struct Sampled(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    told: Option<Instant>,
    untold: u64,
}

impl Sampled {
    /// It has happened again. Returns how often since the last line, if another one is due.
    pub(crate) fn due(&self) -> Option<u64> {
        self.due_at(Instant::now())
    }

    fn due_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.untold += 1;
        if state.told.is_some_and(|told| now - told < PAUSE) {
            return None;
        }
        state.told = Some(now);
        Some(std::mem::take(&mut state.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_that_counts_it() {
        let (sampled, now) = (Sampled::default(), Instant::now());
        assert_eq!(sampled.due_at(now), Some(1));
        for _ in 0..500 {
            assert_eq!(sampled.due_at(now), None);
        }
        assert_eq!(sampled.due_at(now + PAUSE), Some(501));
    }
}
