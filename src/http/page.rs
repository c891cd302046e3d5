//! A page and its files, as a front end's build made them: the dashboard's, and the inspector's.
//!
//! Refuses to load anything from elsewhere, by a content security policy. Guarantees that a page and its files fit: files
//! carry their content's hash in their names and may be kept for ever, the page is asked for each time.
//! A file that was packed when it was built (`x.js.gz` beside `x.js`) is sent packed.

use std::borrow::Cow;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::etag::{self, ETag};
use crate::http_error::Error;

/// Where the page is.
pub(crate) const PAGE: &str = "/";
/// Where its files are.
pub(crate) const ASSETS: &str = "/assets/{*path}";

/// A set of files, by their paths.
pub(crate) type Files = fn(&str) -> Option<Cow<'static, [u8]>>;

/// A websocket to the page's own host is `'self'` too (CSP 3).
const POLICY: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// What a page is made of.
#[derive(Clone, Copy)]
pub(crate) struct Built {
    /// Its files.
    pub files: Files,
    /// What is said where there are none, because the binary was built without them.
    pub unbuilt: &'static str,
}

/// The routes of the page and of its files.
pub(crate) fn routes(built: Built) -> Router {
    Router::new()
        .route(PAGE, get(page))
        .route(ASSETS, get(asset))
        .with_state(built)
}

async fn page(State(built): State<Built>, headers: HeaderMap) -> Response {
    let Some(page) = (built.files)("index.html") else {
        return (StatusCode::SERVICE_UNAVAILABLE, built.unbuilt).into_response();
    };
    let tag = ETag::of(&page);
    let known = etag::is_known(&headers, &tag);
    let shared = [
        (header::ETAG, tag),
        of(header::CACHE_CONTROL, "no-cache"),
        of(header::CONTENT_SECURITY_POLICY, POLICY),
        of(header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        of(header::REFERRER_POLICY, "no-referrer"),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, shared).into_response();
    }
    let kind = [of(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    (shared, kind, page).into_response()
}

async fn asset(
    State(Built { files, .. }): State<Built>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let path = format!("assets/{path}");
    let packed = if takes_gzip(&headers) {
        files(&format!("{path}.gz"))
    } else {
        None
    };
    let encoding = packed
        .is_some()
        .then(|| [of(header::CONTENT_ENCODING, "gzip")]);
    let content = packed.or_else(|| files(&path)).ok_or(Error::NotFound)?;
    let shared = [
        of(header::CONTENT_TYPE, kind(&path)),
        of(header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        of(header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        of(header::VARY, "accept-encoding"),
    ];
    let mut response = (shared, content).into_response();
    if let Some(encoding) = encoding {
        response.headers_mut().extend(encoding);
    }
    Ok(response)
}

fn of(name: header::HeaderName, value: &'static str) -> (header::HeaderName, HeaderValue) {
    (name, HeaderValue::from_static(value))
}

/// RFC 9110, section 12.5.3, for one encoding and whoever names it.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(header::ACCEPT_ENCODING).iter();
    let mut items = lists
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','));
    items.any(|item| {
        let (coding, weight) = item.split_once(';').unwrap_or((item, ""));
        let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
        coding.trim().eq_ignore_ascii_case("gzip") && weight.parse::<f32>().is_ok_and(|q| q > 0.0)
    })
}

fn kind(path: &str) -> &'static str {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension {
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests;
