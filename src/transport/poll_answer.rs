//! The engine's answers to polls, and what is changed in them on their way out.
//!
//! An answer to a poll holds the packets that waited for a polling client. If CONNECT is among them, it gets its pid, which
//! socketioxide can't put there. And while the engine is being closed, it answers in ways that make clients give up for ever:
//! newcomers are refused, and who is connected is sent a CLOSE packet, after which python-socketio does not come back. Such an
//! answer is replaced by one that makes the client try again.

use std::borrow::Cow;

use axum::body::{HttpBody as _, to_bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use serde_json::Value;

use super::engine_error::EngineError;
use super::frame;

/// Between the packets of an answer to a poll (Engine.IO protocol v4, "HTTP long-polling").
const PACKET_SEPARATOR: u8 = 0x1e;

/// Engine.IO's CLOSE packet.
const CLOSE: &[u8] = b"1";

/// Whether an answer to a poll has what was queued for the client. One of a single byte is a bare packet of the engine's, and
/// has no event: as soon as the engine hears of an upgrade it answers a poll that waits with NOOP, and what is queued waits for
/// the WebSocket.
pub(super) fn emptied_queue(response: &Response) -> bool {
    let is_bare = response
        .body()
        .size_hint()
        .upper()
        .is_some_and(|bytes| bytes <= 1);
    response.status() == StatusCode::OK && !is_bare
}

/// The answer, unless it would make a client give up for ever: then one that makes it try again.
pub(super) async fn unless_closing(response: Response) -> Response {
    let (head, body) = response.into_parts();
    match to_bytes(body, usize::MAX).await {
        Ok(body)
            if body
                .split(|byte| *byte == PACKET_SEPARATOR)
                .any(|packet| packet == frame::CLOSING || packet == CLOSE) =>
        {
            EngineError::UnknownSession.into_response()
        }
        Ok(body) => Response::from_parts(head, body.into()),
        Err(_) => EngineError::UnknownSession.into_response(),
    }
}

/// The answer with a pid in each CONNECT packet, in their order, as long as there are pids, and with the data of a refusal in the
/// CONNECT_ERROR packet.
pub(super) async fn with_pids(
    response: Response,
    mut next_pid: impl FnMut() -> Option<Box<str>>,
    mut refusal: impl FnMut() -> Option<&'static str>,
) -> Response {
    let (mut head, body) = response.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let mut is_changed = false;
    let packets = body.split(|byte| *byte == PACKET_SEPARATOR).map(|packet| {
        if frame::connect_error_with_data(packet, "").is_some() {
            let refused = refusal().and_then(|data| frame::connect_error_with_data(packet, data));
            is_changed |= refused.is_some();
            return refused.map_or(Cow::Borrowed(packet), Cow::Owned);
        }
        if frame::connect_with_pid(packet, "").is_none() {
            return Cow::Borrowed(packet);
        }
        let connect = next_pid().and_then(|pid| frame::connect_with_pid(packet, &pid));
        is_changed |= connect.is_some();
        connect.map_or(Cow::Borrowed(packet), Cow::Owned)
    });
    let packets: Vec<_> = packets.collect();
    if !is_changed {
        return Response::from_parts(head, body.into());
    }
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, packets.join(&PACKET_SEPARATOR).into())
}

/// The answer to the request that opened a session, with `max_payload` as the largest message that is taken, and the session's id.
/// `None` as the id: the request was refused.
pub(super) async fn opened(response: Response, max_payload: usize) -> (Response, Option<String>) {
    if response.status() != StatusCode::OK {
        return (response, None);
    }
    let (mut head, body) = response.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return (StatusCode::INTERNAL_SERVER_ERROR.into_response(), None);
    };
    let Some(open) = frame::open_with_max_payload(&body, max_payload) else {
        return (Response::from_parts(head, body.into()), None);
    };
    head.headers.remove(header::CONTENT_LENGTH);
    let id = serde_json::from_str(&open[1..])
        .ok()
        .and_then(|open: Value| Some(open["sid"].as_str()?.to_owned()));
    (Response::from_parts(head, open.into()), id)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    async fn body(response: Response) -> String {
        let bytes = to_bytes(response.into_body(), 1_000).await.expect("a body");
        String::from_utf8(bytes.to_vec()).expect("text")
    }

    #[tokio::test]
    async fn connect_gets_its_pid_among_other_packets() {
        let mut pids: VecDeque<Box<str>> = ["p", "q", "r"].map(Into::into).into();
        let packets = ["2", "40{\"sid\":\"s\"}", "42[\"a\"]", "40{\"sid\":\"s\"}"];
        let answer = packets.join("\u{1e}").into_response();
        let answer = with_pids(answer, || pids.pop_front(), || None).await;
        assert_eq!(
            body(answer).await,
            "2\u{1e}40{\"sid\":\"s\",\"pid\":\"p\"}\u{1e}42[\"a\"]\u{1e}40{\"sid\":\"s\",\"pid\":\"q\"}"
        );
        let answer = with_pids("42[\"40\"]".into_response(), || pids.pop_front(), || None).await;
        assert_eq!(body(answer).await, "42[\"40\"]");
        assert_eq!(pids.len(), 1, "one is left for the next CONNECT");
    }

    #[test]
    fn a_bare_packet_of_the_engine_has_emptied_nothing() {
        for body in ["", "6", "2"] {
            assert!(!emptied_queue(&body.into_response()), "{body:?}");
        }
        assert!(!emptied_queue(&EngineError::UnknownSession.into_response()));
        for body in ["42[]", "6\u{1e}42[\"a\"]"] {
            assert!(emptied_queue(&body.into_response()), "{body:?}");
        }
    }

    #[tokio::test]
    async fn a_newcomer_is_not_sent_away_for_good() {
        let closing = std::str::from_utf8(frame::CLOSING).expect("text");
        for last in [closing, "1"] {
            let answer = unless_closing(format!("6\u{1e}{last}").into_response()).await;
            assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        }
        let answer = unless_closing("6".into_response()).await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
}
