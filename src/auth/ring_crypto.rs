//! The cryptography of tokens: ring, which rustls brings anyway, behind the seam that `jsonwebtoken` leaves for it.
//!
//! Why it exists: that crate comes with two other libraries of cryptography to choose from, and a binary with two of them has
//! two to keep up to date. Offers HS256, RS256, ES256 and EdDSA with Ed25519, and refuses every other algorithm.
//! Owns no decision: which key and which algorithm a token needs is decided in `verifier`.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{Error as SignatureError, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    Ed25519KeyPair, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use ring::{error, hmac};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes ring the cryptography of every token in this process. May be called again.
pub(super) fn install() {
    // An error says that it is installed already.
    let _ = PROVIDER.install_default();
}

/// A key and the one algorithm that it is for.
struct Keyed<K> {
    algorithm: Algorithm,
    key: K,
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    if key.family() != algorithm.family() || !is_offered(*algorithm) {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    Ok(Box::new(Keyed {
        algorithm: *algorithm,
        key: key.clone(),
    }))
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    if key.family() != algorithm.family() || !is_offered(*algorithm) {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    Ok(Box::new(Keyed {
        algorithm: *algorithm,
        key: key.clone(),
    }))
}

fn is_offered(algorithm: Algorithm) -> bool {
    matches!(
        algorithm,
        Algorithm::HS256 | Algorithm::RS256 | Algorithm::ES256 | Algorithm::EdDSA
    )
}

impl Keyed<DecodingKey> {
    fn is_signed(
        &self,
        message: &[u8],
        signature: &[u8],
    ) -> std::result::Result<(), error::Unspecified> {
        let public = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(algorithm, key).verify(message, signature)
        };
        match (self.algorithm, self.key.kind()) {
            (Algorithm::HS256, DecodingKeyKind::SecretOrDer(secret)) => hmac::verify(
                &hmac::Key::new(hmac::HMAC_SHA256, secret),
                message,
                signature,
            ),
            (Algorithm::RS256, DecodingKeyKind::SecretOrDer(key)) => {
                public(&RSA_PKCS1_2048_8192_SHA256, key)
            }
            (Algorithm::RS256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            }
            (Algorithm::ES256, DecodingKeyKind::SecretOrDer(key)) => {
                public(&ECDSA_P256_SHA256_FIXED, key)
            }
            (Algorithm::EdDSA, DecodingKeyKind::SecretOrDer(key)) => public(&ED25519, key),
            _ => Err(error::Unspecified),
        }
    }
}

impl Verifier<Vec<u8>> for Keyed<DecodingKey> {
    fn verify(
        &self,
        message: &[u8],
        signature: &Vec<u8>,
    ) -> std::result::Result<(), SignatureError> {
        self.is_signed(message, signature)
            .map_err(|_| SignatureError::new())
    }
}

impl JwtVerifier for Keyed<DecodingKey> {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Keyed<EncodingKey> {
    /// `None`: the key is not one for the algorithm.
    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let (key, random) = (self.key.as_bytes(), SystemRandom::new());
        Some(match self.algorithm {
            Algorithm::HS256 => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, key);
                hmac::sign(&key, message).as_ref().to_vec()
            }
            Algorithm::RS256 => {
                let pair = RsaKeyPair::from_pkcs8(key).ok()?;
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .ok()?;
                signature
            }
            Algorithm::ES256 => {
                let curve = &ECDSA_P256_SHA256_FIXED_SIGNING;
                let pair = EcdsaKeyPair::from_pkcs8(curve, key, &random).ok()?;
                pair.sign(&random, message).ok()?.as_ref().to_vec()
            }
            Algorithm::EdDSA => {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key).ok()?;
                pair.sign(message).as_ref().to_vec()
            }
            _ => return None,
        })
    }
}

impl Signer<Vec<u8>> for Keyed<EncodingKey> {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, SignatureError> {
        self.sign(message).ok_or_else(SignatureError::new)
    }
}

impl JwtSigner for Keyed<EncodingKey> {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
