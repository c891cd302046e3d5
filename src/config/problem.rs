//! A bad value, told in one line.
//!
//! Owns the sentence's form, so that it reads the same wherever the value came from.
//! Guarantees one line per problem: values are quoted with their control characters escaped and cut
//! to a length, and the value of a secret is left out.

use std::fmt;

/// Longest value that is repeated in a message, in characters.
const SHOWN: usize = 100;

/// Why a parser did not take a value, and what it would have taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    reason: Option<String>,
    accepted: String,
}

impl Refusal {
    pub(super) fn accepts(accepted: impl Into<String>) -> Self {
        Self {
            reason: None,
            accepted: accepted.into(),
        }
    }

    pub(super) fn because(reason: impl Into<String>, accepted: impl Into<String>) -> Self {
        Self {
            reason: Some(reason.into()),
            accepted: accepted.into(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "give {}", self.accepted)
    }
}

/// One setting that could not be used. Its `Display` is one line, without a secret.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem(String);

impl Problem {
    /// `value` is `None` where it is a secret.
    pub(super) fn refused(variable: &str, value: Option<&str>, refusal: &Refusal) -> Self {
        let mut line = match value {
            Some(value) => format!("{variable}={} is not accepted", quote(value)),
            None => format!("{variable} is not accepted (its value is not shown)"),
        };
        if let Some(reason) = &refusal.reason {
            line.push_str(": ");
            line.push_str(reason);
        }
        Self(format!("{line}; {refusal}"))
    }

    pub(super) fn line(line: impl Into<String>) -> Self {
        Self(line.into())
    }
}

/// Whether this is a private key, where its file was asked for.
pub(super) fn is_private_key(value: &str) -> bool {
    value.contains("PRIVATE KEY-----")
}

/// Quotes `value` so that it stays on one line.
pub(super) fn quote(value: &str) -> String {
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}...", &value[..end]),
        None => format!("{value:?}"),
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything that was wrong with the configuration, in the order of the settings.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ConfigError(pub Vec<Problem>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}
