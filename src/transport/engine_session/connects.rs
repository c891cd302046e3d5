//! How often a client may connect on one engine session: a stock client does once, and again only when its page disconnects and
//! connects anew.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many at once, and then one in [`PAUSE`].
const BURST: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);

/// The CONNECT packets of one engine session: the time up to which they have used what they may. A leaf among the locks.
pub(super) struct Connects(Mutex<Instant>);

impl Connects {
    pub(super) fn new(now: Instant) -> Self {
        Self(Mutex::new(now))
    }

    /// Counts one; false when it is one too many.
    pub(super) fn take(&self, now: Instant) -> bool {
        let mut until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = (*until).max(now) + PAUSE;
        let allowed = next - now <= PAUSE * BURST;
        if allowed {
            *until = next;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_at_once_and_then_one_a_second() {
        let now = Instant::now();
        let connects = Connects::new(now);
        let taken = |now, count| (0..count).filter(|_| connects.take(now)).count();
        assert_eq!(taken(now, 30), 10);
        assert_eq!(taken(now + PAUSE * 3, 30), 3);
        assert_eq!(taken(now + PAUSE * 600, 30), 10);
    }
}
