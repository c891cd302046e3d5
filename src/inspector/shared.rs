//! One answer for all who look, made anew when it is asked for and too old.
//!
//! Guarantees that it is made once at a time: whoever asks meanwhile waits for that one. A maker that is dropped, because its client
//! has gone, leaves the next in the queue to make it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// An answer, and how long it is good for. Its lock is held while the answer is made, and protects nothing else.
pub(super) struct Shared<T> {
    keep: Duration,
    made: Mutex<Option<(Instant, Arc<T>)>>,
}

impl<T> Shared<T> {
    /// Nothing yet, and later for so long.
    pub(super) fn keeping(keep: Duration) -> Self {
        Self {
            keep,
            made: Mutex::default(),
        }
    }

    /// The answer: the one that there is while it is good, or what `make` makes.
    pub(super) async fn get(&self, make: impl Future<Output = T>) -> Arc<T> {
        let mut made = self.made.lock().await;
        if let Some((at, answer)) = &*made
            && at.elapsed() < self.keep
        {
            return answer.clone();
        }
        let answer = Arc::new(make.await);
        *made = Some((Instant::now(), answer.clone()));
        answer
    }

    /// Drops an answer that is older than that. True: there is none.
    pub(super) async fn forget(&self, older: Duration) -> bool {
        let mut made = self.made.lock().await;
        if made.as_ref().is_some_and(|(at, _)| at.elapsed() >= older) {
            *made = None;
        }
        made.is_none()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn many_who_look_have_one_answer_and_it_is_forgotten() {
        let made = AtomicUsize::default();
        let make = async || {
            tokio::task::yield_now().await;
            made.fetch_add(1, Ordering::Relaxed) + 1
        };
        let shared = Shared::keeping(Duration::MAX);
        let seen = join_all((0..50).map(|_| shared.get(make()))).await;
        assert!(seen.iter().all(|seen| **seen == 1));
        assert!(!shared.forget(Duration::MAX).await, "it is not old");
        assert!(shared.forget(Duration::ZERO).await);
        assert_eq!(*shared.get(make()).await, 2);
        let stale = Shared::keeping(Duration::ZERO);
        let seen = join_all((0..3).map(|_| stale.get(make()))).await;
        assert_eq!(
            seen.iter().map(|seen| **seen).collect::<Vec<_>>(),
            [3, 4, 5]
        );
    }
}
