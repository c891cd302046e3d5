//! Keys that tokens have named and that are not there, with when each was asked for first.
//!
//! A key that is new can't be among those that were read before anybody used it. So its first token is told to come back, and not that
//! it is wrong, until the keys were read once more. A leaf among the locks, and bounded: strangers invent names of keys.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Names that are remembered.
const MAX_NAMES: usize = 100;
/// How long a name is remembered while there is no room for others.
const REMEMBERED: Duration = Duration::from_secs(60);

/// When each was asked for first.
#[derive(Debug, Default)]
pub(super) struct AskedKeys(Mutex<HashMap<String, Instant>>);

impl AskedKeys {
    /// Whether the keys, which were read at `read_at`, were read since this one was first asked for: then it is none. So is one for
    /// which there is no room.
    pub(super) fn is_none(&self, id: &str, read_at: Instant, now: Instant) -> bool {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() >= MAX_NAMES && !asked.contains_key(id) {
            asked.retain(|_, at| now.saturating_duration_since(*at) < REMEMBERED);
            if asked.len() >= MAX_NAMES {
                return true;
            }
        }
        *asked.entry(id.to_owned()).or_insert(now) < read_at
    }

    /// The next token that names it is its first one again.
    pub(super) fn forget(&self, id: &str) {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_none_once_the_keys_were_read_after_it_was_asked_for() {
        let (asked, start) = (AskedKeys::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(!asked.is_none("a", at(1), at(2)), "it may be newer");
        assert!(!asked.is_none("a", at(1), at(3)));
        assert!(asked.is_none("a", at(4), at(5)));
        asked.forget("a");
        assert!(!asked.is_none("a", at(4), at(6)));
    }

    #[test]
    fn names_that_strangers_invent_are_bounded() {
        let (asked, now) = (AskedKeys::default(), Instant::now());
        for number in 0..1_000 {
            asked.is_none(&number.to_string(), now, now);
        }
        assert!(asked.is_none("another", now, now));
        assert!(!asked.is_none("another", now, now + REMEMBERED));
        assert!(asked.0.lock().expect("whole").len() <= MAX_NAMES);
    }
}
