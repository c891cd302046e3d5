//! The first look at every request, on the public and on the admin listener: by which name the server was called, and by whom.
//!
//! Outside of everything else, CORS too: a page that may not know of this server learns nothing.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::auth::{HostPolicy, HostRefused, Unwelcome};
use crate::http_error::Error;

/// Where Socket.IO is.
const SOCKETIO: [&str; 2] = ["/socket.io", "/socket.io/"];

/// Refuses a request whose head is not welcome.
pub(super) async fn look(
    State(policy): State<HostPolicy>,
    mut request: Request,
    next: Next,
) -> Response {
    match policy.check(request.uri(), request.headers()) {
        Ok(()) => {}
        // A client that may open an engine session is told why it can't connect, and does not try for ever.
        Err(Unwelcome::Host) if SOCKETIO.contains(&request.uri().path()) => {
            request.extensions_mut().insert(HostRefused);
        }
        Err(Unwelcome::Host) => return Error::HostNotAllowed.into_response(),
        Err(Unwelcome::Forwarded) => return Error::Forwarded.into_response(),
    }
    next.run(request).await
}
