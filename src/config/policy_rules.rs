//! How `rowcast.may_join` is asked: how long it may take, and how long its answer is good for.

use std::time::Duration;

use super::lookup::SettingLookup;
use super::quantity;

/// How `rowcast.may_join` is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PolicyRules {
    /// Whether it is asked at all: `ROWCAST_AUTH` is `jwt`.
    pub is_asked: bool,
    /// `ROWCAST_POLICY_TIMEOUT`: how long it may take for a question.
    pub timeout: Duration,
    /// `ROWCAST_POLICY_LEASE`: how long an answer is good for while the client stays in the room.
    pub lease: Duration,
}

impl PolicyRules {
    pub(super) fn resolve(read: &mut SettingLookup<'_>) -> Self {
        Self {
            // `auth` refuses what it can't be.
            is_asked: read.optional("ROWCAST_AUTH", |text| Ok(text == "jwt")) == Some(true),
            timeout: read.value("ROWCAST_POLICY_TIMEOUT", |text| {
                quantity::duration(text, quantity::POLICY_TIMEOUT)
            }),
            lease: read.value("ROWCAST_POLICY_LEASE", |text| {
                quantity::duration(text, quantity::POLICY_LEASE)
            }),
        }
    }
}
