//! Whether a body is said to be JSON: what a browser asks permission for before it sends it to another site.

use axum::http::{HeaderMap, header};

/// Whether the content type is JSON. Parameters may follow: `application/json; charset=utf-8`.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    let essence = value
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}
