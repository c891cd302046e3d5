//! The fifth step of the start: the listener, the reader, pruning, the self-probe and the watch over the attached tables.
//!
//! LISTEN comes before the first read, so that no commit between the two is announced to nobody. Returns once the reader has
//! found where the database is: from then on joins are possible.

use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::time::timeout;

use super::database::Served;
use super::delivery::FeedEnds;
use super::tasks::{Apart, StopPhase, Tasks};
use crate::config::{Config, RelayUrl};
use crate::db::{Follow, Pruner, SelfCheck};
use crate::delivery::Broadcast;
use crate::feed::{
    LinkEnds, Listener, Probe, Probes, Reader, Relay, SourceWatch, run_inbox, run_retention,
    run_self_check,
};
use crate::metrics::Metrics;
use crate::status::{Checks, ListenerStatus, ReaderStatus, SourcesStatus, StartStatus};

/// How long the start waits for LISTEN. Where it can't be had (a pooler in transaction mode), the poll delivers.
const LISTEN_PATIENCE: Duration = Duration::from_secs(5);

const NO_THREAD: &str = "cannot start the thread that reads the outbox";
/// The longest pause between two reads of a server that may lead others.
const LEADERS_POLL: Duration = Duration::from_secs(1);

/// What the listener and the reader say of themselves, and what is seen of the attached tables.
pub(super) struct Feed {
    pub(super) listener: watch::Receiver<ListenerStatus>,
    pub(super) reader: watch::Receiver<ReaderStatus>,
    pub(super) sources: watch::Receiver<SourcesStatus>,
    /// What else can fail.
    pub(super) checks: Checks,
}

pub(super) async fn start(
    config: &Config,
    served: &Served,
    ends: FeedEnds,
    waiting: &watch::Sender<StartStatus>,
    metrics: &Metrics,
    checks: &Checks,
    tasks: &mut Tasks,
) -> anyhow::Result<Feed> {
    let (notified, reading) = reading(config, &ends, metrics);
    let (listener_status, mut listener_state) = watch::channel(ListenerStatus::default());
    let (sources_changed, changed) = watch::channel(());
    let (reader_status, mut reader_state) = watch::channel(ReaderStatus::default());
    let main = served.pools.main.clone();
    let probes = Probes::new();
    let (probe, notify_queue_is_full) =
        Probe::new(main, probes.clone(), checks.clone(), metrics.clone());
    let listener = Listener {
        database: served.database.clone(),
        wake: notified,
        typing: ends.typing,
        takeovers: ends.takeovers,
        presence: ends.presence,
        sources: sources_changed,
        status: listener_status,
        notify_queue_is_full,
        server_name: probes.server_name().to_owned(),
        metrics: metrics.clone(),
    };
    start_listener(listener, &mut listener_state, tasks).await?;

    let listener = listener_state.clone();
    start_reader(
        config,
        served,
        (ends.broadcast, reading, reader_status),
        listener,
        metrics,
        checks,
        tasks,
    )?;
    wait_for_reader(&mut reader_state, waiting).await?;

    start_keeping(config, served, probes, metrics, checks, tasks).await;
    tasks.start("probe", StopPhase::Rest, |stop| probe.run(stop));
    let sources = watch_sources(served, changed, metrics, tasks);
    Ok(Feed {
        listener: listener_state,
        reader: reader_state,
        sources,
        checks: checks.clone(),
    })
}

/// What wakes the reader, and what stands between.
enum Reading {
    /// Whoever wakes it, at once.
    Direct(watch::Receiver<()>),
    /// The relay, which is woken by those who ask, and by writers.
    Relayed {
        relay: Relay,
        url: RelayUrl,
        woken: watch::Receiver<()>,
        asked: watch::Receiver<()>,
        notified: watch::Receiver<()>,
    },
}

/// How the reader is woken, and what the listener wakes.
async fn start_listener(
    listener: Listener,
    state: &mut watch::Receiver<ListenerStatus>,
    tasks: &mut Tasks,
) -> anyhow::Result<()> {
    tasks
        .start_apart(Apart::Feed, "listener", StopPhase::Rest, |stop| {
            listener.run(stop)
        })
        .context(NO_THREAD)?;
    let bound = state.wait_for(|status| status.bound || status.pooled);
    if timeout(LISTEN_PATIENCE, bound).await.is_err() {
        tracing::warn!("LISTEN is not in force yet: events are delivered by the poll meanwhile");
    }
    Ok(())
}

fn reading(config: &Config, ends: &FeedEnds, metrics: &Metrics) -> (watch::Sender<()>, Reading) {
    let Some(url) = config.relay.clone() else {
        return (ends.wake.clone(), Reading::Direct(ends.woken.clone()));
    };
    let (notified, heard) = watch::channel(());
    let (relay, woken) = Relay::new(config.max_payload_bytes, metrics.clone());
    let relayed = Reading::Relayed {
        relay,
        url,
        woken,
        asked: ends.woken.clone(),
        notified: heard,
    };
    (notified, relayed)
}

fn start_reader(
    config: &Config,
    served: &Served,
    (broadcast, reading, status): (Broadcast, Reading, watch::Sender<ReaderStatus>),
    listener: watch::Receiver<ListenerStatus>,
    metrics: &Metrics,
    checks: &Checks,
    tasks: &mut Tasks,
) -> anyhow::Result<()> {
    let outbox = Follow::new(
        served.database.clone(),
        config.max_payload_bytes,
        metrics.clone(),
    );
    let (poll, metrics) = (config.poll, metrics.clone());
    match reading {
        Reading::Direct(woken) => {
            let reader = Reader::new(outbox, broadcast, woken, poll, status, metrics);
            tasks
                .start_apart(Apart::Feed, "reader", StopPhase::Reader, |stop| {
                    reader.run(stop)
                })
                .context(NO_THREAD)
        }
        Reading::Relayed {
            relay,
            url,
            woken,
            asked,
            notified,
        } => {
            // Others wait for what a leader reads.
            let poll = poll.min(LEADERS_POLL);
            let feed = relay.feed(outbox);
            let reader = Reader::new(feed, broadcast, woken, poll, status, metrics);
            let link = relay.link(LinkEnds {
                servers: url,
                asked,
                notified,
                listener,
                checks: checks.clone(),
            });
            tasks
                .start_apart(Apart::Relay, "relay", StopPhase::Rest, |stop| {
                    link.run(stop)
                })
                .context(NO_THREAD)?;
            tasks
                .start_apart(Apart::Feed, "reader", StopPhase::Reader, |stop| {
                    reader.run(stop)
                })
                .context(NO_THREAD)
        }
    }
}

/// Starts what looks after the database and after the server itself.
async fn start_keeping(
    config: &Config,
    served: &Served,
    probes: Probes,
    metrics: &Metrics,
    checks: &Checks,
    tasks: &mut Tasks,
) {
    let self_check = SelfCheck::new(served.pools.main.clone(), checks.clone(), config.presence);
    // Before anybody is told that the server is ready.
    let _ = timeout(LISTEN_PATIENCE, self_check.look()).await;
    tasks.start("self-check", StopPhase::Rest, |stop| {
        run_self_check(self_check, checks.clone(), probes, stop)
    });
    let main = served.pools.main.clone();
    tasks.start("inbox", StopPhase::Rest, |stop| {
        run_inbox(main, metrics.clone(), stop)
    });
    let pruner = Pruner::new(served.pools.main.clone(), config.retention);
    tasks.start("retention", StopPhase::Rest, |stop| {
        run_retention(
            pruner,
            config.retention,
            metrics.clone(),
            checks.clone(),
            stop,
        )
    });
}

/// Waits until the reader has found where the database is. That it can't is told to `waiting`; the reader itself logs why.
async fn wait_for_reader(
    reader: &mut watch::Receiver<ReaderStatus>,
    waiting: &watch::Sender<StartStatus>,
) -> anyhow::Result<()> {
    let begun = |status: &ReaderStatus| status.caught_up.is_some() || status.failing.is_some();
    let status = reader
        .wait_for(begun)
        .await
        .context("the reader ended")?
        .clone();
    if let (None, Some((_, cause))) = (status.caught_up, &status.failing) {
        let cause = format!("the outbox can't be read: {cause}");
        waiting.send_replace(StartStatus::failing("reader", cause));
    }
    reader
        .wait_for(|status| status.caught_up.is_some())
        .await
        .context("the reader ended")?;
    Ok(())
}

fn watch_sources(
    served: &Served,
    changed: watch::Receiver<()>,
    metrics: &Metrics,
    tasks: &mut Tasks,
) -> watch::Receiver<SourcesStatus> {
    let (status, state) = watch::channel(SourcesStatus::default());
    let sources = SourceWatch {
        pool: served.pools.main.clone(),
        changed,
        status,
        metrics: metrics.clone(),
    };
    tasks.start("sources", StopPhase::Rest, |stop| sources.run(stop));
    state
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
