//! The query of a request's URI. Values are compared as they stand: the engine's own are never escaped.

use axum::http::Uri;

/// The value of a parameter of the query, as it stands there.
pub(super) fn query_value<'a>(uri: &'a Uri, name: &str) -> Option<&'a str> {
    let mut pairs = uri
        .query()?
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.find_map(|(n, value)| (n == name).then_some(value))
}
