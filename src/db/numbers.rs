//! Numbers and names that the migrations have, too. A test holds both against each other.
//!
//! `migrations/0001_outbox.sql` explains the advisory key and when nobody is notified, `migrations/0008_unusual.sql` the sizes,
//! and how a row is marked.

/// Arguments of an advisory lock. Every reader that sleeps holds it, shared: a writer who can't have it must notify.
macro_rules! sleeping_reader_key {
    () => {
        "1919903602, 1"
    };
}

/// The same of the lock that the one server holds which tells others over the relay. SQL does not know it.
macro_rules! leader_key {
    () => {
        "1919903602, 4"
    };
}

/// Bytes of a stored row that becomes jsonb without being tried first: unpacked, it can't reach jsonb's limit.
pub(super) const UNTRIED_ROW_BYTES: u32 = 16_384;
/// Bytes of a payload that is sent whole at most, out of a row that is whole.
pub(super) const WHOLE_PAYLOAD_BYTES: u32 = 16_777_216;
/// The member of a row's JSON that says whether the row is whole or had values replaced.
pub(super) const CAREFUL_MEMBER: &str =
    "rowcast:careful, a member with a name that no column of a table can have";
/// How the text begins that stands in for a value which can't be sent.
pub(super) const STAND_IN: &str = "rowcast:stand-in:";

/// The share of the NOTIFY queue from which on nothing of ours is added to it.
macro_rules! notify_queue_limit {
    () => {
        "0.5"
    };
}

/// Makes names mean Postgres's own things until the transaction ends, where the connection itself can't have that setting.
macro_rules! pin_names {
    () => {
        "set local search_path = pg_catalog, pg_temp"
    };
}

pub(super) use {leader_key, notify_queue_limit, pin_names, sleeping_reader_key};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_migrations() {
        let outbox = include_str!("../../migrations/0001_outbox.sql");
        let key = sleeping_reader_key!();
        assert!(outbox.contains(&format!("--   ({key})  ")), "{key}");
        let unusual = include_str!("../../migrations/0008_unusual.sql");
        for bytes in [UNTRIED_ROW_BYTES, WHOLE_PAYLOAD_BYTES] {
            assert!(unusual.contains(&format!("--{bytes:>11}  ")), "{bytes}");
        }
        let marked = include_str!("../../migrations/0011_capture.sql");
        assert!(marked.contains(&format!("not origin ? '{CAREFUL_MEMBER}' then data")));
        assert!(CAREFUL_MEMBER.len() > 63, "no column's name");
        assert!(unusual.contains(&format!("      '{STAND_IN}'::pg_catalog.text ")));
        assert!(outbox.contains(&format!("'{}'::pg_catalog.float8", notify_queue_limit!())));
    }
}
