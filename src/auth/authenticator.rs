//! Decides on a handshake and on a request over HTTP: who asks, and from which page.
//!
//! Guarantees that who is refused learns one word and whether it is of use to come back; why, in words, is told by the log, now and
//! then, and counted in the metrics. A token is never in either.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::request::Parts;
use serde_json::Value;
use tokio::time::Instant;

use super::presented::{names_its_page, presented};
use super::verifier::TokenError;
use super::{HostRefused, Identity, OriginPolicy, Verifier};
use crate::metrics::Metrics;

/// Between two lines of the log about clients that were refused.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(10);

/// Why a connection is refused: the `connect_error` message that the client sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConnectError {
    /// A browser's page of another site.
    #[error("origin_not_allowed")]
    OriginNotAllowed,
    /// A browser that was told a name which is none of the server's.
    #[error("host_not_allowed")]
    HostNotAllowed,
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
    /// What a client may do about it, as JSON: `retryable` if the same attempt may go well a moment later, `refresh` if another
    /// token may.
    pub(crate) fn data(self) -> &'static str {
        match self {
            Self::OriginNotAllowed | Self::HostNotAllowed => {
                r#"{"retryable":false,"refresh":false}"#
            }
            Self::Unauthorized | Self::TokenExpired => r#"{"retryable":false,"refresh":true}"#,
            Self::Unavailable => r#"{"retryable":true,"refresh":false}"#,
        }
    }
}

/// Finds out who connects, and who asks over HTTP. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Authenticator {
    origin_policy: OriginPolicy,
    tokens: Option<Arc<Tokens>>,
    metrics: Metrics,
}

/// How tokens are taken.
struct Tokens {
    verifier: Verifier,
    cookie: Option<String>,
    refusals: Mutex<Refusals>,
}

/// Tokens that were refused.
#[derive(Default)]
struct Refusals {
    told: Option<Instant>,
    untold: u64,
}

impl Authenticator {
    /// Lets in whose page is allowed, and asks for no token.
    pub(crate) fn anonymous(origin_policy: OriginPolicy, metrics: Metrics) -> Self {
        Self {
            origin_policy,
            tokens: None,
            metrics,
        }
    }

    /// Lets in whose page is allowed and whose token proves who it is. `cookie` may carry one.
    pub(crate) fn by_token(
        origin_policy: OriginPolicy,
        verifier: Verifier,
        cookie: Option<String>,
        metrics: Metrics,
    ) -> Self {
        let tokens = Tokens {
            verifier,
            cookie,
            refusals: Mutex::default(),
        };
        Self {
            origin_policy,
            tokens: Some(Arc::new(tokens)),
            metrics,
        }
    }

    /// Decides on a handshake, whose CONNECT packet said `auth`, or on a request over HTTP, which has none.
    ///
    /// # Errors
    /// Why the client is refused.
    #[expect(
        clippy::unused_async,
        reason = "what else decides on an identity may have to ask the database"
    )]
    pub(crate) async fn authenticate(
        &self,
        parts: &Parts,
        auth: Option<&Value>,
    ) -> Result<Identity, ConnectError> {
        if parts.extensions.get::<HostRefused>().is_some() {
            self.metrics.refusals("host");
            return Err(ConnectError::HostNotAllowed);
        }
        if !self.origin_policy.may_connect(&parts.headers) {
            self.metrics.refusals("origin");
            return Err(ConnectError::OriginNotAllowed);
        }
        let Some(tokens) = &self.tokens else {
            return Ok(Identity::Anonymous);
        };
        let presented = presented(&parts.headers, auth, tokens.cookie.as_deref())
            .map_err(|error| self.refused(tokens, &error))?;
        if presented.is_ambient && !names_its_page(&parts.headers) {
            self.metrics.refusals("no_origin");
            tokens.complain("a token in a cookie, and no origin that says whose page it is");
            return Err(ConnectError::OriginNotAllowed);
        }
        self.verified(tokens, presented.token)
    }

    /// Whether a connected client may go on with this token: it is valid, and of the same issuer and subject.
    ///
    /// # Errors
    /// Why it may not.
    pub(crate) fn refresh(
        &self,
        identity: &Identity,
        token: &str,
    ) -> Result<Identity, ConnectError> {
        let Some(tokens) = &self.tokens else {
            return Ok(identity.clone());
        };
        let refreshed = self.verified(tokens, token)?;
        if refreshed.name() != identity.name() {
            self.metrics.refusals("other_subject");
            tokens.complain("auth:refresh with a token of another issuer or subject");
            return Err(ConnectError::Unauthorized);
        }
        Ok(refreshed)
    }

    /// How long after its end a token is still accepted; `None` where none is asked for.
    pub(crate) fn leeway(&self) -> Option<Duration> {
        Some(self.tokens.as_ref()?.verifier.leeway())
    }

    fn verified(&self, tokens: &Tokens, token: &str) -> Result<Identity, ConnectError> {
        match tokens.verifier.verify(token) {
            Ok(token) => Ok(Identity::Bearer(Arc::new(token))),
            Err(error) => Err(self.refused(tokens, &error)),
        }
    }

    fn refused(&self, tokens: &Tokens, error: &TokenError) -> ConnectError {
        self.metrics.refusals(error.reason());
        tokens.complain(&error.to_string());
        error.into()
    }
}

impl From<&TokenError> for ConnectError {
    fn from(error: &TokenError) -> Self {
        match error {
            TokenError::Expired => Self::TokenExpired,
            TokenError::KeyNotYet(_) | TokenError::NoKeys => Self::Unavailable,
            _ => Self::Unauthorized,
        }
    }
}

impl Tokens {
    /// Says why a client was refused. Sampled: a client whose token is refused may try again and again.
    fn complain(&self, reason: &str) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.untold += 1;
        let is_recent = |told: Instant| told.elapsed() < COMPLAINT_PAUSE;
        if refusals.told.is_some_and(is_recent) {
            return;
        }
        refusals.told = Some(Instant::now());
        let count = std::mem::take(&mut refusals.untold);
        drop(refusals);
        tracing::warn!(
            count,
            reason,
            "refused {count} times since the last line like this, the last for: {reason}; rowcast token --check says it of a token"
        );
    }
}
