//! What a running server waits for, and its orderly stop.

use std::time::Duration;

use anyhow::bail;
use tokio::time::timeout;

use super::App;
use crate::embedded::Embedded;
use crate::shutdown::Signals;

impl App {
    pub(super) async fn run(mut self, mut signals: Signals, drain: Duration) -> anyhow::Result<()> {
        let cause = tokio::select! {
            signal = signals.next() => Ok(signal),
            ended = self.tasks.join_next() => Err(format!("{ended:?}")),
            ended = &mut self.reader => Err(format!("the reader: {ended:?}")),
            ended = &mut self.public => Err(format!("the public listener: {ended:?}")),
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

    async fn drain(mut self, deadline: Duration, whole: bool) {
        self.stop.draining.cancel();
        self.stop.reader.cancel();
        if whole {
            // It may wait for a database that does not answer. The clients must still be told.
            if timeout(deadline / 4, &mut self.reader).await.is_err() {
                tracing::warn!("the reader did not finish its batch in time");
                self.reader.abort();
            }
        }
        self.stop.server.cancel();
        self.gateway.close(deadline / 2).await;
        if whole {
            let _ = (&mut self.public).await;
        }
        self.stop.rest.cancel();
        while self.tasks.join_next().await.is_some() {}
        for pool in &self.pools {
            pool.close().await;
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
