//! The key of a resume session, and how servers tell each other which sessions were taken over.
//!
//! A pid is a secret that lets its bearer resume, so the database holds its hash alone, and no log holds either.

use sha2::{Digest as _, Sha256};

/// The first half of a pid's SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PidHash(pub(super) [u8; 16]);

impl PidHash {
    /// Hashes a pid as the client sends it.
    pub(crate) fn of(pid: &str) -> Self {
        let digest = Sha256::digest(pid.as_bytes());
        let (head, _) = digest
            .split_first_chunk::<16>()
            .expect("a digest has 32 bytes");
        Self(*head)
    }

    /// What stands for a client without a token among those who are in a room: the same while it has the session, and no way to it.
    pub(crate) fn stand_in(&self) -> String {
        let digest = Sha256::new()
            .chain_update(b"presence ")
            .chain_update(self.0);
        let digest: [u8; 32] = digest.finalize().into();
        let shown = digest[..6].iter().map(|byte| format!("{byte:02x}"));
        format!("anonymous:{}", shown.collect::<String>())
    }

    fn parse_hex(text: &str) -> Option<Self> {
        let number = u128::from_str_radix(text, 16).ok()?;
        (text.len() == 32).then_some(Self(number.to_be_bytes()))
    }
}

/// Reads the payload of the notification that sessions were taken over: each session, and the connection that owns it now.
pub(crate) fn parse_takeovers(payload: &str) -> impl Iterator<Item = (PidHash, i64)> {
    payload.split(',').filter_map(|entry| {
        let (hash, owner) = entry.split_once(':')?;
        Some((PidHash::parse_hex(hash)?, owner.parse().ok()?))
    })
}
