//! What a person does on the page: send a message, and read a conversation.
//!
//! Both write rows only; the page learns of them by the events that follow.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::Demo;
use super::json_body::{Empty, JsonBody};
use crate::auth::Identity;
use crate::http::api::contact;
use crate::http_error::{Error, json_response};

/// Characters of a message.
const MAX_CHARS: usize = 4096;
/// Bytes of a key.
const MAX_KEY_BYTES: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Message {
    body: String,
    /// What the row has as `external_id`: a page that doesn't know whether it has written a message writes it again.
    external_id: Option<String>,
}

pub(super) async fn send(
    State(demo): State<Arc<Demo>>,
    Extension(identity): Extension<Identity>,
    path: Result<Path<String>, PathRejection>,
    JsonBody(message): JsonBody<Message>,
) -> Result<Response, Error> {
    let contact = contact(&demo.api, path, &identity).await?;
    check(&message.body)?;
    let key = message.external_id.as_deref();
    check_key(key)?;
    let sent = demo.chat.send(&contact, &message.body, key).await;
    let id = sent.map_err(|error| demo.failed(&error))?;
    let other = || Error::BadRequest("externalId is that of another message".to_owned());
    let id = id.ok_or_else(other)?;
    Ok(json_response(StatusCode::CREATED, &json!({ "id": id })))
}

pub(super) async fn mark_read(
    State(demo): State<Arc<Demo>>,
    Extension(identity): Extension<Identity>,
    path: Result<Path<String>, PathRejection>,
    JsonBody(Empty {}): JsonBody<Empty>,
) -> Result<StatusCode, Error> {
    let contact = contact(&demo.api, path, &identity).await?;
    let marked = demo.chat.mark_read(&contact).await;
    marked.map_err(|error| demo.failed(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

fn check(body: &str) -> Result<(), Error> {
    let problem = if body.trim().is_empty() {
        "body must not be blank".to_owned()
    } else if body.chars().nth(MAX_CHARS).is_some() {
        format!("body must have 1 to {MAX_CHARS} characters")
    } else if body.contains('\0') {
        "body must not contain the character U+0000".to_owned()
    } else {
        return Ok(());
    };
    Err(Error::BadRequest(problem))
}

fn check_key(key: Option<&str>) -> Result<(), Error> {
    let is_good = |key: &str| (1..=MAX_KEY_BYTES).contains(&key.len()) && !key.contains('\0');
    if key.is_none_or(is_good) {
        return Ok(());
    }
    Err(Error::BadRequest(format!(
        "externalId must have 1 to {MAX_KEY_BYTES} bytes, and no U+0000"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_text_of_a_bounded_length() {
        for good in ["x", " x ", &"é".repeat(MAX_CHARS), "🎈"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for (bad, word) in [
            ("", "blank"),
            (" \n\t\u{a0}", "blank"),
            (&*"é".repeat(MAX_CHARS + 1), "4096"),
            ("a\0b", "U+0000"),
        ] {
            let refusal = check(bad).expect_err(bad).to_string();
            assert!(refusal.contains(word), "{refusal}");
        }
    }
}
