//! Tokens that are good, and each published way to make one look good. Those of other implementations are in `tests/it/tokens`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::hmac;
use serde_json::{Value, json};

use super::*;

mod keys;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn verifier_of(keys: Vec<VerifyingKey>, rules: &TokenRules) -> Verifier {
    let keys = Keys {
        set: Arc::new(KeySet(keys)),
        ..Keys::default()
    };
    Verifier::new(watch::channel(keys).1, Arc::default(), rules)
}

fn rules() -> TokenRules {
    TokenRules {
        leeway: Duration::from_secs(30),
        ..TokenRules::default()
    }
}

fn verifier() -> Verifier {
    let key = VerifyingKey::secret(SECRET).expect("a secret");
    verifier_of(vec![key], &rules())
}

fn now() -> u64 {
    jsonwebtoken::get_current_timestamp()
}

fn good() -> Value {
    json!({ "sub": "a", "exp": now() + 60 })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = good();
    claims[name] = value;
    claims
}

/// A token of these texts, signed with the secret as HS256 has it.
fn signed(header: &str, payload: &str) -> String {
    let message = format!("{}.{}", BASE64.encode(header), BASE64.encode(payload));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    let signature = hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", BASE64.encode(signature))
}

fn token(claims: &Value) -> String {
    signed(r#"{"alg":"HS256","typ":"JWT"}"#, &claims.to_string())
}

fn reason(token: &str) -> &'static str {
    verifier()
        .verify(token)
        .map_or_else(|error| error.reason(), |_| "good")
}

#[test]
fn a_good_token_is_good_within_the_leeway() {
    for claims in [
        good(),
        with("exp", json!(now() - 25)),
        with("exp", json!(now() as f64 + 0.5)),
        with("exp", json!(u64::MAX)),
        with("nbf", json!(now() + 25)),
        with("iat", json!(now() + 25)),
        with("aud", json!("of-somebody-else")),
    ] {
        assert_eq!(reason(&token(&claims)), "good", "{claims}");
    }
    let verified = verifier()
        .verify(&token(&with("iat", json!(5))))
        .expect("good");
    assert_eq!((verified.subject(), verified.issued_at()), ("a", Some(5)));
}

#[test]
fn times_of_the_wrong_kind_are_no_times() {
    for (name, value, expected) in [
        ("exp", json!(now() - 31), "expired"),
        ("exp", json!(0), "expired"),
        ("exp", json!((now() + 60).to_string()), "claims"),
        ("exp", json!(null), "claims"),
        ("exp", json!(true), "claims"),
        ("exp", json!(-5), "claims"),
        ("exp", json!([now() + 60]), "claims"),
        ("exp", json!({}), "claims"),
        ("exp", json!(1e300), "claims"),
        ("nbf", json!(now() + 60), "not_yet"),
        ("nbf", json!("x"), "claims"),
        ("iat", json!(now() + 60), "claims"),
        ("iat", json!((now() + 60) * 1000), "claims"),
        ("sub", json!(""), "claims"),
        ("sub", json!(5), "claims"),
        ("iss", json!(["a"]), "claims"),
    ] {
        assert_eq!(
            reason(&token(&with(name, value.clone()))),
            expected,
            "{name}: {value}"
        );
    }
    assert_eq!(reason(&token(&json!({ "sub": "a" }))), "claims");
    assert_eq!(reason(&token(&json!([1]))), "claims");
}

#[test]
fn a_token_chooses_neither_algorithm_nor_key() {
    let payload = good().to_string();
    for (header, expected) in [
        (r#"{"alg":"none"}"#, "malformed"),
        (r#"{"alg":"None"}"#, "malformed"),
        (r#"{"alg":""}"#, "malformed"),
        (r#"{"alg":"hs256"}"#, "malformed"),
        ("{}", "malformed"),
        (r#"{"alg":["HS256"]}"#, "malformed"),
        (r#"{"alg":"HS384"}"#, "algorithm"),
        (r#"{"alg":"RS256"}"#, "algorithm"),
        (r#"{"alg":"none","alg":"HS256"}"#, "malformed"),
        (r#"{"alg":"HS256","crit":["exp"],"exp":1}"#, "header"),
        (r#"{"alg":"HS256","crit":[]}"#, "header"),
        (r#"{"alg":"HS256","crit":"exp"}"#, "malformed"),
        (r#"{"alg":"HS256","b64":false}"#, "header"),
        (r#"{"alg":"HS256","crit":["b64"],"b64":true}"#, "header"),
        (
            r#"{"alg":"HS256","jku":"https://evil.example/keys"}"#,
            "header",
        ),
        (
            r#"{"alg":"HS256","x5u":"https://evil.example/cert"}"#,
            "header",
        ),
        (r#"{"alg":"HS256","jwk":{"kty":"oct","k":"AA"}}"#, "header"),
        (r#"{"alg":"HS256","zip":"DEF"}"#, "header"),
        (r#"{"alg":"HS256","kid":"../../dev/null"}"#, "good"),
    ] {
        assert_eq!(reason(&signed(header, &payload)), expected, "{header}");
    }
    let unsigned = format!(
        "{}.{}.",
        BASE64.encode(r#"{"alg":"none"}"#),
        BASE64.encode(&payload)
    );
    assert_eq!(reason(&unsigned), "malformed");
    let empty = format!(
        "{}.{}.",
        BASE64.encode(r#"{"alg":"HS256"}"#),
        BASE64.encode(&payload)
    );
    assert_eq!(reason(&empty), "signature");
}

#[test]
fn what_was_changed_or_is_no_token_is_refused() {
    let good = token(&good());
    let parts: Vec<&str> = good.split('.').collect();
    let other = BASE64.encode(with("sub", json!("b")).to_string());
    assert_eq!(reason(&[parts[0], &other, parts[2]].join(".")), "signature");
    assert_eq!(reason(&[parts[0], parts[1]].join(".")), "malformed");
    for odd in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "a.b.c.d.e",
        "\u{e4}.\u{e4}.\u{e4}",
    ] {
        assert_ne!(reason(odd), "good", "{odd:?}");
    }
    // The last character of base64url has bits that mean nothing: there is one way to write a signature.
    let last = good.chars().last().expect("a character");
    for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=".chars() {
        let changed = format!("{}{other}", &good[..good.len() - 1]);
        assert_eq!(reason(&changed) == "good", other == last, "{other}");
    }
    let long = with("x", json!("x".repeat(MAX_TOKEN_BYTES)));
    assert_eq!(reason(&token(&long)), "malformed");
    let deep = format!("{}{}", "[".repeat(2_000), "]".repeat(2_000));
    let payload = format!(r#"{{"sub":"a","exp":{},"x":{deep}}}"#, now() + 60);
    // Read without recursion, so it does no harm.
    assert_eq!(reason(&signed(r#"{"alg":"HS256"}"#, &payload)), "good");
    let twice = format!(r#"{{"sub":"a","exp":{0},"sub":"b"}}"#, now() + 60);
    assert_eq!(reason(&signed(r#"{"alg":"HS256"}"#, &twice)), "claims");
}

#[test]
fn issuer_and_audience_are_checked_where_they_are_set() {
    let key = VerifyingKey::secret(SECRET).expect("a secret");
    let rules = TokenRules {
        issuers: vec!["us".to_owned()],
        audiences: vec!["rowcast".to_owned()],
        ..rules()
    };
    let verifier = verifier_of(vec![key], &rules);
    let reason = |claims: Value| {
        let verified = verifier.verify(&token(&claims));
        verified.map_or_else(|error| error.reason(), |_| "good")
    };
    let both = |iss: Value, aud: Value| {
        let mut claims = with("iss", iss);
        claims["aud"] = aud;
        claims
    };
    assert_eq!(reason(both(json!("us"), json!("rowcast"))), "good");
    assert_eq!(reason(both(json!("us"), json!(["x", "rowcast"]))), "good");
    assert_eq!(reason(both(json!("us"), json!("other"))), "audience");
    assert_eq!(reason(both(json!("us"), json!([]))), "audience");
    assert_eq!(reason(both(json!("them"), json!("rowcast"))), "issuer");
    assert_eq!(reason(both(json!(["us"]), json!("rowcast"))), "claims");
    assert_eq!(reason(with("iss", json!("us"))), "claims");
    assert_eq!(reason(with("aud", json!("rowcast"))), "claims");
}
