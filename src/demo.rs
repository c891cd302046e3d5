//! The demo: the dashboard at `/`, and the endpoints that it writes by.
//!
//! Writes rows of the chat tables and nothing else: the page gets their events over Socket.IO, as any client does.
//! Refuses to write for pages of other origins: those that `FRONTEND_URL` names may, those of `*` may not. Refuses the content
//! types that a browser sends to another origin without a preflight, such as a form's.
//!
//! | endpoint | body | answer |
//! |---|---|---|
//! | `POST /demo/conversations/{contactId}/messages` | `{ "body": "...", "externalId": "..." }`, 1 to 4096 characters, and a key or none | 201 `{ "id" }`: an agent's message, written once for each key |
//! | `POST /demo/conversations/{contactId}/read` | `{}` | 204: what the contact wrote is read |
//! | `POST /demo/conversations/{contactId}/bot` | `{}` | 204 when the bot is done: it types, replies, and the reply is delivered and read |
//! | `GET /demo/about` | | `{ "version", "embedded", "psql" }`: a line to paste into a shell, of the embedded Postgres only |
//!
//! Errors, the limit of requests and the origins that may read are the API's.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::sync::mpsc;

mod bot;
mod json_body;
mod writes;

use crate::auth::OriginPolicy;
use crate::db::{Chat, ChatError};
use crate::http::page::{self, ASSETS, PAGE};
use crate::http::{Api, api};
use crate::http_error::{Error, json_response};

/// An agent's messages.
const MESSAGES: &str = "/demo/conversations/{contactId}/messages";
/// Reading.
const READ: &str = "/demo/conversations/{contactId}/read";
/// The bot.
const BOT: &str = "/demo/conversations/{contactId}/bot";
/// What server this is.
const ABOUT: &str = "/demo/about";

/// Every route of the demo, for the metrics.
pub(crate) const ROUTES: &[&str] = &[PAGE, ASSETS, MESSAGES, READ, BOT, ABOUT];

const UNBUILT: &str = "The dashboard is not in this binary: it was built without it. In a clone of Rowcast:\n\n    \
    make demo && cargo build --release\n\n\
    `make run` does both, and starts the server.\n";

/// What was there when this binary was built.
#[derive(rust_embed::Embed)]
#[folder = "demo/dist"]
#[allow_missing = true]
struct Files;

/// The dashboard, and what it reads and writes by.
pub(crate) struct Demo {
    api: Arc<Api>,
    chat: Chat,
    origin_policy: OriginPolicy,
    /// Where the listener says who types.
    typing: mpsc::Sender<String>,
    about: Value,
}

impl Demo {
    /// Shows `chat` beside `api`. `typing` takes what `rowcast.typing` notifies. `psql` is a line to paste, of an embedded
    /// Postgres.
    pub(crate) fn new(
        api: Arc<Api>,
        chat: Chat,
        origin_policy: OriginPolicy,
        typing: mpsc::Sender<String>,
        psql: Option<&str>,
    ) -> Arc<Self> {
        let about = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "embedded": psql.is_some(),
            "psql": psql,
        });
        Arc::new(Self {
            api,
            chat,
            origin_policy,
            typing,
            about,
        })
    }

    /// The routes of the page and of its endpoints.
    pub(crate) fn routes(self: &Arc<Self>) -> Router {
        Router::new()
            .route(MESSAGES, post(writes::send))
            .route(READ, post(writes::mark_read))
            .route(BOT, post(bot::play))
            .route(ABOUT, get(about))
            .route_layer(middleware::from_fn_with_state(self.api.clone(), api::admit))
            .with_state(self.clone())
            .merge(page::routes(page::Built {
                files: |path| Files::get(path).map(|file| file.data),
                unbuilt: UNBUILT,
            }))
    }

    /// What a client is told when the chat tables did not answer.
    fn failed(&self, error: &ChatError) -> Error {
        match error {
            ChatError::Missing => Error::NoChatTables,
            ChatError::Database(error) => self.api.failed(error),
        }
    }
}

/// What is at `/` while the demo is off.
pub(crate) fn off() -> Router {
    let off = "the dashboard is off: ROWCAST_DEMO=on shows it";
    Router::new().route(PAGE, get(async move || Error::NothingThere(off.to_owned())))
}

async fn about(State(demo): State<Arc<Demo>>) -> Response {
    json_response(StatusCode::OK, &demo.about)
}
