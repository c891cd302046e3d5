//! What a session is kept by, and how servers tell each other of it.

use sha2::{Digest as _, Sha256};

/// What a session is kept by: the pid itself is a secret, and is kept nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PidHash(pub(super) [u8; 16]);

impl PidHash {
    /// Of a pid as the client sends it.
    pub(crate) fn of(pid: &str) -> Self {
        let digest = Sha256::digest(pid.as_bytes());
        let (head, _) = digest
            .split_first_chunk::<16>()
            .expect("a digest has 32 bytes");
        Self(*head)
    }

    fn parse_hex(text: &str) -> Option<Self> {
        let number = u128::from_str_radix(text, 16).ok()?;
        (text.len() == 32).then_some(Self(number.to_be_bytes()))
    }
}

/// What the notification of sessions that were taken over says: whose, and to which connection.
pub(crate) fn parse_takeovers(payload: &str) -> impl Iterator<Item = (PidHash, i64)> {
    payload.split(',').filter_map(|entry| {
        let (hash, owner) = entry.split_once(':')?;
        Some((PidHash::parse_hex(hash)?, owner.parse().ok()?))
    })
}
