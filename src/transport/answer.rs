//! The body of an HTTP answer on its way to the client: in pieces, and only as fast as the client takes it.
//!
//! Why it exists: hyper copies what it is given before it writes any of it, and the connection takes all that hyper writes at once. So
//! a large answer that comes in one piece is held three times while nobody reads it.
//! Guarantees that of an answer only some pieces are held beside the answer itself, and that the connection learns when nothing is
//! left to give: from then on it is idle.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;

use super::connection::Connection;
use super::reading::Reading;

/// What hyper is given at once.
const PIECE_BYTES: usize = 32 * 1024;
/// What is left is given with the piece before it, if it is less than this.
const LEAST_BYTES: usize = 1024;

/// A body that is given out in pieces.
pub(super) struct Answer {
    /// Kept until all is given: whoever made it may count what it holds.
    body: Body,
    rest: Bytes,
    connection: Arc<Connection>,
}

impl Answer {
    /// Gives out `body` on this connection.
    pub(super) fn new(body: Body, connection: Arc<Connection>) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            connection,
        }
    }

    fn next_piece(&mut self) -> Bytes {
        let bytes = if self.rest.len() < PIECE_BYTES + LEAST_BYTES {
            self.rest.len()
        } else {
            PIECE_BYTES
        };
        self.rest.split_to(bytes)
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                end => return Poll::Ready(end),
            }
        }
        Poll::Ready(Some(Ok(Frame::data(self.next_piece()))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let mut hint = self.body.size_hint();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.connection.set_reading(Reading::Idle(Instant::now()));
    }
}
