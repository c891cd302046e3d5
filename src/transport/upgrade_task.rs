//! What is done with a connection that leaves HTTP for WebSocket.
//!
//! The task is set while the request is answered, and run by the connection's own task once hyper has let go of the connection.
//! So it needs no task of its own, and ends with the connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

/// A place for that task. Each request carries it as an extension.
#[derive(Clone, Default)]
pub(super) struct UpgradeTask(Arc<Mutex<Option<Task>>>);

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

impl UpgradeTask {
    pub(super) fn set(&self, task: impl Future<Output = ()> + Send + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::pin(task));
    }

    pub(super) async fn run(&self) {
        let task = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.await;
        }
    }
}
