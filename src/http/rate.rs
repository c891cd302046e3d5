//! How often an address may send requests.
//!
//! Each address has a bucket of tokens that refills within a second. IPv6 addresses are counted by /64, which is what one host
//! is given.
//! Guarantees a bound on memory: beyond [`MAX_ADDRESSES`] the full buckets are forgotten, and if that is not enough, all are.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// Addresses that are remembered.
const MAX_ADDRESSES: usize = 65_536;

/// The limit of requests, with the buckets of the addresses that have sent some lately.
pub(super) struct Rates {
    rate: u32,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Rates {
    /// Allows `rate` requests a second, and bursts of as many.
    pub(super) fn new(rate: u32) -> Self {
        Self {
            rate,
            buckets: Mutex::default(),
        }
    }

    pub(super) fn rate(&self) -> u32 {
        self.rate
    }

    /// Counts a request; false when it is one too many.
    pub(super) fn take(&self, address: IpAddr, now: Instant) -> bool {
        let rate = f64::from(self.rate);
        let tokens = |bucket: &Bucket| {
            let refilled = now.saturating_duration_since(bucket.filled).as_secs_f64() * rate;
            (bucket.tokens + refilled).min(rate)
        };
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let network = network(address);
        if buckets.len() >= MAX_ADDRESSES && !buckets.contains_key(&network) {
            buckets.retain(|_, bucket| tokens(bucket) < rate);
            if buckets.len() >= MAX_ADDRESSES {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(network).or_insert(Bucket {
            tokens: rate,
            filled: now,
        });
        let left = tokens(bucket);
        let allowed = left >= 1.0;
        *bucket = Bucket {
            tokens: if allowed { left - 1.0 } else { left },
            filled: now,
        };
        allowed
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let host = u128::from(u64::MAX);
            Ipv6Addr::from_bits(address.to_bits() & !host).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_burst_then_the_rate() {
        let rates = Rates::new(10);
        let now = Instant::now();
        let allowed = |now, count| {
            (0..count)
                .filter(|_| rates.take(ip("10.0.0.1"), now))
                .count()
        };
        assert_eq!(allowed(now, 30), 10);
        assert_eq!(allowed(now + Duration::from_millis(300), 30), 3);
        assert_eq!(allowed(now + Duration::from_secs(60), 30), 10);
        assert!(rates.take(ip("10.0.0.2"), now), "each has its own");
    }

    #[test]
    fn a_host_of_ipv6_is_its_network() {
        assert_eq!(
            network(ip("2001:db8:1:2:3::4")),
            network(ip("2001:db8:1:2::9"))
        );
        assert_ne!(network(ip("2001:db8:1:2::")), network(ip("2001:db8:1:3::")));
        assert_eq!(network(ip("::ffff:10.0.0.1")), ip("10.0.0.1"));
    }

    #[test]
    fn memory_is_bounded() {
        let rates = Rates::new(1);
        let now = Instant::now();
        for number in 0..200_000_u32 {
            rates.take(IpAddr::V4(number.into()), now);
        }
        assert!(rates.buckets.lock().expect("whole").len() <= MAX_ADDRESSES);
    }
}
