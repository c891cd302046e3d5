//! The background tasks: started here alone, watched, and ended in the order of the shutdown.
//!
//! Owns every task that lives as long as the server. Each task belongs to a [`StopPhase`] and is given that phase's token; it ends
//! when the token is cancelled and never before. A task that ends earlier is reported by [`Tasks::ended`].
//! Tasks that belong to one connection, one replay or one request are not here: whoever needs them holds them in a `JoinSet`.
//!
//! The reader, with the broadcast behind it, and the listener, which wakes it, have a thread of their own. On the threads of everybody
//! else each of their steps would queue behind thousands of clients that come back at once; here the kernel shares the processors out.
//! So has the relay, which stands between the two, and tells other servers while the reader broadcasts.

#![expect(
    clippy::disallowed_methods,
    reason = "the one module that spawns, because it is the one that watches"
)]

use std::future::Future;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

/// When a task is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopPhase {
    /// First, so that nobody new comes in while the others are closed: the task `public listener`.
    PublicListener,
    /// Second, once every client is cut, so that each hears what happens until then: the task `reader`.
    Reader,
    /// Last, in no order: everything else, the admin listener too.
    Rest,
}

/// A thread for tasks that must not wait for clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Apart {
    /// The reader and the listener.
    Feed,
    /// The relay.
    Relay,
}

struct OwnThread(Option<Runtime>);

impl OwnThread {
    fn start(which: Apart) -> std::io::Result<Self> {
        let thread = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(match which {
                Apart::Feed => "rowcast-feed",
                Apart::Relay => "rowcast-relay",
            })
            .enable_all()
            .build()?;
        Ok(Self(Some(thread)))
    }
}

impl Drop for OwnThread {
    /// Not by waiting: this may be a thread that must not block.
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            thread.shutdown_background();
        }
    }
}

/// Every background task, and what ends it.
#[derive(Default)]
pub(super) struct Tasks {
    threads: Vec<(Apart, OwnThread)>,
    /// The server stops: it is unready, and accepts no connection. Ends no task.
    pub(super) draining: CancellationToken,
    /// Clients are being cut: nobody new is let in, and requests that wait are answered. Ends no task.
    pub(super) closing_clients: CancellationToken,
    stop_reader: CancellationToken,
    stop_listener: CancellationToken,
    stop_rest: CancellationToken,
    /// Each ends by cancellation only, and gives its name when it does.
    rest: JoinSet<&'static str>,
    reader: Option<JoinHandle<()>>,
    public_listener: Option<JoinHandle<()>>,
}

impl Tasks {
    /// Starts a task. It must end when the token that it is given is cancelled, and not before.
    pub(super) fn start<T>(
        &mut self,
        name: &'static str,
        phase: StopPhase,
        task: impl FnOnce(CancellationToken) -> T,
    ) where
        T: Future<Output = ()> + Send + 'static,
    {
        let task = task(self.token(phase).clone());
        self.spawn(name, phase, task, &Handle::current());
    }

    /// The same, on a thread apart. Its connections are served there, too.
    ///
    /// # Errors
    /// There can't be another thread.
    pub(super) fn start_apart<T>(
        &mut self,
        which: Apart,
        name: &'static str,
        phase: StopPhase,
        task: impl FnOnce(CancellationToken) -> T,
    ) -> std::io::Result<()>
    where
        T: Future<Output = ()> + Send + 'static,
    {
        if !self.threads.iter().any(|(one, _)| *one == which) {
            self.threads.push((which, OwnThread::start(which)?));
        }
        let thread = self.threads.iter().find(|(one, _)| *one == which);
        let handle = thread.and_then(|(_, thread)| Some(thread.0.as_ref()?.handle().clone()));
        let task = task(self.token(phase).clone());
        self.spawn(name, phase, task, &handle.unwrap_or_else(Handle::current));
        Ok(())
    }

    fn spawn<T>(&mut self, name: &'static str, phase: StopPhase, task: T, on: &Handle)
    where
        T: Future<Output = ()> + Send + 'static,
    {
        match phase {
            StopPhase::Reader => self.reader = Some(on.spawn(task)),
            StopPhase::PublicListener => self.public_listener = Some(on.spawn(task)),
            StopPhase::Rest => {
                let task = async move {
                    task.await;
                    name
                };
                self.rest.spawn_on(task, on);
            }
        }
    }

    fn token(&self, phase: StopPhase) -> &CancellationToken {
        match phase {
            StopPhase::Reader => &self.stop_reader,
            StopPhase::PublicListener => &self.stop_listener,
            StopPhase::Rest => &self.stop_rest,
        }
    }

    /// Waits until a task ends by itself, which none may, and says which one and how.
    pub(super) async fn ended(&mut self) -> String {
        tokio::select! {
            Some(ended) = self.rest.join_next() => format!("{ended:?}"),
            ended = joined(&mut self.reader) => format!("the reader: {ended:?}"),
            ended = joined(&mut self.public_listener) => format!("the public listener: {ended:?}"),
        }
    }

    /// Asks the tasks of a phase to end.
    pub(super) fn stop(&self, phase: StopPhase) {
        self.token(phase).cancel();
    }

    /// Waits until the tasks of a phase have ended.
    pub(super) async fn wait(&mut self, phase: StopPhase) {
        match phase {
            StopPhase::Reader => drop(joined(&mut self.reader).await),
            StopPhase::PublicListener => drop(joined(&mut self.public_listener).await),
            StopPhase::Rest => while self.rest.join_next().await.is_some() {},
        }
    }

    /// Ends the reader where it is.
    pub(super) fn abort_reader(&self) {
        if let Some(reader) = &self.reader {
            reader.abort();
        }
    }
}

/// The end of a task that was started; never, where none was.
async fn joined(task: &mut Option<JoinHandle<()>>) -> Result<(), tokio::task::JoinError> {
    match task {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}
