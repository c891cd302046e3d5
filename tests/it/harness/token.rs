//! Tokens as a back end signs them: HS256, by nothing but SHA-256 (RFC 7515 and RFC 2104), so that they are not made by the code that
//! verifies them.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The secret of the servers that [`JWT`] makes.
pub(crate) const SECRET: &str = "a secret of the tests, long enough for HS256";

/// What makes a server ask for tokens.
pub(crate) const JWT: [(&str, &str); 2] = [("ROWCAST_AUTH", "jwt"), ("ROWCAST_JWT_SECRET", SECRET)];

/// A token of `subject` with further claims, good for an hour.
pub(crate) fn token(subject: &str, claims: &Value) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is later than 1970")
        .as_secs();
    let mut all = json!({ "sub": subject, "iat": now, "exp": now + 3_600 });
    for (name, value) in claims.as_object().expect("claims are an object") {
        all[name] = value.clone();
    }
    signed(SECRET, &json!({ "alg": "HS256", "typ": "JWT" }), &all)
}

/// A token of this header and these claims, signed with a secret.
pub(crate) fn signed(secret: &str, header: &Value, claims: &Value) -> String {
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = URL_SAFE_NO_PAD.encode(hmac(secret.as_bytes(), signed.as_bytes()));
    format!("{signed}.{signature}")
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let padded = |pad: u8| {
        let mut block = [pad; 64];
        for (byte, key) in block.iter_mut().zip(key) {
            *byte ^= key;
        }
        block
    };
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(message);
    let outer = Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner.finalize());
    outer.finalize().to_vec()
}
