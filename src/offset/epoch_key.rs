//! The key of a database's life: what the tags of its offsets are made with.
//!
//! Derived from the secret that the servers of a database share and from the value of its epoch, so another life has another key.
//! Clients never see it, and no log shows it. No I/O.

use std::fmt;
use std::ops::Not;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// 256 bits that nobody but servers knows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct EpochKey([u8; 32]);

impl EpochKey {
    /// Of the life with this value, in the database whose servers share this secret.
    pub(crate) fn derive(secret: &[u8], value: i64) -> Self {
        let mac = mac(secret).chain_update(b"offsets of ");
        let mac = mac.chain_update(value.to_be_bytes());
        Self(mac.finalize().into_bytes().into())
    }

    /// The code that proves what was made with this key.
    pub(super) fn mac(&self, body: &[u8]) -> Hmac<Sha256> {
        mac(&self.0).chain_update(body)
    }

    /// For what has to differ where the life does, and is never shown.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// One that a test can tell from others.
    #[cfg(test)]
    pub(crate) const fn of(number: u8) -> Self {
        Self([number; 32])
    }
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}

/// Another key, of no database.
impl Not for EpochKey {
    type Output = Self;

    fn not(self) -> Self {
        Self(self.0.map(|byte| !byte))
    }
}

impl fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EpochKey(..)")
    }
}
