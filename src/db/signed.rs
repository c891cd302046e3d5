//! Notifications that make a server act: whether a server, or a function of our schema, has sent them.
//!
//! Any role of the database may notify on any channel, and hear what others notify. So what acts carries the time and a tag, made with
//! the secret of the database by `rowcast.signed` (`migrations/0003_secret.sql`).
//! Guarantees that what is heeded was made with the secret, at most half a minute ago by Postgres's clock, and is heeded once.
//! Refuses everything where the role may not know the secret.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::time::Instant;

/// How old a notification may be, and how far ahead of the clock that was read when LISTEN began.
const WINDOW: Duration = Duration::from_secs(30);
/// So many are remembered; a flood of more drops the oldest.
const MOST: usize = 65_536;
/// Bytes of a tag.
const TAG_BYTES: usize = 16;

/// Reads the secret and Postgres's clock, in microseconds.
pub(super) const READ_SECRET: &str =
    "select rowcast.server_secret(), (extract(epoch from clock_timestamp()) * 1000000)::int8";

type Tag = [u8; TAG_BYTES];

/// Tells genuine notifications from others.
pub(super) struct Verifier {
    secret: Vec<u8>,
    /// Postgres's clock when the secret was read.
    clock_us: i64,
    read: Instant,
    heeded: HashSet<Tag>,
    order: VecDeque<Tag>,
}

impl Verifier {
    /// With the answer to [`READ_SECRET`].
    pub(super) fn new((secret, clock_us): (Vec<u8>, i64)) -> Self {
        Self {
            secret,
            clock_us,
            read: Instant::now(),
            heeded: HashSet::new(),
            order: VecDeque::new(),
        }
    }

    /// How long ago the secret was read.
    pub(super) fn age(&self) -> Duration {
        self.read.elapsed()
    }

    /// Takes another secret, and still remembers what was heeded.
    pub(super) fn renew(&mut self, (secret, clock_us): (Vec<u8>, i64)) {
        (self.secret, self.clock_us, self.read) = (secret, clock_us, Instant::now());
    }

    /// The payload, without time and tag, if it is genuine.
    pub(super) fn open<'a>(&mut self, channel: &str, signed: &'a str) -> Option<&'a str> {
        let (tag, rest) = signed.split_once(' ')?;
        let (time_us, payload) = rest.split_once(' ')?;
        let time_us: i64 = time_us.parse().ok()?;
        let tag = parse_tag(tag)?;
        let mac = Hmac::<Sha256>::new_from_slice(&self.secret).expect("a key of any length");
        let mac = mac.chain_update(b"notify ").chain_update(channel);
        let mac = mac.chain_update(b" ").chain_update(rest);
        mac.verify_truncated_left(&tag).ok()?;
        let passed = i64::try_from(self.read.elapsed().as_micros()).unwrap_or(i64::MAX);
        let now_us = self.clock_us.saturating_add(passed);
        if u128::from(now_us.abs_diff(time_us)) > WINDOW.as_micros() || !self.heeded.insert(tag) {
            return None;
        }
        self.order.push_back(tag);
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.heeded.remove(&oldest);
        }
        Some(payload)
    }
}

fn parse_tag(hex: &str) -> Option<Tag> {
    let is_hex = hex.len() == 2 * TAG_BYTES && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = is_hex.then(|| u128::from_str_radix(hex, 16).ok())??;
    Some(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_US: i64 = 1_700_000_000_000_000;

    fn verifier() -> Verifier {
        Verifier::new((vec![7; 32], NOW_US))
    }

    fn signed(channel: &str, time_us: i64, payload: &str) -> String {
        let rest = format!("{time_us} {payload}");
        let mac = Hmac::<Sha256>::new_from_slice(&[7; 32]).expect("a key");
        let mac = mac.chain_update(format!("notify {channel} {rest}"));
        let tag: String = mac.finalize().into_bytes()[..TAG_BYTES]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{tag} {rest}")
    }

    #[test]
    fn what_is_genuine_is_heeded_once() {
        let (mut verifier, text) = (verifier(), signed("c", NOW_US, "a payload, with blanks"));
        assert_eq!(verifier.open("c", &text), Some("a payload, with blanks"));
        assert_eq!(verifier.open("c", &text), None, "a second time");
    }

    #[test]
    fn what_was_altered_is_not_heeded() {
        let text = signed("c", NOW_US, "payload");
        let mut verifier = verifier();
        assert_eq!(verifier.open("d", &text), None, "on another channel");
        for at in 0..text.len() {
            let mut altered = text.clone().into_bytes();
            altered[at] ^= 1;
            let altered = String::from_utf8(altered).expect("ASCII");
            assert_eq!(verifier.open("c", &altered), None, "{altered}");
        }
        for text in ["", " ", "payload", "{\"contactId\":\"42\",\"typing\":true}"] {
            assert_eq!(verifier.open("c", text), None, "{text}");
        }
        assert_eq!(verifier.open("c", &text), Some("payload"));
    }

    #[test]
    fn what_is_old_or_yet_to_come_is_not_heeded() {
        for apart in [-31_000_000, 31_000_000] {
            let text = signed("c", NOW_US + apart, "payload");
            assert_eq!(verifier().open("c", &text), None);
        }
        let text = signed("c", NOW_US - 29_000_000, "payload");
        assert_eq!(verifier().open("c", &text), Some("payload"));
    }
}
