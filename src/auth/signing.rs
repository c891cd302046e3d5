//! Makes tokens, for `rowcast token`. The server makes none.

use std::time::{Duration, SystemTime};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Map, Value, json};

use super::key;
use super::ring_crypto;

/// What signs a token.
pub(crate) struct Signer {
    algorithm: Algorithm,
    key: EncodingKey,
    id: Option<String>,
}

impl Signer {
    /// Signs HS256 with a shared secret.
    ///
    /// # Errors
    /// The secret is empty.
    pub(crate) fn with_secret(secret: &str) -> Result<Self, String> {
        let key = EncodingKey::from_secret(secret.as_bytes());
        Ok(Self {
            algorithm: Algorithm::HS256,
            key: key.map_err(|error| error.to_string())?,
            id: None,
        })
    }

    /// Signs with the private key of a PEM file; `id` is its name in the key set.
    ///
    /// # Errors
    /// What is wrong with the key.
    pub(crate) fn with_key(pem: &[u8], id: Option<String>) -> Result<Self, String> {
        let (algorithm, key) = key::signing_key(pem).map_err(|error| error.to_string())?;
        Ok(Self { algorithm, key, id })
    }

    /// A token of these claims, issued now, valid for `ttl`.
    ///
    /// # Errors
    /// The key can't sign.
    pub(crate) fn token(
        &self,
        mut claims: Map<String, Value>,
        ttl: Duration,
    ) -> Result<String, String> {
        ring_crypto::install();
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |now| now.as_secs());
        claims.insert("iat".to_owned(), json!(now));
        claims.insert("exp".to_owned(), json!(now + ttl.as_secs()));
        let mut header = Header::new(self.algorithm);
        header.kid.clone_from(&self.id);
        jsonwebtoken::encode(&header, &claims, &self.key).map_err(|error| error.to_string())
    }
}
