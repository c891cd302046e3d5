//! Who may speak and be heard on the relay: the servers of one life of one database.
//!
//! Whoever can connect to NATS could publish there, and an event of theirs would reach browsers as if a row had been written. So each
//! message ends in a tag (HMAC-SHA-256), made with a key of the database's life, which servers alone know. The subject is made with it,
//! too: two databases on one NATS never meet, and neither do two lives of one. No I/O.

use std::fmt::Write as _;

use ring::hmac;

use crate::offset::EpochKey;

const TAG_BYTES: usize = 32;

/// The key of a database's life, for the relay.
#[derive(Clone, Debug)]
pub(super) struct Seal {
    life: EpochKey,
    key: hmac::Key,
    subject: String,
}

impl Seal {
    pub(super) fn of(life: EpochKey) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, life.bytes());
        let derived = |what: &str| hmac::sign(&root, what.as_bytes());
        let mut subject = "rowcast.relay.".to_owned();
        for byte in &derived("subject of the relay").as_ref()[..8] {
            write!(subject, "{byte:02x}").expect("a text takes more text");
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, derived("messages of the relay").as_ref());
        Self { life, key, subject }
    }

    /// The life of the database that it is of.
    pub(super) fn life(&self) -> EpochKey {
        self.life
    }

    /// Where the servers of this life speak.
    pub(super) fn subject(&self) -> &str {
        &self.subject
    }

    pub(super) fn tag(&self, body: &[u8]) -> hmac::Tag {
        hmac::sign(&self.key, body)
    }

    /// What was sealed, without its tag; `None` where it was not.
    pub(super) fn open<'a>(&self, sealed: &'a [u8]) -> Option<&'a [u8]> {
        let (body, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG_BYTES)?)?;
        hmac::verify(&self.key, body, tag).ok()?;
        Some(body)
    }
}
