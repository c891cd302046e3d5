//! The third step of the start: the listener, the reader, pruning and the self-probe.
//!
//! LISTEN comes before the first read, so that no commit between the two is announced to nobody. Returns once the reader has
//! found where the database is: from then on joins are possible.

use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::time::timeout;

use super::database::Served;
use super::delivery::FeedEnds;
use super::tasks::{Phase, Tasks};
use crate::config::Config;
use crate::db::{Follow, Pruner};
use crate::feed::{Listener, Reader, run_probe, run_retention};
use crate::metrics::Metrics;
use crate::status::{ListenerStatus, ReaderStatus};

/// How long the start waits for LISTEN. Where it can't be had (a pooler in transaction mode), the poll delivers.
const LISTEN_PATIENCE: Duration = Duration::from_secs(5);

/// What the listener and the reader say of themselves.
pub(super) struct Feed {
    pub(super) listener: watch::Receiver<ListenerStatus>,
    pub(super) reader: watch::Receiver<ReaderStatus>,
}

pub(super) async fn start(
    config: &Config,
    served: &Served,
    ends: FeedEnds,
    metrics: &Metrics,
    tasks: &mut Tasks,
) -> anyhow::Result<Feed> {
    let server_name = format!("{:016x}", rand::random::<u64>());
    let (listener_status, mut listener_state) = watch::channel(ListenerStatus::default());
    let (reader_status, mut reader_state) = watch::channel(ReaderStatus::default());

    let listener = Listener {
        database: served.database.clone(),
        wake: ends.wake,
        typing: ends.typing,
        takeovers: ends.takeovers,
        status: listener_status,
        server_name: server_name.clone(),
        metrics: metrics.clone(),
    };
    tasks.start("listener", Phase::Rest, |stop| listener.run(stop));
    let bound = listener_state.wait_for(|status| status.bound || status.pooled);
    if timeout(LISTEN_PATIENCE, bound).await.is_err() {
        tracing::warn!("LISTEN is not in force yet: events are delivered by the poll meanwhile");
    }

    let outbox = Follow::new(
        served.database.clone(),
        config.max_payload_bytes,
        metrics.clone(),
    );
    let reader = Reader::new(
        outbox,
        ends.broadcast,
        ends.woken,
        config.poll,
        reader_status,
        metrics.clone(),
    );
    tasks.start("reader", Phase::Reader, |stop| reader.run(stop));
    reader_state
        .wait_for(|status| status.caught_up.is_some())
        .await
        .context("the reader ended")?;

    let pruner = Pruner::new(served.pools.main.clone(), config.retention);
    tasks.start("retention", Phase::Rest, |stop| {
        run_retention(pruner, metrics.clone(), stop)
    });
    let pool = served.pools.main.clone();
    tasks.start("probe", Phase::Rest, |stop| {
        run_probe(pool, server_name, metrics.clone(), stop)
    });
    Ok(Feed {
        listener: listener_state,
        reader: reader_state,
    })
}

impl Feed {
    /// Waits until a notification of our own has come round, for a while.
    pub(super) async fn wait_for_probe(&self) {
        let mut listener = self.listener.clone();
        let probed = listener.wait_for(|status| status.probed.is_some() || status.pooled);
        if timeout(LISTEN_PATIENCE, probed).await.is_err() {
            tracing::warn!(
                "no notification of our own has come round yet: /readyz says 503 until one does"
            );
        }
    }
}
