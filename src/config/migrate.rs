//! What `serve` does with migrations that the database lacks: `ROWCAST_MIGRATE`.

use super::problem::Refusal;

/// What `serve` does with migrations that are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Migrate {
    /// It applies them.
    Auto,
    /// It says that they are missing, and ends.
    Off,
}

impl Migrate {
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        match text {
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            _ => Err(Refusal::accepts("auto or off")),
        }
    }
}
