//! The keys that tokens are verified with.
//!
//! Owns what a key may be: each has one algorithm, which follows from the key and never from a token. Refuses keys that are too
//! short, and keys that can sign. `pem` reads them from PEM, `jwks` from a JSON Web Key Set.

mod jwks;
mod pem;

use jsonwebtoken::{Algorithm, DecodingKey};

pub(crate) use jwks::jwks;
pub(crate) use pem::{public_keys, signing_key};

/// Keys of one set at most: each token without a key id is tried with all of them.
const MAX_KEYS: usize = 50;
/// The shortest RSA modulus (RFC 7518, section 3.3) and the longest one that ring verifies.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;
/// A point of P-256, not compressed (SEC 1, section 2.3.3).
const P256_POINT_BYTES: usize = 65;
/// A public key of Ed25519 (RFC 8032, section 5.1.5).
const ED25519_BYTES: usize = 32;

/// One key, and the one algorithm that it verifies.
#[derive(Clone, Debug)]
pub(crate) struct VerifyingKey {
    pub(super) algorithm: Algorithm,
    /// Its name in a key set, which a token may refer to as `kid`.
    pub(super) id: Option<Box<str>>,
    pub(super) key: DecodingKey,
}

/// Every key that is valid now. Tokens are verified with any of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct KeySet(pub(super) Vec<VerifyingKey>);

/// Why a key can't be used, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadKey(pub(super) String);

impl VerifyingKey {
    /// A shared secret, for HS256.
    pub(crate) fn secret(secret: &[u8]) -> Result<Self, BadKey> {
        let key = DecodingKey::from_secret(secret).map_err(|_| bad("the secret is empty"))?;
        Ok(Self {
            algorithm: Algorithm::HS256,
            id: None,
            key,
        })
    }

    /// RS256, with the key as PKCS #1 has it (RFC 8017, appendix A.1.1).
    fn rsa(der: &[u8], modulus_bytes: usize) -> Result<Self, BadKey> {
        check_rsa(modulus_bytes)?;
        Ok(Self {
            algorithm: Algorithm::RS256,
            id: None,
            key: DecodingKey::from_rsa_der(der),
        })
    }

    /// ES256, with the point as SEC 1 has it.
    pub(super) fn p256(point: &[u8]) -> Result<Self, BadKey> {
        if point.len() != P256_POINT_BYTES || point[0] != 4 {
            return Err(bad("it is no whole point of the curve P-256"));
        }
        Ok(Self {
            algorithm: Algorithm::ES256,
            id: None,
            key: DecodingKey::from_ec_der(point),
        })
    }

    /// EdDSA.
    pub(super) fn ed25519(key: &[u8]) -> Result<Self, BadKey> {
        if key.len() != ED25519_BYTES {
            return Err(bad("a key of Ed25519 has 32 bytes"));
        }
        Ok(Self {
            algorithm: Algorithm::EdDSA,
            id: None,
            key: DecodingKey::from_ed_der(key),
        })
    }
}

impl KeySet {
    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The algorithms of the keys, for the log.
    pub(crate) fn algorithms(&self) -> String {
        let mut names: Vec<_> = self
            .0
            .iter()
            .map(|key| format!("{:?}", key.algorithm))
            .collect();
        names.sort();
        names.dedup();
        names.join(", ")
    }
}

fn check_rsa(modulus_bytes: usize) -> Result<(), BadKey> {
    if RSA_BYTES.contains(&modulus_bytes) {
        return Ok(());
    }
    Err(bad(format!(
        "an RSA key needs 2048 to 8192 bits, and this one has {}",
        modulus_bytes * 8
    )))
}

fn bad(reason: impl Into<String>) -> BadKey {
    BadKey(reason.into())
}
