//! What a running server waits for, and the order in which it stops.
//!
//! A server runs until a signal comes or a part ends by itself. Then `App::drain` stops one part after another: first the
//! reader, so that what was committed is still delivered; then the public listener and the clients; then everything else; the
//! database last. Each step has a share of the deadline `ROWCAST_DRAIN`, so that one that hangs leaves time for the others.

use std::time::Duration;

use anyhow::bail;
use tokio::time::timeout;

use super::App;
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
        self.tasks.draining.cancel();
        self.tasks.stop(StopPhase::Reader);
        if whole {
            // The reader may wait for a database that does not answer. Time must be left to close the clients.
            let finished = timeout(deadline / 4, self.tasks.wait(StopPhase::Reader)).await;
            if finished.is_err() {
                tracing::warn!("the reader did not finish its batch in time");
                self.tasks.abort_reader();
            }
        }
        self.tasks.stop(StopPhase::PublicListener);
        self.socket_server.close(deadline / 2).await;
        if whole {
            self.tasks.wait(StopPhase::PublicListener).await;
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
}

async fn embedded_exit(embedded: Option<&Embedded>) {
    match embedded {
        Some(embedded) => embedded.exited().await,
        None => std::future::pending().await,
    }
}
