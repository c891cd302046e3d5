//! The line that a person pastes into a shell to see an event appear.
//!
//! Printed at the start and shown by the dashboard. Nothing of it runs in this process.

use crate::embedded::Embedded;

/// The contact whose conversation the line writes to.
pub(super) const CONTACT: &str = "42";

/// A call of `psql` that inserts a message.
pub(super) fn psql(embedded: &Embedded) -> String {
    embedded.psql(&format!(
        "insert into messages (contact_id, body) values ('{CONTACT}', 'Hello')"
    ))
}
