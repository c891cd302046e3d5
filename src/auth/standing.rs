//! Whether what a token proved still stands: asked when it is shown, and again wherever something is given for it later.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::sleep;

use super::{ConnectError, Identity, Token};
use crate::revocations::{RevocationWatch, Revocations, Revoked};

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

/// Decides whether a token that was verified has not ended since. It is accepted for `leeway` after its end.
///
/// # Errors
/// It has.
pub(crate) fn check_not_expired(
    identity: &Identity,
    leeway: Option<Duration>,
) -> Result<(), ConnectError> {
    match (identity.token(), leeway) {
        (Some(token), Some(leeway)) if left(token, leeway).is_zero() => {
            Err(ConnectError::TokenExpired)
        }
        _ => Ok(()),
    }
}

/// How long a token is still accepted.
fn left(token: &Token, leeway: Duration) -> Duration {
    let end = u64::try_from(token.expires_at()).unwrap_or_default();
    // Also in the second of its end.
    let end = Duration::from_secs(end.saturating_add(1)).saturating_add(leeway);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    end.saturating_sub(now.unwrap_or_default())
}

/// Waits for the moment at which what an identity proved may stand no more, for who gives something later.
pub(crate) struct StandingWatch {
    revocation: Option<RevocationWatch>,
    expiry: Option<(Arc<Token>, Duration)>,
}

impl StandingWatch {
    /// Begins. What was before has to be asked for after this.
    pub(crate) fn begin(
        identity: &Identity,
        leeway: Option<Duration>,
        revocations: &Arc<Revocations>,
    ) -> Self {
        let bearer = identity.bearer(revocations);
        Self {
            revocation: bearer.map(|bearer| revocations.watch(&bearer)),
            expiry: identity.token().cloned().zip(leeway),
        }
    }

    /// Returns when it has to be asked again: a right of the subject was revoked, or the token has ended.
    pub(crate) async fn shaken(&mut self) {
        let revoked = async {
            match &mut self.revocation {
                Some(watch) => watch.next().await,
                None => pending().await,
            }
        };
        let ended = async {
            match &self.expiry {
                Some((token, leeway)) => sleep(left(token, *leeway)).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = revoked => {}
            () = ended => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn ending_in(seconds: i64) -> Identity {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = i64::try_from(now.expect("after 1970").as_secs()).expect("a time");
        let claims = RawValue::from_string("{}".to_owned()).expect("JSON");
        let end = now.saturating_add(seconds);
        Identity::Bearer(Arc::new(Token::new(None, "a".into(), None, end, claims)))
    }

    #[test]
    fn a_token_is_accepted_for_its_leeway_and_not_for_longer() {
        let accepted = |seconds, leeway| {
            let leeway = Some(Duration::from_secs(leeway));
            check_not_expired(&ending_in(seconds), leeway).is_ok()
        };
        assert!(accepted(10, 0) && accepted(-20, 30) && accepted(i64::MAX, u64::MAX));
        assert!(!accepted(-10, 0) && !accepted(-40, 30) && !accepted(i64::MIN, 0));
        assert!(check_not_expired(&Identity::Anonymous, None).is_ok());
    }
}
