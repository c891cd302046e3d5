//! The body of what the page posts.
//!
//! Refuses a page that may not write, a content type that is not JSON, and a body above a bound. All three are checked here, so
//! that no handler can forget one.

use std::sync::Arc;

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use http_body_util::LengthLimitError;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Demo;
use crate::http::json_type::is_json;
use crate::http_error::Error;

/// A message of the greatest length, however it is escaped.
const MAX_BYTES: usize = 64 * 1024;
/// Characters of the text that says what is wrong with JSON: a client's own words can be in it.
const SHOWN: usize = 200;

/// A body that was posted, checked and read. It must be the last of a handler's arguments.
pub(super) struct JsonBody<T>(pub(super) T);

/// A body that says nothing: `{}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Empty {}

impl<T: DeserializeOwned> FromRequest<Arc<Demo>> for JsonBody<T> {
    type Rejection = Error;

    async fn from_request(request: Request, demo: &Arc<Demo>) -> Result<Self, Error> {
        let headers = request.headers();
        if !demo.origin_policy.may_write(headers) {
            return Err(Error::Forbidden("pages of this origin may not write here"));
        }
        if !is_json(headers) {
            return Err(Error::NotJson);
        }
        // A client that never ends its body must not hold up the stop.
        let bytes = tokio::select! {
            bytes = to_bytes(request.into_body(), MAX_BYTES) => bytes,
            () = demo.api.closing_clients.cancelled() => return Err(Error::Unavailable),
        };
        let bytes = bytes.map_err(|error| {
            if error.into_inner().is::<LengthLimitError>() {
                Error::TooLarge(MAX_BYTES)
            } else {
                Error::BadRequest("the body did not come whole".to_owned())
            }
        })?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            let error: String = error.to_string().chars().take(SHOWN).collect();
            Error::BadRequest(format!("the body is not as it must be: {error}"))
        })
    }
}
