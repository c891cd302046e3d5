//! The requests of an engine session that polls: a GET for what waits for the client, a POST with what it sends.
//!
//! Guarantees, as Engine.IO's reference server does, that a session ends when its client lets go of a poll that waits, or sends
//! two POSTs at once: what was sent might be lost, or out of order. The client connects anew, and resumes.
//! Guarantees that a poll never waits for an engine that has nothing to say, when the session has ended or changes its transport.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use tokio::time::timeout;

use super::close_code::CloseCode;
use super::engine_error::EngineError;
use super::engine_gate::EngineGate;
use super::engine_session::{EngineSession, Interrupt};
use super::poll_answer;
use crate::http_error::Error;
use crate::metrics::Limit;

/// Engine.IO's NOOP packet: the answer to a poll when there is nothing to say.
const NOOP: &str = "6";

/// The engine, for the requests of one session.
#[derive(Clone)]
pub(super) struct Engine {
    next: Next,
    id: Box<str>,
}

impl Engine {
    pub(super) fn new(next: Next, id: Box<str>) -> Self {
        Self { next, id }
    }

    /// Ends the session in the engine, which would notice only at the next heartbeat that is missed.
    fn end(&self) {
        let uri = format!("/socket.io/?EIO=4&transport=polling&sid={}", self.id);
        if let Ok(close) = Request::post(uri).body(Body::from("1")) {
            // It waits for nothing: all of its body is here.
            let _answer = self.next.clone().run(close).now_or_never();
        }
    }
}

/// Answers a request of `session`.
pub(super) async fn respond(
    gate: &EngineGate,
    session: Arc<EngineSession>,
    engine: Engine,
    request: Request,
) -> Response {
    if session.has_ended() {
        engine.end();
        return EngineError::UnknownSession.into_response();
    }
    // The engine may not have heard of it yet, and would give away what belongs on the WebSocket.
    if session.is_upgraded() {
        return EngineError::BadRequest.into_response();
    }
    match *request.method() {
        Method::GET => poll(gate, session, engine, request).await,
        Method::POST => post(gate, &session, &engine, request).await,
        _ => EngineError::BadRequest.into_response(),
    }
}

/// Ends the session if it is dropped before the poll was answered.
struct WaitingPoll {
    session: Arc<EngineSession>,
    engine: Engine,
    is_answered: bool,
}

impl Drop for WaitingPoll {
    fn drop(&mut self) {
        if !self.is_answered && !self.session.is_upgraded() {
            self.session.end();
            self.engine.end();
        }
    }
}

async fn poll(
    gate: &EngineGate,
    session: Arc<EngineSession>,
    engine: Engine,
    request: Request,
) -> Response {
    let mut waiting = WaitingPoll {
        session: session.clone(),
        engine: engine.clone(),
        is_answered: false,
    };
    let answer = tokio::select! {
        // The engine first: what it has taken out of its queue must go out. While it waits it has taken nothing.
        biased;
        response = engine.next.clone().run(request) => Ok(response),
        interrupt = session.interrupted() => Err(interrupt),
    };
    waiting.is_answered = true;
    let response = match answer {
        Ok(response) => response,
        Err(Interrupt::Upgrade) => return NOOP.into_response(),
        Err(Interrupt::Ended) => {
            engine.end();
            return EngineError::UnknownSession.into_response();
        }
    };
    if poll_answer::emptied_queue(&response) {
        session.poll_emptied();
    }
    if session.expects_connect() {
        session.welcome().await;
        poll_answer::with_pids(response, || session.take_pid(), || session.take_refusal()).await
    } else if gate.closing.load(Ordering::Acquire) {
        poll_answer::unless_closing(response).await
    } else {
        response
    }
}

async fn post(
    gate: &EngineGate,
    session: &Arc<EngineSession>,
    engine: &Engine,
    request: Request,
) -> Response {
    let Some(_posting) = session.begin_post() else {
        session.end();
        engine.end();
        return EngineError::BadRequest.into_response();
    };
    let (mut head, body) = request.into_parts();
    let max_bytes = gate.opener.max_message_bytes;
    let body = match timeout(gate.handshake_timeout, to_bytes(body, max_bytes)).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) if is_too_large(&error) => {
            gate.metrics.limits(Limit::MessageSize);
            return Error::TooLarge(max_bytes).into_response();
        }
        Ok(Err(_)) => return EngineError::BadRequest.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    // All of it before the engine hears of any: it would handle what stands before the fault.
    let read = std::str::from_utf8(&body).map_err(|_| CloseCode::InvalidText);
    let body = match read.and_then(|text| session.read_body(text)) {
        Ok(read) => Body::from(read.into_owned()),
        Err(_) => {
            session.end();
            engine.end();
            return EngineError::BadRequest.into_response();
        }
    };
    head.headers.remove(header::CONTENT_LENGTH);
    engine
        .next
        .clone()
        .run(Request::from_parts(head, body))
        .await
}

fn is_too_large(error: &axum::Error) -> bool {
    let source = std::error::Error::source(error);
    source.is_some_and(|source| source.is::<http_body_util::LengthLimitError>())
}
