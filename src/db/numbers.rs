//! Numbers that the migrations have, too. A test holds both against each other.
//!
//! `migrations/0001_outbox.sql` explains the advisory keys, `migrations/0004_capture.sql` explains the sizes.

/// Arguments of an advisory lock. Every reader that sleeps holds it, shared: a writer who can't have it must notify.
macro_rules! sleeping_reader_key {
    () => {
        "1919903602, 1"
    };
}

/// Arguments of an advisory lock. The one server that is removing old events holds it.
macro_rules! pruning_key {
    () => {
        "1919903602, 2"
    };
}

/// Bytes of a stored row that becomes jsonb without being tried first: unpacked, it can't reach jsonb's limit.
pub(super) const UNTRIED_ROW_BYTES: u32 = 16_384;
/// Bytes of a payload that is sent whole at most, out of a row that is whole.
pub(super) const WHOLE_PAYLOAD_BYTES: u32 = 16_777_216;
/// Bytes of a payload at most that has no stand-in for a large value in it, out of a row that may have some.
pub(super) const BOUNDED_PAYLOAD_BYTES: u32 = 4_096;

pub(super) use {pruning_key, sleeping_reader_key};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_migrations() {
        let outbox = include_str!("../../migrations/0001_outbox.sql");
        for key in [sleeping_reader_key!(), pruning_key!()] {
            assert!(outbox.contains(&format!("--   ({key})  ")), "{key}");
        }
        let capture = include_str!("../../migrations/0004_capture.sql");
        for bytes in [
            UNTRIED_ROW_BYTES,
            WHOLE_PAYLOAD_BYTES,
            BOUNDED_PAYLOAD_BYTES,
        ] {
            assert!(capture.contains(&format!("--{bytes:>11}  ")), "{bytes}");
        }
    }
}
