//! The spans of a trace: their names and attributes, in one place.
//!
//! Owns what a trace tells. Refuses what it must not: no payload, token, claim, `pid`, offset or id of a socket is an attribute.
//! Attributes have the names of OpenTelemetry's semantic conventions where these have one, and begin with `rowcast.` elsewhere.
//! Guarantees that a span costs two loads of an atomic while traces are off: nothing is enabled for [`TARGET`] then, so its fields are not
//! even computed (`telemetry`).

use std::fmt;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing::field::{Empty, display};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::event::Room;

/// The target of every span, by which the log leaves them out and the traces take nothing else.
pub(crate) const TARGET: &str = "rowcast::spans";
/// The name of the reader's span.
pub(crate) const READER_PASS: &str = "reader pass";
/// How many events it is about.
pub(crate) const EVENTS: &str = "rowcast.events";
const ROOM: &str = "rowcast.room";
const ROOMS: &str = "rowcast.rooms";
const OUTCOME: &str = "rowcast.outcome";
const ERROR: &str = "error.type";
const STATUS: &str = "otel.status_code";

macro_rules! span {
    ($name:expr, $kind:literal, $($fields:tt)*) => {
        tracing::info_span!(
            target: TARGET, $name, otel.kind = $kind, otel.status_code = Empty, "error.type" = Empty, $($fields)*
        )
    };
}

/// A handshake: from the client's CONNECT to the decision about it.
pub(crate) fn connect() -> Span {
    span!("connect", "server", rowcast.outcome = Empty)
}

/// What becomes of the resume session that a client asks for.
pub(crate) fn resume() -> Span {
    span!(
        "resume",
        "internal",
        rowcast.outcome = Empty,
        rowcast.rooms = Empty
    )
}

/// A join: until it is answered.
pub(crate) fn join() -> Span {
    span!(
        "join",
        "server",
        rowcast.outcome = Empty,
        rowcast.room = Empty
    )
}

/// A request to the API.
pub(crate) fn http_request(method: &str, route: &str) -> Span {
    span!(
        "HTTP",
        "server",
        otel.name = format!("{method} {route}"),
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        rowcast.room = Empty
    )
}

/// A question to the policy about so many rooms.
pub(crate) fn policy(rooms: usize) -> Span {
    span!(
        "rowcast.may_join",
        "client",
        db.system.name = "postgresql",
        db.query.summary = "rowcast.may_join",
        rowcast.rooms = rooms,
        rowcast.denied = Empty
    )
}

/// A read of the outbox and what follows from it. Only one that finds events, or fails, is exported.
pub(crate) fn reader_pass() -> Span {
    span!(READER_PASS, "internal", rowcast.events = Empty)
}

/// So many events on their way to the members of their rooms. One event alone has its room told.
pub(crate) fn broadcast(events: usize) -> Span {
    span!(
        "broadcast",
        "producer",
        messaging.system = "socketio",
        messaging.operation.name = "broadcast",
        messaging.operation.type = "send",
        messaging.batch.message_count = events,
        rowcast.room = Empty
    )
}

/// Tells the room of the span that the caller is in.
pub(crate) fn set_current_room(room: &Room) {
    set_room(&Span::current(), room);
}

/// Tells a span's room.
pub(crate) fn set_room(span: &Span, room: &Room) {
    if !span.is_disabled() {
        span.record(ROOM, room.as_str());
    }
}

/// Links a span to the trace that a `traceparent` names (W3C Trace Context, version 00). Whatever is none is left out.
pub(crate) fn link(span: &Span, traceparent: &str) {
    if let Some(context) = span_context(traceparent) {
        span.add_link(context);
    }
}

fn span_context(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-');
    let [version, trace, parent, flags] = [(); 4].map(|()| parts.next().unwrap_or_default());
    let has_form = version == "00"
        && trace.len() == 32
        && parent.len() == 16
        && flags.len() == 2
        && parts.next().is_none();
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok().filter(|_| has_form)?,
        SpanId::from_hex(parent).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()?),
        true,
        TraceState::default(),
    );
    context.is_valid().then_some(context)
}

/// Tells how many rooms a span is about.
pub(crate) fn set_rooms(span: &Span, rooms: usize) {
    span.record(ROOMS, rooms);
}

/// Tells how many events a pass has found.
pub(crate) fn set_events(span: &Span, events: usize) {
    if events > 0 {
        span.record(EVENTS, events);
    }
}

/// Tells how many rooms the policy refused, and whether it could not be asked about some.
pub(crate) fn set_verdicts(span: &Span, denied: usize, unavailable: usize) {
    span.record("rowcast.denied", denied);
    if unavailable > 0 {
        fail(span, "unavailable");
    }
}

/// Tells the status of an answer.
pub(crate) fn set_status(span: &Span, status: u16) {
    if span.is_disabled() {
        return;
    }
    span.record("http.response.status_code", status);
    if status >= 500 {
        fail(span, status);
    }
}

/// Tells how it ended: a fixed word.
pub(crate) fn set_outcome(span: &Span, outcome: &'static str) {
    span.record(OUTCOME, outcome);
}

/// It was refused, with this code: the client's doing.
pub(crate) fn refuse(span: &Span, code: impl fmt::Display) {
    span.record(OUTCOME, "refused");
    span.record(ERROR, display(code));
}

/// It failed, for this reason: no doing of the client's.
pub(crate) fn fail(span: &Span, code: impl fmt::Display) {
    span.record(ERROR, display(code));
    span.record(STATUS, "error");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_names_a_span_and_anything_else_nothing() {
        let whole = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = span_context(whole).expect("a context");
        assert!(context.is_sampled() && context.is_remote());
        assert_eq!(context.span_id().to_string(), "00f067aa0ba902b7");
        for other in [
            "",
            "x",
            &whole[..54],
            &whole.replace("00-4bf", "01-4bf"),
            &whole.replace('a', "g"),
            &whole.replace('-', "+"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            assert_eq!(span_context(other), None, "{other}");
        }
    }
}
