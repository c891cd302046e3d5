//! Many questions, one statement: questions that arrive while statements are under way go into the next one.
//!
//! A single question is asked at once. When thousands of clients come back together, each statement carries the questions that
//! have gathered meanwhile, and at most `concurrency` statements run at a time.
//! There is no task behind this: one of the callers runs the statement for all. If that caller is dropped, its statement is
//! lost, and the others ask again.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::sync::{Semaphore, oneshot};

/// Puts questions of one kind together into statements.
pub(super) struct QueryBatcher<Q, A> {
    waiting: Mutex<Vec<(Q, oneshot::Sender<A>)>>,
    concurrency: Semaphore,
    max_batch: usize,
}

impl<Q: Clone, A> QueryBatcher<Q, A> {
    /// At most `concurrency` statements at a time, each with `max_batch` questions.
    pub(super) fn new(concurrency: u32, max_batch: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            concurrency: Semaphore::new(concurrency as usize),
            max_batch,
        }
    }

    /// Asks. `together` answers any number of questions, in their order.
    pub(super) async fn ask<F, R>(&self, question: Q, together: F) -> A
    where
        F: Fn(Vec<Q>) -> R,
        R: Future<Output = Vec<A>>,
    {
        loop {
            let (sender, mut answer) = oneshot::channel();
            self.waiting().push((question.clone(), sender));
            loop {
                let turn = tokio::select! {
                    biased;
                    answered = &mut answer => match answered {
                        Ok(answer) => return answer,
                        // The caller that asked for us was dropped half-way.
                        Err(_) => break,
                    },
                    turn = self.concurrency.acquire() => turn,
                };
                let (questions, senders) = self.take_batch();
                if questions.is_empty() {
                    // Another caller is asking ours.
                    drop(turn);
                    match (&mut answer).await {
                        Ok(answer) => return answer,
                        Err(_) => break,
                    }
                }
                for (sender, answer) in senders.into_iter().zip(together(questions).await) {
                    // The one that waited may be gone.
                    drop(sender.send(answer));
                }
            }
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<(Q, oneshot::Sender<A>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_batch(&self) -> (Vec<Q>, Vec<oneshot::Sender<A>>) {
        let mut waiting = self.waiting();
        let some = waiting.len().min(self.max_batch);
        waiting
            .drain(..some)
            .filter(|(_, sender)| !sender.is_closed())
            .unzip()
    }
}

/// One value of each row, as a statement takes them: an array for each column.
pub(super) fn column<T, C>(rows: &[T], of: impl Fn(&T) -> C) -> Vec<C> {
    rows.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn what_is_asked_meanwhile_is_asked_together() {
        let batcher = QueryBatcher::new(1, 1_000);
        let statements = AtomicUsize::new(0);
        let double = async |questions: Vec<u32>| {
            statements.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            questions.iter().map(|n| n * 2).collect()
        };
        let asked = (0..100).map(|n| batcher.ask(n, double));
        let answers = futures_util::future::join_all(asked).await;
        assert_eq!(answers, (0..100).map(|n| n * 2).collect::<Vec<_>>());
        assert_eq!(statements.load(Ordering::Relaxed), 2, "one, and the rest");
    }

    #[tokio::test]
    async fn one_who_is_dropped_keeps_nobody_waiting() {
        let batcher = QueryBatcher::new(1, 1_000);
        let never = batcher.ask(1, async |_: Vec<u32>| {
            std::future::pending::<Vec<u32>>().await
        });
        let other = batcher.ask(2, async |questions: Vec<u32>| questions);
        let mut never = Box::pin(never);
        let mut other = Box::pin(other);
        assert!(futures_util::poll!(&mut never).is_pending());
        assert!(futures_util::poll!(&mut other).is_pending());
        drop(never);
        assert_eq!(other.await, 2);
    }
}
