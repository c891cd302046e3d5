//! What requests at `/socket.io` are judged by, and handed to.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use axum::http::HeaderMap;
use tokio_util::sync::CancellationToken;

use super::engine_limits::EngineLimits;
use super::engine_sessions::EngineSessions;
use super::opening::Opener;
use crate::metrics::Metrics;

/// What the middleware needs to decide on a request.
#[derive(Clone)]
pub(crate) struct EngineGate {
    /// How long a handshake, or the body of a request, may take.
    pub handshake_timeout: Duration,
    /// Opens WebSockets.
    pub opener: Opener,
    /// How many may come.
    pub limits: Arc<EngineLimits>,
    /// Sees the headers of a request that begins to poll: a page whose origin is not allowed can't read the answer, and gives up.
    pub check_origin: Arc<dyn Fn(&HeaderMap) + Send + Sync>,
    /// The engine sessions that began by polling.
    pub sessions: Arc<EngineSessions>,
    /// Clients are being cut, and nobody new is let in.
    pub closing_clients: CancellationToken,
    /// The engine is being closed.
    pub closing: Arc<AtomicBool>,
    /// What is counted.
    pub metrics: Metrics,
}
