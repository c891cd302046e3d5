//! Decides on a handshake and on a request over HTTP: who asks, and from which page.

use axum::http::request::Parts;
use serde_json::Value;

use super::{Identity, OriginPolicy};

/// Why a connection is refused: the `connect_error` message that the client sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConnectError {
    /// A browser's page of another site.
    #[error("origin_not_allowed")]
    OriginNotAllowed,
    /// No token, or one that proves nothing.
    #[error("unauthorized")]
    Unauthorized,
    /// A token whose time is over.
    #[error("token_expired")]
    TokenExpired,
    /// The keys that tell are not there yet.
    #[error("unavailable")]
    Unavailable,
}

impl ConnectError {
    /// Whether the same client, with the same token, may be let in a moment later.
    pub(crate) fn is_retryable(self) -> bool {
        matches!(self, Self::Unavailable)
    }
}

/// Finds out who connects, and who asks over HTTP. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Authenticator {
    origin_policy: OriginPolicy,
}

impl Authenticator {
    /// Lets in whose page is allowed.
    pub(crate) fn new(origin_policy: OriginPolicy) -> Self {
        Self { origin_policy }
    }

    /// Decides on a handshake, whose CONNECT packet said `auth`, or on a request over HTTP, which has none.
    ///
    /// # Errors
    /// Why the client is refused.
    #[expect(
        clippy::unused_async,
        reason = "keys that are not there yet are waited for"
    )]
    pub(crate) async fn authenticate(
        &self,
        parts: &Parts,
        _auth: Option<&Value>,
    ) -> Result<Identity, ConnectError> {
        if !self.origin_policy.may_connect(&parts.headers) {
            return Err(ConnectError::OriginNotAllowed);
        }
        Ok(Identity::Anonymous)
    }
}
