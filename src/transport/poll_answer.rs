//! The engine's answers to polls, and what is changed in them on their way out.
//!
//! An answer to a poll holds the packets that waited for a polling client. If CONNECT is among them, it gets its pid, which
//! socketioxide can't put there. And while the engine is being closed, it refuses newcomers in a way that makes a stock client
//! give up for ever; that answer is replaced by one that makes the client try again.

use axum::body::{HttpBody as _, to_bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::frame;

/// Between the packets of an answer to a poll (Engine.IO protocol v4, "HTTP long-polling").
const PACKET_SEPARATOR: u8 = 0x1e;

/// Whether an answer to a poll has what was queued for the client. One of a single byte is a bare packet of the engine's, and
/// has no event: while the engine session is being upgraded, the engine answers each poll with NOOP, and what is queued waits
/// for the WebSocket.
pub(super) fn emptied_queue(response: &Response) -> bool {
    let is_bare = response
        .body()
        .size_hint()
        .upper()
        .is_some_and(|bytes| bytes <= 1);
    response.status() == StatusCode::OK && !is_bare
}

/// The answer, unless it would make a newcomer give up for ever: then one that makes it try again.
pub(super) async fn unless_closing(response: Response) -> Response {
    let (head, body) = response.into_parts();
    match to_bytes(body, usize::MAX).await {
        Ok(body)
            if body
                .split(|byte| *byte == PACKET_SEPARATOR)
                .any(|packet| packet == frame::CLOSING) =>
        {
            unknown_session()
        }
        Ok(body) => Response::from_parts(head, body.into()),
        Err(_) => unknown_session(),
    }
}

/// The answer with the pid in the CONNECT packet, and whether that was in it.
pub(super) async fn with_pid(response: Response, pid: &str) -> (Response, bool) {
    let (mut head, body) = response.into_parts();
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return (StatusCode::INTERNAL_SERVER_ERROR.into_response(), false);
    };
    let mut packets: Vec<&[u8]> = body.split(|byte| *byte == PACKET_SEPARATOR).collect();
    let connect = packets.iter().enumerate().find_map(|(index, packet)| {
        frame::connect_with_pid(packet, pid).map(|connect| (index, connect))
    });
    let Some((index, connect)) = connect else {
        return (Response::from_parts(head, body.into()), false);
    };
    packets[index] = &connect;
    let changed = packets.join(&PACKET_SEPARATOR);
    head.headers.remove(header::CONTENT_LENGTH);
    (Response::from_parts(head, changed.into()), true)
}

/// What Engine.IO answers to a request of an engine session that has ended; a stock client then connects anew.
pub(super) fn unknown_session() -> Response {
    let body = r#"{"code":1,"message":"Session ID unknown"}"#;
    (
        StatusCode::BAD_REQUEST,
        [(header::CONTENT_TYPE, "application/json")],
        body,
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn body(response: Response) -> String {
        let bytes = to_bytes(response.into_body(), 1_000).await.expect("a body");
        String::from_utf8(bytes.to_vec()).expect("text")
    }

    #[tokio::test]
    async fn connect_gets_its_pid_among_other_packets() {
        let answer = "2\u{1e}40{\"sid\":\"s\"}\u{1e}42[\"a\"]".into_response();
        let (answer, found) = with_pid(answer, "p").await;
        assert!(found);
        assert_eq!(
            body(answer).await,
            "2\u{1e}40{\"sid\":\"s\",\"pid\":\"p\"}\u{1e}42[\"a\"]"
        );
        let (answer, found) = with_pid("42[\"40\"]".into_response(), "p").await;
        assert_eq!((body(answer).await.as_str(), found), ("42[\"40\"]", false));
    }

    #[test]
    fn a_bare_packet_of_the_engine_has_emptied_nothing() {
        for body in ["", "6", "2"] {
            assert!(!emptied_queue(&body.into_response()), "{body:?}");
        }
        assert!(!emptied_queue(&unknown_session()));
        for body in ["42[]", "6\u{1e}42[\"a\"]"] {
            assert!(emptied_queue(&body.into_response()), "{body:?}");
        }
    }

    #[tokio::test]
    async fn a_newcomer_is_not_sent_away_for_good() {
        let closing = std::str::from_utf8(frame::CLOSING).expect("text");
        let answer = unless_closing(format!("6\u{1e}{closing}").into_response()).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let answer = unless_closing("6".into_response()).await;
        assert_eq!(answer.status(), StatusCode::OK);
    }
}
