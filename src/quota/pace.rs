//! Some of something at once, and then one in a while: for one connection, whoever has it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many at once.
const BURST: u32 = 10;

/// The time up to which what may be had is used up. A leaf among the locks.
pub(crate) struct Pace(Mutex<Instant>);

impl Pace {
    /// Nothing was had yet.
    pub(crate) fn new(now: Instant) -> Self {
        Self(Mutex::new(now))
    }

    /// Counts one of those of which there may be one in `pause`, and some at once; false when it is one too many.
    pub(crate) fn take(&self, pause: Duration, now: Instant) -> bool {
        let mut until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = (*until).max(now) + pause;
        let allowed = next - now <= pause * BURST;
        if allowed {
            *until = next;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(3);

    #[test]
    fn some_at_once_and_then_one_in_a_while() {
        let now = Instant::now();
        let pace = Pace::new(now);
        let taken = |now, count| (0..count).filter(|_| pace.take(PAUSE, now)).count();
        assert_eq!(taken(now, 30), 10);
        assert_eq!(taken(now + PAUSE * 3, 30), 3);
        assert_eq!(taken(now + PAUSE * 600, 30), 10);
    }
}
