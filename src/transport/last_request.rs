//! The last request of a connection, once the server stops: it may have been on its way.
//!
//! Why it exists: a connection that was opened a moment before has not brought the request that it was opened for, and hyper closes one
//! of which it has read nothing. Its client would take that for a refusal.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::reading::Reading;

/// How long a connection may take, once the server stops, to bring the request that it was opened for.
const LAST_REQUEST: Duration = Duration::from_millis(250);
/// Between two looks whether it has.
const LAST_REQUEST_PAUSE: Duration = Duration::from_millis(5);

/// Returns once the server stops and the first request has not begun for too long.
pub(super) async fn overdue(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(LAST_REQUEST).await;
}

/// Returns once the server stops and no request is on its way in.
pub(super) async fn is_through(stop: &CancellationToken, connection: &Connection) {
    stop.cancelled().await;
    let patience = Instant::now() + LAST_REQUEST;
    while matches!(connection.reading(), Reading::Head(_)) && Instant::now() < patience {
        sleep(LAST_REQUEST_PAUSE).await;
    }
}
