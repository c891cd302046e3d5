//! What a connection proved about itself.
//!
//! Owns the names under which resume sessions are stored, and what the room policy is told of an identity.
//! Guarantees that two identities never have the same name: a token's is its issuer and subject as a JSON array, which
//! no issuer or subject can imitate. Nothing here prints the claims of a token: they may say who a person is.

use std::fmt;
use std::sync::{Arc, LazyLock};

use serde_json::value::RawValue;

use crate::quota::Holder;
use crate::revocations::{Bearer, Revocations};

static ANONYMOUS: LazyLock<Arc<str>> = LazyLock::new(|| "anonymous".into());

/// What a handshake proved.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    /// Nothing: anyone.
    Anonymous,
    /// The bearer of a token that was verified.
    Bearer(Arc<Token>),
}

impl Identity {
    /// How a resume session names the identity: only the same one may resume it.
    pub(crate) fn name(&self) -> Arc<str> {
        match self {
            Self::Anonymous => ANONYMOUS.clone(),
            Self::Bearer(token) => token.name.clone(),
        }
    }

    /// For whom limits count what it asks for; `None` is nobody but its address.
    pub(crate) fn holder(&self) -> Option<Holder> {
        match self {
            Self::Anonymous => None,
            Self::Bearer(token) => Some(Holder::Identity(token.name.clone())),
        }
    }

    /// The claims as JSON, as the room policy gets them: an object without members for whoever proved nothing.
    pub(crate) fn claims_json(&self) -> &str {
        match self {
            Self::Anonymous => "{}",
            Self::Bearer(token) => token.claims.get(),
        }
    }

    /// What revocations need to know of the token, of an identity that has one.
    pub(crate) fn bearer(&self, revocations: &Revocations) -> Option<Bearer> {
        let token = self.token()?;
        Some(revocations.bearer(token.issuer(), token.subject(), token.issued_at()))
    }

    /// Whom it is about, of an identity that says it.
    pub(crate) fn subject(&self) -> Option<Arc<str>> {
        self.token().map(|token| token.subject().into())
    }

    /// The token, of an identity that has one.
    pub(crate) fn token(&self) -> Option<&Arc<Token>> {
        match self {
            Self::Anonymous => None,
            Self::Bearer(token) => Some(token),
        }
    }
}

/// A token that was verified: its signature, its times, and its issuer and audience where those are asked for.
pub(crate) struct Token {
    issuer: Option<Box<str>>,
    subject: Box<str>,
    issued_at: Option<i64>,
    expires_at: i64,
    claims: Box<RawValue>,
    name: Arc<str>,
}

impl Token {
    /// The times are seconds since 1970. `claims` is the token's payload, an object.
    pub(crate) fn new(
        issuer: Option<Box<str>>,
        subject: Box<str>,
        issued_at: Option<i64>,
        expires_at: i64,
        claims: Box<RawValue>,
    ) -> Self {
        let name = serde_json::to_string(&(&issuer, &subject)).expect("texts are JSON");
        Self {
            issuer,
            subject,
            issued_at,
            expires_at,
            claims,
            name: name.into(),
        }
    }

    /// Who signed it, by the claim `iss`.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Whom it is about, by the claim `sub`. Never empty.
    pub(crate) fn subject(&self) -> &str {
        &self.subject
    }

    /// When it was issued, in seconds since 1970, by the claim `iat`.
    pub(crate) fn issued_at(&self) -> Option<i64> {
        self.issued_at
    }

    /// From when on it proves nothing any more, in seconds since 1970, by the claim `exp`.
    pub(crate) fn expires_at(&self) -> i64 {
        self.expires_at
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(issuer: Option<&str>, subject: &str) -> Identity {
        let claims = RawValue::from_string(r#"{"secret":1}"#.to_owned()).expect("JSON");
        let token = Token::new(issuer.map(Into::into), subject.into(), None, 1, claims);
        Identity::Bearer(Arc::new(token))
    }

    #[test]
    fn two_identities_never_have_one_name() {
        let named = [
            bearer(None, "anonymous"),
            bearer(Some("a"), "b"),
            bearer(Some("a\",\"b"), "c"),
            bearer(Some("a"), "b\",\"c"),
            bearer(Some("null"), "b"),
            bearer(None, "b"),
            bearer(Some(""), "b"),
            Identity::Anonymous,
        ];
        let names: std::collections::HashSet<_> = named.iter().map(Identity::name).collect();
        assert_eq!(names.len(), named.len(), "{names:?}");
        assert_eq!(&*bearer(Some("a"), "b").name(), r#"["a","b"]"#);
    }

    #[test]
    fn claims_are_told_to_the_policy_and_to_nobody_else() {
        let identity = bearer(None, "b");
        assert_eq!(identity.claims_json(), r#"{"secret":1}"#);
        assert!(!format!("{identity:?}").contains("secret"));
        assert_eq!(Identity::Anonymous.claims_json(), "{}");
    }
}
