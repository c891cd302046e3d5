//! Whether a token proves what it says.
//!
//! Guarantees that the algorithm follows from a key of ours and never from the token, which only has to name the same one; that a
//! token which says where to find its key (`jku`, `x5u`, `jwk`) or asks for an extension (`crit`) is refused; and that a time limit
//! is told only to whom the signature has proved right.
//! Reads the keys that are valid now from a channel. A token with an unknown key asks for newer ones, and waits for none:
//! its bearer is told to come back, until the keys were read once more.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Header, Validation};
use serde_json::value::RawValue;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

mod asked_keys;

use super::key::{KeySet, VerifyingKey};
use super::{Token, claims, ring_crypto};
use asked_keys::AskedKeys;

/// No token is longer: it has to fit into a header beside others.
pub(crate) const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Of a token's own words in a message.
const MAX_SHOWN: usize = 40;

/// What is asked of a token beside a signature.
#[derive(Clone, Debug, Default)]
pub(crate) struct TokenRules {
    /// `iss` must be one of these, where there are some.
    pub issuers: Vec<String>,
    /// `aud` must have one of these, where there are some.
    pub audiences: Vec<String>,
    /// How far clocks may be apart.
    pub leeway: Duration,
}

/// The keys, and how old they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    pub(super) set: Arc<KeySet>,
    /// Until when a key that is not in the set is unknown, and no newer set has to be asked for; `None` if for ever.
    pub(super) complete_until: Option<Instant>,
    /// When the reading of the set began, where another one may have more keys.
    pub(super) read_at: Option<Instant>,
    /// Whether there are no keys, and it is not the token's fault.
    pub(super) missing: bool,
}

/// Verifies tokens. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Verifier {
    keys: watch::Receiver<Keys>,
    /// Asks for newer keys.
    wanted: Arc<Notify>,
    asked: Arc<AskedKeys>,
    validation: Arc<Validation>,
}

/// Why a token is refused, in words for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("there is no token")]
    Missing,
    #[error("the token is none: {0}")]
    Malformed(&'static str),
    #[error("the token's header has {0}, which is not accepted")]
    Header(&'static str),
    #[error("the token's alg is {0}, which is not that of a key: {1}")]
    Algorithm(String, String),
    #[error("the token's key, kid {0}, is unknown")]
    UnknownKey(String),
    #[error("the token's key, kid {0}, is not known yet: newer keys are asked for")]
    KeyNotYet(String),
    #[error("the keys are not there yet")]
    NoKeys,
    #[error("the token's signature is by no key of ours")]
    Signature,
    #[error("the token has expired")]
    Expired,
    #[error("the token's nbf lies ahead")]
    NotYet,
    #[error("the token's iss is not ROWCAST_JWT_ISSUER")]
    Issuer,
    #[error("the token's aud has not ROWCAST_JWT_AUDIENCE")]
    Audience,
    #[error("the token can't be used: {0}")]
    Claims(String),
}

impl TokenError {
    /// One word, for the metric.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "no_token",
            Self::Malformed(_) => "malformed",
            Self::Header(_) => "header",
            Self::Algorithm(..) => "algorithm",
            Self::UnknownKey(_) => "unknown_key",
            Self::KeyNotYet(_) | Self::NoKeys => "no_key_yet",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Claims(_) => "claims",
        }
    }
}

impl Verifier {
    /// Verifies with the `keys` that are valid, by these rules. `wanted` is notified when a key is unknown.
    pub(crate) fn new(
        keys: watch::Receiver<Keys>,
        wanted: Arc<Notify>,
        rules: &TokenRules,
    ) -> Self {
        ring_crypto::install();
        let mut validation = Validation::default();
        let mut required = HashSet::from(["exp".to_owned(), "sub".to_owned()]);
        validation.leeway = rules.leeway.as_secs();
        validation.validate_nbf = true;
        validation.validate_aud = !rules.audiences.is_empty();
        if !rules.audiences.is_empty() {
            validation.set_audience(&rules.audiences);
            required.insert("aud".to_owned());
        }
        if !rules.issuers.is_empty() {
            validation.set_issuer(&rules.issuers);
            required.insert("iss".to_owned());
        }
        validation.required_spec_claims = required;
        Self {
            keys,
            wanted,
            asked: Arc::default(),
            validation: Arc::new(validation),
        }
    }

    /// How far clocks may be apart.
    pub(crate) fn leeway(&self) -> Duration {
        Duration::from_secs(self.validation.leeway)
    }

    /// Verifies a token.
    ///
    /// # Errors
    /// Why it proves nothing.
    pub(crate) fn verify(&self, token: &str) -> Result<Token, TokenError> {
        let header = header(token)?;
        let keys = self.keys.borrow().clone();
        if keys.missing {
            return Err(TokenError::NoKeys);
        }
        let named: Vec<_> = keys.set.named(header.kid.as_deref()).collect();
        if named.is_empty() {
            return Err(self.unknown_key(&keys, header.kid.as_deref()));
        }
        let mut candidates = named
            .iter()
            .filter(|key| key.algorithm == header.alg)
            .peekable();
        if candidates.peek().is_none() {
            let algorithm = format!("{:?}", header.alg);
            return Err(TokenError::Algorithm(algorithm, keys.set.algorithms()));
        }
        for key in candidates {
            match self.verify_with(token, key) {
                Err(TokenError::Signature) => {}
                verified => return verified,
            }
        }
        Err(TokenError::Signature)
    }

    fn verify_with(&self, token: &str, key: &VerifyingKey) -> Result<Token, TokenError> {
        let mut validation = (*self.validation).clone();
        validation.algorithms = vec![key.algorithm];
        let payload = jsonwebtoken::decode::<Box<RawValue>>(token, &key.key, &validation)
            .map_err(|error| refused(error.kind()))?
            .claims;
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |now| now.as_secs());
        let leeway = self.validation.leeway;
        claims::read(payload, now as i64, leeway as i64).map_err(TokenError::Claims)
    }

    fn unknown_key(&self, keys: &Keys, id: Option<&str>) -> TokenError {
        let (id, now) = (shown(id.unwrap_or("none")), Instant::now());
        match (keys.complete_until, keys.read_at) {
            (None, _) => return TokenError::UnknownKey(id),
            (Some(until), _) if now >= until => self.asked.forget(&id),
            (_, Some(read_at)) if !self.asked.is_none(&id, read_at, now) => {}
            _ => return TokenError::UnknownKey(id),
        }
        self.wanted.notify_one();
        TokenError::KeyNotYet(id)
    }
}

impl KeySet {
    /// The keys that a token may be verified with which names this one: those of that name, or else those without a name; all of
    /// them for a token that names none.
    fn named<'a>(&'a self, id: Option<&'a str>) -> impl Iterator<Item = &'a VerifyingKey> {
        let is_known = id.is_some_and(|id| self.0.iter().any(|key| key.id.as_deref() == Some(id)));
        self.0.iter().filter(move |key| match id {
            None => true,
            Some(_) if is_known => key.id.as_deref() == id,
            Some(_) => key.id.is_none(),
        })
    }
}

/// The header of a token that may be looked at further.
fn header(token: &str) -> Result<Header, TokenError> {
    if token.is_empty() {
        return Err(TokenError::Missing);
    }
    if token.len() > MAX_TOKEN_BYTES {
        return Err(TokenError::Malformed("it has more than 8 KB"));
    }
    let header = jsonwebtoken::decode_header(token).map_err(|error| match error.kind() {
        ErrorKind::Json(_) => {
            TokenError::Malformed("its header is not understood, or its alg is unknown")
        }
        _ => TokenError::Malformed("it is not header.payload.signature, each in base64url"),
    })?;
    let refused = [
        ("crit", header.crit.is_some()),
        ("jku", header.jku.is_some()),
        ("jwk", header.jwk.is_some()),
        ("x5u", header.x5u.is_some()),
        ("enc", header.enc.is_some()),
        ("zip", header.zip.is_some()),
        ("b64", header.extras.inner().contains_key("b64")),
    ];
    match refused.into_iter().find(|(_, is_there)| *is_there) {
        Some((name, _)) => Err(TokenError::Header(name)),
        None => Ok(header),
    }
}

fn refused(error: &ErrorKind) -> TokenError {
    match error {
        ErrorKind::InvalidSignature => TokenError::Signature,
        ErrorKind::ExpiredSignature => TokenError::Expired,
        ErrorKind::ImmatureSignature => TokenError::NotYet,
        ErrorKind::InvalidIssuer => TokenError::Issuer,
        ErrorKind::InvalidAudience => TokenError::Audience,
        ErrorKind::MissingRequiredClaim(name) => {
            TokenError::Claims(format!("it has no {name}, or one of the wrong type"))
        }
        ErrorKind::InvalidClaimFormat(name) => {
            TokenError::Claims(format!("its {name} is of the wrong type"))
        }
        ErrorKind::Json(_) => TokenError::Claims("its payload is not understood".to_owned()),
        ErrorKind::InvalidAlgorithm => TokenError::Malformed("its alg is not accepted"),
        _ => TokenError::Malformed("it is not header.payload.signature, each in base64url"),
    }
}

/// A stranger's words, escaped and cut.
fn shown(text: &str) -> String {
    format!("{:?}", text.chars().take(MAX_SHOWN).collect::<String>())
}

#[cfg(test)]
mod tests;
