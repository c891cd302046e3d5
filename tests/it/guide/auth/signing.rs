//! The page's back end in Rust: it shows what is compiled here.

use std::time::{Duration, SystemTime};

use jsonwebtoken::{EncodingKey, Header, encode, errors::Result};
use serde_json::json;

/// A token for this user, who may see these conversations for a quarter of an hour.
pub fn realtime_token(secret: &str, user_id: &str, contact_ids: &[&str]) -> Result<String> {
    let now = SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap_or(Duration::ZERO)
        .as_secs();
    let claims = json!({
        "sub": user_id,
        "conversations": contact_ids,
        "iat": now,
        "exp": now + 15 * 60,
    });
    // HS256.
    encode(
        &Header::default(),
        &claims,
        &EncodingKey::from_secret(secret.as_bytes())?,
    )
}
