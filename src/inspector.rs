//! The inspector: what an operator sees of a running server, as a page at `/` of the admin listener and as JSON under `/api/`.
//!
//! Owns the page's files and its endpoints. What is shown is read where it is kept: clients and rooms from `socketio`, which copies
//! them, checks from `http`, figures from `metrics`, tables and findings from `db`.
//! Refuses secrets: a client is named by our own number for its connection. Refuses to change anything, unless
//! `ROWCAST_ADMIN_WRITE` says that it may, and then each change is logged with who asked for it (`actions`).
//! Guarantees that what it costs is bounded, however many look: clients are looked at once a second for all who look, and the database
//! is asked every few seconds (`shared`). While nobody looks, nothing is done and nothing is kept.
//!
//! | endpoint | answer |
//! |---|---|
//! | `GET /api/session` | `{ "version", "write", "token" }`: what the page may do |
//! | `GET /api/overview` | checks, sockets, counters, outbox, servers |
//! | `GET /api/sources` | the attached tables, their problems and what mends them |
//! | `GET /api/rooms?search=&from=0` | the rooms that clients are in |
//! | `GET /api/room?room=&from=0` | one room: its members and its last events |
//! | `GET /api/sockets?search=&only=&sort=&from=0`, `/api/sockets/{socket}` | the clients; one of them with its rooms |
//! | `GET /api/events?after=&room=&name=`, `/api/events/{id}` | what was broadcast since; one event with its payload |
//! | `POST /api/doctor` | the findings of `rowcast doctor` |
//! | `POST /api/emit`, `/api/disconnect`, `/api/revoke` | the actions |

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

mod actions;
mod events;
mod overview;
mod posted;
mod rooms;
mod shared;
mod sockets;
mod sources;

use crate::db::{Database, Finding, Pool, ServerEntry, SourceEntry};
use crate::http::page::{self, Built};
use crate::http::{AdminAccess, Health};
use crate::http_error::{Error, json_response};
use crate::metrics::Metrics;
use crate::socketio::inspection::{Crowd, Inspection};
use crate::status::StartStatus;
use shared::Shared;

/// How long a look at all clients is shown.
const CROWD_KEPT: Duration = Duration::from_secs(1);
/// How long what the database was asked is shown.
const ASKED_KEPT: Duration = Duration::from_secs(5);
/// After so long without anybody who looks nothing is kept.
const IDLE: Duration = Duration::from_secs(10);
/// Lines of one page of a list.
const PAGE_LINES: usize = 50;

const UNBUILT: &str = "The inspector is not in this binary: it was built without it. In a clone of Rowcast:\n\n    \
    make inspector && cargo build --release\n\n\
    /metrics is there all the same, and so is what the page asks for, under /api/.\n";

/// What was there when this binary was built.
#[derive(rust_embed::Embed)]
#[folder = "inspector/dist"]
#[allow_missing = true]
struct Files;

/// What the inspector looks at.
pub(crate) struct InspectorParts {
    /// The clients.
    pub sockets: Inspection,
    /// The checks.
    pub health: Arc<Health>,
    /// The figures.
    pub metrics: Metrics,
    /// The database, for what takes a connection of its own: the doctor, the list of tables, the actions.
    pub database: Database,
    /// For what reads a few rows.
    pub pool: Pool,
    /// `ROWCAST_RETENTION`, for the doctor.
    pub retention: Duration,
    /// The database is the embedded one.
    pub is_embedded: bool,
    /// Clients have tokens, so the policy is asked.
    pub asks_policy: bool,
    /// `ROWCAST_ADMIN_WRITE`.
    pub may_write: bool,
    /// Who may use it.
    pub access: AdminAccess,
}

/// The inspector.
pub(crate) struct Inspector {
    parts: InspectorParts,
    begun: Instant,
    /// Somebody looks.
    looked: Notify,
    crowd: Shared<Crowd>,
    servers: Shared<Result<Vec<ServerEntry>, String>>,
    sources: Shared<Result<Vec<SourceEntry>, String>>,
    findings: Shared<Vec<Finding>>,
}

impl Inspector {
    /// An inspector at which nobody has looked yet.
    pub(crate) fn new(parts: InspectorParts) -> Arc<Self> {
        Arc::new(Self {
            parts,
            begun: Instant::now(),
            looked: Notify::new(),
            crowd: Shared::keeping(CROWD_KEPT),
            servers: Shared::keeping(ASKED_KEPT),
            sources: Shared::keeping(ASKED_KEPT),
            findings: Shared::keeping(ASKED_KEPT),
        })
    }

    /// The page, and what it asks for.
    pub(crate) fn routes(self: &Arc<Self>) -> Router {
        let answers = Router::new()
            .route("/api/session", get(session))
            .route("/api/overview", get(overview::answer))
            .route("/api/sources", get(sources::list))
            .route("/api/rooms", get(rooms::list))
            .route("/api/room", get(rooms::one))
            .route("/api/sockets", get(sockets::list))
            .route("/api/sockets/{socket}", get(sockets::one))
            .route("/api/events", get(events::list))
            .route("/api/events/{id}", get(events::one))
            .route("/api/doctor", post(sources::examine))
            .route("/api/emit", post(actions::emit))
            .route("/api/disconnect", post(actions::disconnect))
            .route("/api/revoke", post(actions::revoke))
            .with_state(self.clone());
        self.parts.access.inspector(answers, page())
    }

    /// Forgets what was looked at once nobody looks any more, until `stop`.
    pub(crate) async fn forget(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.looked.notified() => {}
            }
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = sleep(IDLE) => {}
                }
                let idle = [
                    self.crowd.forget(IDLE).await,
                    self.servers.forget(IDLE).await,
                    self.sources.forget(IDLE).await,
                    self.findings.forget(IDLE).await,
                ];
                if !idle.contains(&false) {
                    break;
                }
            }
        }
    }

    /// All clients, as of about a second ago at most.
    async fn crowd(&self) -> Arc<Crowd> {
        self.looked.notify_one();
        self.crowd.get(self.parts.sockets.crowd()).await
    }
}

/// The page of a server that starts: everything that it asks for is answered with what the start waits for.
pub(crate) fn starting(access: &AdminAccess, status: watch::Receiver<StartStatus>) -> Router {
    let answers = Router::new().route(
        "/api/{*path}",
        any(async move || {
            let status = status.borrow().clone();
            let mut body = Error::Starting.body();
            body["starting"] = json!({ "check": status.check, "cause": status.cause });
            json_response(StatusCode::SERVICE_UNAVAILABLE, &body)
        }),
    );
    access.inspector(answers, page())
}

/// The page and its files.
fn page() -> Router {
    page::routes(Built {
        files: |path| Files::get(path).map(|file| file.data),
        unbuilt: UNBUILT,
    })
}

/// What the page may do, and whom it speaks as.
async fn session(State(inspector): State<Arc<Inspector>>) -> Response {
    answer(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "write": inspector.parts.may_write,
        "token": inspector.parts.access.token_name(),
    }))
}

/// An answer that nobody keeps.
fn answer(body: &Value) -> Response {
    let kept = [(header::CACHE_CONTROL, "no-store")];
    (kept, json_response(StatusCode::OK, body)).into_response()
}
