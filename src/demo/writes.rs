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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Message {
    body: String,
}

pub(super) async fn send(
    State(demo): State<Arc<Demo>>,
    Extension(identity): Extension<Identity>,
    path: Result<Path<String>, PathRejection>,
    JsonBody(Message { body }): JsonBody<Message>,
) -> Result<Response, Error> {
    let contact = contact(&demo.api, path, &identity).await?;
    check(&body)?;
    let sent = demo.chat.send(&contact, &body).await;
    let id = sent.map_err(|error| demo.failed(&error))?;
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
