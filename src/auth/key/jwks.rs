//! A JSON Web Key Set (RFC 7517).
//!
//! Takes the keys that verify RS256, ES256 and EdDSA, and leaves the others out: a set may hold keys for encryption, and of kinds
//! that are not known here. Guarantees that a set with no key to use is an error, so that a page which is no key set, or an empty
//! one, never replaces keys that are valid. A shared secret in a set is never used: whoever can read the set could sign.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use serde::Deserialize;
use serde_json::Value;

use super::{BadKey, KeySet, MAX_KEYS, VerifyingKey, bad, check_rsa};

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

/// Reads a set. Also says why keys of it are left out, a sentence each.
pub(crate) fn jwks(text: &[u8]) -> Result<(KeySet, Vec<String>), BadKey> {
    let document: Document = serde_json::from_slice(text)
        .map_err(|error| bad(format!("it is no JSON Web Key Set: {}", kind_of(&error))))?;
    if document.keys.len() > MAX_KEYS {
        return Err(bad(format!(
            "it has {} keys, and {MAX_KEYS} are taken at most",
            document.keys.len()
        )));
    }
    let (mut set, mut left_out) = (KeySet::default(), Vec::new());
    for (index, key) in document.keys.into_iter().enumerate() {
        match verifying_key(key) {
            Ok(key) => set.0.push(key),
            Err(BadKey(reason)) => left_out.push(format!("key {}: {reason}", index + 1)),
        }
    }
    if set.0.is_empty() {
        let why = left_out.first().map_or("it is empty", |reason| reason);
        return Err(bad(format!(
            "it has no key that verifies RS256, ES256 or EdDSA: {why}"
        )));
    }
    Ok((set, left_out))
}

/// What is wrong with a document, without a word of it.
fn kind_of(error: &serde_json::Error) -> String {
    format!("{:?} error at line {}", error.classify(), error.line()).to_lowercase()
}

fn verifying_key(key: Value) -> Result<VerifyingKey, BadKey> {
    let jwk: Jwk =
        serde_json::from_value(key).map_err(|_| bad("it is no JSON Web Key that is known here"))?;
    let common = &jwk.common;
    if common
        .public_key_use
        .as_ref()
        .is_some_and(|purpose| *purpose != PublicKeyUse::Signature)
    {
        return Err(bad("its use is not sig"));
    }
    if common
        .key_operations
        .as_ref()
        .is_some_and(|operations| !operations.contains(&KeyOperations::Verify))
    {
        return Err(bad("its key_ops have no verify"));
    }
    let (mut key, algorithm) = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) => {
            let (modulus, exponent) = (decode(&rsa.n)?, decode(&rsa.e)?);
            check_rsa(modulus.iter().skip_while(|byte| **byte == 0).count())?;
            let key = VerifyingKey {
                algorithm: jsonwebtoken::Algorithm::RS256,
                id: None,
                key: DecodingKey::from_rsa_raw_components(&modulus, &exponent),
            };
            (key, KeyAlgorithm::RS256)
        }
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => {
            let point = [vec![4], decode(&ec.x)?, decode(&ec.y)?].concat();
            (VerifyingKey::p256(&point)?, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => (
            VerifyingKey::ed25519(&decode(&pair.x)?)?,
            KeyAlgorithm::EdDSA,
        ),
        AlgorithmParameters::OctetKey(_) => {
            return Err(bad("a shared secret has no place in a key set"));
        }
        _ => return Err(bad("its kty and crv are not supported")),
    };
    if common.key_algorithm.is_some_and(|named| named != algorithm) {
        return Err(bad(format!("its alg is not {algorithm}")));
    }
    key.id = common.key_id.as_deref().map(Into::into);
    Ok(key)
}

fn decode(text: &str) -> Result<Vec<u8>, BadKey> {
    URL_SAFE_NO_PAD
        .decode(text.trim_end_matches('='))
        .map_err(|_| bad("a member is not base64url"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(keys: &Value) -> Result<(KeySet, Vec<String>), BadKey> {
        jwks(json!({ "keys": keys }).to_string().as_bytes())
    }

    /// RFC 8037, appendix A.2.
    fn ed25519(more: &Value) -> Value {
        let mut key = json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        let more = more.as_object().expect("an object").clone();
        key.as_object_mut().expect("an object").extend(more);
        key
    }

    #[test]
    fn keys_that_cannot_be_used_are_left_out_and_named() {
        let short = URL_SAFE_NO_PAD.encode([1; 128]);
        let keys = json!([
            ed25519(&json!({ "kid": "a", "use": "sig", "alg": "EdDSA" })),
            ed25519(&json!({ "use": "enc" })),
            ed25519(&json!({ "key_ops": ["sign"] })),
            ed25519(&json!({ "alg": "RS256" })),
            ed25519(&json!({ "x": "AA" })),
            { "kty": "oct", "k": "c2VjcmV0" },
            { "kty": "RSA", "n": short, "e": "AQAB" },
            { "kty": "EC", "crv": "P-384", "x": "AA", "y": "AA" },
            { "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" },
            { "kty": "mystery" },
            7,
        ]);
        let (found, left_out) = set(&keys).expect("one of them is good");
        assert_eq!(found.len(), 1);
        assert_eq!(found.0[0].id.as_deref(), Some("a"));
        assert_eq!(left_out.len(), 10, "{left_out:?}");
        assert!(left_out[5].contains("1024"), "{left_out:?}");
    }

    #[test]
    fn what_has_no_key_is_an_error_that_repeats_nothing() {
        for text in [
            "",
            "{}",
            "[]",
            "<html>secret</html>",
            r#"{"keys":"secret"}"#,
            r#"{"keys":[]}"#,
        ] {
            let error = jwks(text.as_bytes()).expect_err(text).to_string();
            assert!(
                !error.contains("secret") && !error.contains("html"),
                "{error}"
            );
        }
        let many = vec![ed25519(&json!({})); MAX_KEYS + 1];
        assert!(set(&Value::from(many)).is_err());
    }
}
