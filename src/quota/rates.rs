//! So many of something a second, for each holder.
//!
//! Each has a bucket of tokens that refills. Guarantees a bound on memory: beyond [`MAX_HOLDERS`] the full buckets are forgotten,
//! which changes nothing, and if that makes little room, all are.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use super::holder::Holder;

/// Holders that are remembered.
const MAX_HOLDERS: usize = 65_536;

/// A rate, with the buckets of those who took some lately. A leaf among the locks.
pub(crate) struct Rates {
    rate: f64,
    burst: f64,
    buckets: Mutex<HashMap<Holder, Bucket>>,
}

struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Rates {
    /// Allows `rate` a second, and at once what `burst_seconds` would bring.
    pub(crate) fn new(rate: u32, burst_seconds: u32) -> Self {
        Self {
            rate: rate.into(),
            burst: f64::from(rate) * f64::from(burst_seconds),
            buckets: Mutex::default(),
        }
    }

    /// How many a second.
    pub(crate) fn rate(&self) -> u32 {
        self.rate as u32
    }

    /// Counts one; false when it is one too many.
    pub(crate) fn take(&self, holder: &Holder, now: Instant) -> bool {
        self.with_bucket(holder, now, |tokens| {
            let allowed = *tokens >= 1.0;
            if allowed {
                *tokens -= 1.0;
            }
            allowed
        })
    }

    /// Whether one would be allowed.
    pub(crate) fn has_left(&self, holder: &Holder, now: Instant) -> bool {
        self.with_bucket(holder, now, |tokens| *tokens >= 1.0)
    }

    /// Counts what was had before its cost was known. A holder that is below zero by it has to wait longer.
    pub(crate) fn charge(&self, holder: &Holder, cost: usize, now: Instant) {
        let least = -self.burst;
        self.with_bucket(holder, now, |tokens| {
            *tokens = (*tokens - cost as f64).max(least);
        });
    }

    fn with_bucket<T>(&self, holder: &Holder, now: Instant, then: impl FnOnce(&mut f64) -> T) -> T {
        let refilled = |bucket: &Bucket| {
            let elapsed = now.saturating_duration_since(bucket.filled).as_secs_f64();
            (bucket.tokens + elapsed * self.rate).min(self.burst)
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= MAX_HOLDERS && !buckets.contains_key(holder) {
            buckets.retain(|_, bucket| refilled(bucket) < self.burst);
            // Else the next stranger would have all of them looked at again.
            if buckets.len() > MAX_HOLDERS / 4 * 3 {
                *buckets = HashMap::new();
            }
        }
        let bucket = match buckets.get_mut(holder) {
            Some(bucket) => bucket,
            None => buckets.entry(holder.clone()).or_insert(Bucket {
                tokens: self.burst,
                filled: now,
            }),
        };
        bucket.tokens = refilled(bucket);
        bucket.filled = now;
        then(&mut bucket.tokens)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::time::Duration;

    use super::*;

    fn holder(text: &str) -> Holder {
        Holder::at(text.parse::<IpAddr>().expect("an address"))
    }

    fn allowed(rates: &Rates, now: Instant, count: usize) -> usize {
        let first = holder("10.0.0.1");
        (0..count).filter(|_| rates.take(&first, now)).count()
    }

    #[test]
    fn a_burst_then_the_rate() {
        let rates = Rates::new(10, 1);
        let now = Instant::now();
        assert_eq!(allowed(&rates, now, 30), 10);
        assert_eq!(allowed(&rates, now + Duration::from_millis(300), 30), 3);
        assert_eq!(allowed(&rates, now + Duration::from_secs(60), 30), 10);
        assert!(rates.take(&holder("10.0.0.2"), now), "each has its own");
        let patient = Rates::new(10, 5);
        assert_eq!(allowed(&patient, now, 90), 50);
        assert_eq!(allowed(&patient, now + Duration::from_secs(1), 90), 10);
    }

    #[test]
    fn what_was_had_on_credit_is_waited_for() {
        let rates = Rates::new(100, 2);
        let (first, now) = (holder("10.0.0.1"), Instant::now());
        assert!(rates.has_left(&first, now));
        rates.charge(&first, 300, now);
        assert!(!rates.has_left(&first, now + Duration::from_millis(900)));
        assert!(rates.has_left(&first, now + Duration::from_millis(1_100)));
        // No debt is larger than what a full bucket holds.
        rates.charge(&first, 1_000_000, now);
        assert!(rates.has_left(&first, now + Duration::from_secs(4)));
    }

    #[test]
    fn memory_is_bounded() {
        let rates = Rates::new(1, 1);
        let now = Instant::now();
        for number in 0..200_000_u32 {
            rates.take(&Holder::at(IpAddr::V4(number.into())), now);
        }
        assert!(rates.buckets.lock().expect("whole").len() <= MAX_HOLDERS);
    }
}
