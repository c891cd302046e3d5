//! What befalls Postgres as a whole.

/// How many are planted here.
pub(super) const FAULTS: usize = 3;
