//! What a running server waits for, and the order in which it stops.
//!
//! A server runs until a signal comes or a part ends by itself. Then `App::drain` stops one part after another: first the public
//! listener; then, once what was committed is delivered, the clients; the reader, which goes on until the last of them is cut; then
//! everything else; the database last. Each step has a share of the deadline `ROWCAST_DRAIN`, so that one that hangs leaves time for the others.

use std::time::Duration;

use anyhow::bail;
use futures_util::future::join;
use tokio::time::{Instant, timeout};

use super::App;
use super::service_manager;
use super::tasks::StopPhase;
use crate::embedded::Embedded;
use crate::shutdown::Signals;

impl App {
    pub(super) async fn run(mut self, mut signals: Signals, drain: Duration) -> anyhow::Result<()> {
        let cause = tokio::select! {
            signal = signals.next() => Ok(signal),
            ended = self.tasks.ended() => Err(ended),
            () = embedded_exit(self.embedded.as_ref()) => Err("the embedded Postgres".to_owned()),
        };
        match &cause {
            Ok(signal) => {
                tracing::info!(signal, deadline_ms = drain.as_millis() as u64, "draining");
            }
            Err(part) => tracing::error!(
                part,
                "a part of the server ended by itself, the rest is stopped"
            ),
        }
        let stopped = tokio::select! {
            drained = timeout(drain, self.drain(drain, cause.is_ok())) => drained,
            signal = signals.next() => {
                tracing::warn!(signal, "second signal: ending at once");
                std::process::exit(1);
            }
        };
        if stopped.is_err() {
            tracing::warn!("the drain took longer than ROWCAST_DRAIN, what was left is dropped");
        }
        match cause {
            Ok(_) => {
                tracing::info!("stopped");
                Ok(())
            }
            Err(part) => bail!("ended because a part of the server did: {part}"),
        }
    }

    /// Stops everything in order. `whole` says that every part still runs: a part that has ended can't be waited for.
    async fn drain(mut self, deadline: Duration, whole: bool) {
        service_manager::tell_stop();
        self.tasks.draining.cancel();
        self.tasks.stop(StopPhase::PublicListener);
        if whole {
            let stored = self.socket_server.store_progress(deadline / 4);
            join(self.catch_up(deadline / 4), stored).await;
        }
        self.tasks.closing_clients.cancel();
        self.socket_server.cut_clients(deadline / 8).await;
        self.tasks.stop(StopPhase::Reader);
        let closed = self.socket_server.close_engine(deadline / 4);
        if whole {
            // The reader may wait for a database that does not answer.
            let read = timeout(deadline / 4, self.tasks.wait(StopPhase::Reader));
            let (finished, ()) = join(read, closed).await;
            if finished.is_err() {
                tracing::warn!("the reader did not end in time");
                self.tasks.abort_reader();
            }
            self.tasks.wait(StopPhase::PublicListener).await;
        } else {
            closed.await;
        }
        self.tasks.stop(StopPhase::Rest);
        self.tasks.wait(StopPhase::Rest).await;
        // A connection that hangs must leave time to stop the embedded Postgres.
        if timeout(deadline / 8, self.pools.close()).await.is_err() {
            tracing::warn!(
                "connections to the database were not given back in time, and are dropped"
            );
        }
        if let Some(embedded) = self.embedded
            && let Err(error) = embedded.stop().await
        {
            tracing::warn!("the embedded Postgres did not stop cleanly: {error:#}");
        }
    }

    /// Waits until the reader has found everything that was committed before the stop.
    async fn catch_up(&self, patience: Duration) {
        let begun = Instant::now();
        self.wake.send_replace(());
        let mut reader = self.reader.clone();
        let caught_up = reader.wait_for(|status| {
            status.failing.is_some() || status.caught_up.is_some_and(|at| at > begun)
        });
        if timeout(patience, caught_up).await.is_err() {
            tracing::warn!("the reader did not finish its batch in time");
        }
    }
}

async fn embedded_exit(embedded: Option<&Embedded>) {
    match embedded {
        Some(embedded) => embedded.exited().await,
        None => std::future::pending().await,
    }
}
