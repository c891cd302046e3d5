//! Whether what a token proved still stands: asked when it is shown, and again wherever something is given for it later.

use super::{ConnectError, Identity};
use crate::revocations::{Revocations, Revoked};

/// Decides whether a token that was verified is still good.
///
/// # Errors
/// What it proved was revoked, or it is older than revocations are kept.
pub(crate) fn check_not_revoked(
    identity: &Identity,
    revocations: &Revocations,
) -> Result<(), ConnectError> {
    let bearer = identity.bearer(revocations);
    match bearer.and_then(|bearer| revocations.of(&bearer)) {
        None => Ok(()),
        Some(Revoked::Revoked) => Err(ConnectError::Unauthorized),
        Some(Revoked::TooOld) => Err(ConnectError::TokenExpired),
    }
}
