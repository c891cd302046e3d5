//! A command that was called wrongly: what it was told can't be, whatever the state of the database is.

use crate::one_line::one_line;

/// Why a command can't be meant as it was called. One line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongUsage(String);

impl WrongUsage {
    /// What is wrong, and what is accepted.
    pub(super) fn new(why: &str) -> Self {
        Self(one_line(why, |_| false).into_owned())
    }
}
