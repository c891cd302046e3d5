//! `POST /demo/conversations/{contactId}/bot`: for a few seconds, writes what a bot and a provider's webhook would write.
//!
//! Lasts no longer than its request: when the client goes away or the server stops, it ends at once and its typing ends too.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use serde_json::json;
use tokio::time::sleep;

use super::Demo;
use super::json_body::{Empty, JsonBody};
use crate::auth::Identity;
use crate::db::Report;
use crate::event::ContactId;
use crate::http::api::contact;
use crate::http_error::Error;

/// How long the bot types.
const TYPING: Duration = Duration::from_millis(1500);
/// Between the reply and each of its statuses.
const STATUS: Duration = Duration::from_millis(800);

const SPANISH: &str = "¡Hola! Soy el bot. Esta respuesta es una fila nueva en Postgres, y ha llegado sola hasta aquí.";
const ENGLISH: &str =
    "Hi! I am the bot. This reply is a row in Postgres, and it came here by itself.";

pub(super) async fn play(
    State(demo): State<Arc<Demo>>,
    Extension(identity): Extension<Identity>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    JsonBody(Empty {}): JsonBody<Empty>,
) -> Result<StatusCode, Error> {
    let contact = contact(&demo.api, path, &identity).await?;
    let failed = |error| demo.failed(&error);
    let typing = Typing {
        demo: &demo,
        contact: &contact,
    };
    demo.chat.begin_typing(&contact).await.map_err(failed)?;
    demo.pause(TYPING).await?;
    let reply = demo.chat.reply(&contact, text(&headers)).await;
    reply.map_err(failed)?;
    drop(typing);
    for report in [Report::Delivered, Report::Read] {
        demo.pause(STATUS).await?;
        let reported = demo.chat.report(&contact, report).await;
        reported.map_err(failed)?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The bot types, until this is dropped.
struct Typing<'a> {
    demo: &'a Demo,
    contact: &'a ContactId,
}

impl Drop for Typing<'_> {
    fn drop(&mut self) {
        // The database can't be asked while a value is dropped. So this server's sockets are told as if the database had
        // notified. Sockets of other servers learn it from the reply, or their typing ends by itself after a while.
        let stopped = json!({ "contactId": self.contact.as_str(), "typing": false });
        if self.demo.typing.try_send(stopped.to_string()).is_err() {
            self.demo.api.metrics.typing_dropped.inc();
        }
    }
}

impl Demo {
    /// # Errors
    /// The server stops.
    async fn pause(&self, time: Duration) -> Result<(), Error> {
        tokio::select! {
            () = sleep(time) => Ok(()),
            () = self.api.closing_clients.cancelled() => Err(Error::Unavailable),
        }
    }
}

/// In the reader's language, of the two that the page knows.
fn text(headers: &HeaderMap) -> &'static str {
    let languages = headers.get(header::ACCEPT_LANGUAGE);
    let first = languages.and_then(|value| value.as_bytes().first_chunk::<2>());
    if first.is_some_and(|first| first.eq_ignore_ascii_case(b"en")) {
        ENGLISH
    } else {
        SPANISH
    }
}
