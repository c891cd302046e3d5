//! Numbers that a run of the suite is told from outside.

/// The number that an environment variable holds; none, where it is unset or empty.
#[expect(
    clippy::disallowed_methods,
    reason = "what the suite is told from outside it is told so"
)]
pub(crate) fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is a number: {value}")))
}
