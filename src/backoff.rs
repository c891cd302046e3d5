//! How long to wait before trying again: the one retry policy.
//!
//! Owns the arithmetic only; the caller sleeps, and calls [`Backoff::reset`] once an attempt worked.
//! Guarantees that a delay is never zero and never over the cap, and that servers which failed at
//! the same moment do not all return at the same moment.

use std::time::Duration;

/// Capped exponential delays with jitter: the nth delay is a random one between half and all of
/// `first * 2^(n-1)`, or of the cap where that is less.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    cap: Duration,
    ceiling: Duration,
}

impl Backoff {
    /// Delays that begin around `first` and stay at or below `cap`.
    #[must_use]
    pub(crate) const fn new(first: Duration, cap: Duration) -> Self {
        Self {
            first,
            cap,
            ceiling: first,
        }
    }

    /// The delay before the next attempt.
    pub(crate) fn next(&mut self) -> Duration {
        let ceiling = self.ceiling.min(self.cap);
        self.ceiling = ceiling.saturating_mul(2);
        rand::random_range(ceiling / 2..=ceiling)
    }

    /// Begins anew, because an attempt worked.
    pub(crate) const fn reset(&mut self) {
        self.ceiling = self.first;
    }
}

impl Default for Backoff {
    /// From 100 ms to 5 s: a restarted Postgres is found at once, one that is down for an hour is
    /// not hammered.
    fn default() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(100);
    const CAP: Duration = Duration::from_millis(450);

    #[test]
    fn delays_double_up_to_the_cap_within_their_jitter() {
        for _ in 0..200 {
            let mut backoff = Backoff::new(FIRST, CAP);
            for ceiling_ms in [100, 200, 400, 450, 450] {
                let ceiling = Duration::from_millis(ceiling_ms);
                let delay = backoff.next();
                assert!(delay >= ceiling / 2, "{delay:?} is under {:?}", ceiling / 2);
                assert!(delay <= ceiling, "{delay:?} is over {ceiling:?}");
            }
        }
    }

    #[test]
    fn delays_differ() {
        let mut delays: Vec<_> = (0..50).map(|_| Backoff::new(FIRST, CAP).next()).collect();
        delays.sort();
        delays.dedup();
        assert!(delays.len() > 25, "{} distinct delays of 50", delays.len());
    }

    #[test]
    fn a_success_begins_anew() {
        let mut backoff = Backoff::new(FIRST, CAP);
        for _ in 0..5 {
            backoff.next();
        }
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }

    #[test]
    fn a_thousand_failures_stay_under_the_cap() {
        let mut backoff = Backoff::default();
        let longest = (0..1_000).map(|_| backoff.next()).max();
        assert!(longest <= Some(Duration::from_secs(5)));
        assert!(longest > Some(Duration::from_millis(2_500)));
    }

    #[test]
    fn a_first_delay_over_the_cap_is_cut() {
        assert!(Backoff::new(CAP, FIRST).next() <= FIRST);
    }
}
