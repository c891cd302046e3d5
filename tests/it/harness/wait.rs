//! Waiting for facts.
//!
//! Every wait of the suite goes through here, so that each has an upper bound and says what it waited for when the
//! bound is reached. Nothing here lets time pass for its own sake.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// How long a test waits for anything that should happen at once, on a machine that has other work.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Awaits `fact` for at most [`PATIENCE`].
pub(crate) async fn within<T>(what: impl Display, fact: impl Future<Output = T>) -> T {
    within_for(PATIENCE, what, fact).await
}

/// Awaits `fact` for at most `patience`.
pub(crate) async fn within_for<T>(
    patience: Duration,
    what: impl Display,
    fact: impl Future<Output = T>,
) -> T {
    match timeout(patience, fact).await {
        Ok(value) => value,
        Err(_) => panic!("waited {patience:?} for {what}"),
    }
}

/// Asks `probe` again and again until it answers `Some`, for at most [`PATIENCE`].
pub(crate) async fn until<T>(what: impl Display, probe: impl AsyncFnMut() -> Option<T>) -> T {
    until_for(PATIENCE, what, probe).await
}

/// Asks `probe` again and again until it answers `Some`, for at most `patience`.
pub(crate) async fn until_for<T>(
    patience: Duration,
    what: impl Display,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {patience:?} for {what}");
        sleep(Duration::from_millis(5)).await;
    }
}
