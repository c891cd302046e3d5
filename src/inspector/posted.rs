//! The body of what the page posts, and who posted it.
//!
//! Refuses what another site's page could have its visitor's browser send: a body that is not called JSON, a request without the
//! header of our own page, and one that says that it comes from elsewhere. Any one of the three would do; a browser that lacks one of
//! the rules has the others.

use std::sync::Arc;
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderName, header};
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::Inspector;
use crate::http::MARK;
use crate::http::json_type::is_json;
use crate::http_error::Error;
use crate::quota::ClientAddress;

/// A payload of the largest size by default, and what is around it.
const MAX_BYTES: usize = 1_100_000;
/// A client that never ends its body must not hold up the stop.
const PATIENCE: Duration = Duration::from_secs(5);
/// Characters of the text that says what is wrong with JSON.
const SHOWN: usize = 200;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A body that was posted, checked and read. It must be the last of a handler's arguments.
pub(super) struct Posted<T> {
    pub(super) body: T,
    pub(super) by: Caller,
}

/// Who asks for something, for the log.
pub(super) struct Caller {
    /// The address that the request came from.
    pub(super) address: String,
    /// How its token is named.
    pub(super) token: String,
}

impl<T: DeserializeOwned> FromRequest<Arc<Inspector>> for Posted<T> {
    type Rejection = Error;

    async fn from_request(request: Request, inspector: &Arc<Inspector>) -> Result<Self, Error> {
        check_page(request.headers())?;
        let address = request.extensions().get::<ClientAddress>();
        let token = inspector.parts.access.token_name();
        let by = Caller {
            address: address.map_or_else(|| "unknown".to_owned(), |by| by.0.to_string()),
            token: token.unwrap_or_else(|| "none".to_owned()),
        };
        let broken = || Error::BadRequest("the body did not come whole".to_owned());
        let bytes = timeout(PATIENCE, to_bytes(request.into_body(), MAX_BYTES)).await;
        let bytes = bytes.map_err(|_| broken())?.map_err(|error| {
            if error.into_inner().is::<LengthLimitError>() {
                Error::TooLarge(MAX_BYTES)
            } else {
                broken()
            }
        })?;
        let body = serde_json::from_slice(&bytes).map_err(|error| {
            let error: String = error.to_string().chars().take(SHOWN).collect();
            Error::BadRequest(format!("the body is not as it must be: {error}"))
        })?;
        Ok(Self { body, by })
    }
}

/// Refuses what was not sent by our own page, or by somebody who does as it does.
fn check_page(headers: &HeaderMap) -> Result<(), Error> {
    if !is_json(headers) {
        return Err(Error::NotJson);
    }
    let site = headers.get(SEC_FETCH_SITE);
    let is_foreign = site.is_some_and(|site| site != "same-origin") || !is_own_origin(headers);
    if is_foreign {
        return Err(Error::Forbidden(
            "pages of this origin may not change anything here",
        ));
    }
    if !headers.contains_key(MARK) {
        return Err(Error::Forbidden(
            "a change needs the header x-rowcast-inspector, as the inspector's page sends it",
        ));
    }
    Ok(())
}

/// Whether the page, where there is one, was got from where the request goes.
fn is_own_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let origin = origin.to_str().ok().and_then(|text| text.split_once("://"));
    matches!((origin, text(header::HOST)), (Some((_, origin)), Some(host)) if origin.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_page_and_whoever_does_as_it_does_may_change_anything() {
        let ours = [
            ("content-type", "application/json"),
            ("x-rowcast-inspector", "1"),
            ("host", "127.0.0.1:3002"),
        ];
        let status = |more: &[(&'static str, &'static str)], without: &str| {
            let mut headers = HeaderMap::new();
            for (name, value) in ours.iter().chain(more).filter(|(name, _)| *name != without) {
                headers.insert(*name, value.parse().expect("a value"));
            }
            check_page(&headers).map_or_else(|error| error.status().as_u16(), |()| 200)
        };
        assert_eq!(status(&[], ""), 200);
        let page = [
            ("origin", "http://127.0.0.1:3002"),
            ("sec-fetch-site", "same-origin"),
        ];
        assert_eq!(status(&page, ""), 200);
        assert_eq!(status(&[], "content-type"), 415);
        assert_eq!(status(&[], "x-rowcast-inspector"), 403);
        for (name, value) in [
            ("content-type", "text/plain"),
            ("origin", "http://127.0.0.1:3001"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            assert!(status(&[(name, value)], "") >= 403, "{name}: {value}");
        }
    }
}
