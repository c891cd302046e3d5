//! Which key a token is verified with, and that it must be signed with that one.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};

use super::*;

#[test]
fn a_public_key_is_no_secret() {
    let random = SystemRandom::new();
    let document = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key");
    let public = pair.public_key().as_ref().to_vec();
    let verifier = verifier_of(
        vec![VerifyingKey::ed25519(&public).expect("a key")],
        &rules(),
    );
    let claims = good();
    let signed = |algorithm, key: &EncodingKey| {
        jsonwebtoken::encode(&Header::new(algorithm), &claims, key).expect("a token")
    };
    let right = signed(
        Algorithm::EdDSA,
        &EncodingKey::from_ed_der(document.as_ref()),
    );
    assert!(verifier.verify(&right).is_ok());
    let forged = signed(
        Algorithm::HS256,
        &EncodingKey::from_secret(&public).expect("bytes"),
    );
    let error = verifier.verify(&forged).expect_err("it is forged");
    assert_eq!(error.reason(), "algorithm");
}

#[test]
fn a_signature_of_nothing_proves_nothing() {
    let (curve, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    let document = EcdsaKeyPair::generate_pkcs8(curve, &random).expect("a key");
    let pair = EcdsaKeyPair::from_pkcs8(curve, document.as_ref(), &random).expect("a key");
    let key = VerifyingKey::p256(pair.public_key().as_ref()).expect("a key");
    let verifier = verifier_of(vec![key], &rules());
    let right = jsonwebtoken::encode(
        &Header::new(Algorithm::ES256),
        &good(),
        &EncodingKey::from_ec_der(document.as_ref()),
    );
    let right = right.expect("a token");
    assert!(verifier.verify(&right).is_ok());
    let (message, _) = right.rsplit_once('.').expect("a signature");
    // CVE-2022-21449: zero and zero were a signature of anything.
    for signature in [
        vec![0; 64],
        vec![],
        vec![0xff; 64],
        vec![0x30, 0x06, 2, 1, 0, 2, 1, 0],
    ] {
        let forged = format!("{message}.{}", BASE64.encode(&signature));
        let error = verifier.verify(&forged).expect_err("it is forged");
        assert_eq!(error, TokenError::Signature, "{signature:?}");
    }
}

#[tokio::test]
async fn an_unknown_key_asks_for_newer_ones_and_is_told_to_come_back() {
    let mut key = VerifyingKey::secret(SECRET).expect("a secret");
    key.id = Some("old".into());
    let keys = Keys {
        set: Arc::new(KeySet(vec![key])),
        complete_until: Some(Instant::now() + Duration::from_secs(600)),
        read_at: None,
        missing: false,
    };
    let (sender, keys) = watch::channel(keys);
    let wanted = Arc::new(Notify::new());
    let verifier = Verifier::new(keys, wanted.clone(), &rules());
    let of = |id: &str| {
        let header = format!(r#"{{"alg":"HS256","kid":"{id}"}}"#);
        let verified = verifier.verify(&signed(&header, &good().to_string()));
        verified.map_or_else(|error| error.reason(), |_| "good")
    };
    assert_eq!((of("old"), of("new")), ("good", "unknown_key"));
    assert_eq!(
        reason_of_none(&verifier),
        "good",
        "a token without a kid is tried with each"
    );
    sender.send_modify(|keys| keys.complete_until = Some(Instant::now()));
    assert_eq!((of("old"), of("new")), ("good", "no_key_yet"));
    wanted.notified().await;
    sender.send_modify(|keys| keys.missing = true);
    assert_eq!(of("old"), "no_key_yet");
}

fn reason_of_none(verifier: &Verifier) -> &'static str {
    let verified = verifier.verify(&token(&good()));
    verified.map_or_else(|error| error.reason(), |_| "good")
}
