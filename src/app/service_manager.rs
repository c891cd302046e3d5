//! What the service manager that started the process is told, where there is one: systemd, by `sd_notify(3)`.
//!
//! Guarantees that a unit of `Type=notify` does not fail for ever because its database is away: it is told READY once the server serves,
//! or once the start waits for something that is wrong, which STATUS then says. A start that only takes its time asks for more.
//! The watchdog is fed only while the runtime turns and the reader is not stuck in the server's own code. What the reader waits for from
//! Postgres has bounds of its own, and a restart would not mend it.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, interval};
use tokio_util::sync::CancellationToken;

use super::tasks::{StopPhase, Tasks};
use crate::http::Health;
use crate::status::{ReaderStatus, StartStatus};

/// How often is looked, where the watchdog does not want more.
const LOOK: Duration = Duration::from_secs(5);
/// For so long a start that takes its time is not ended by the service manager, from each look on.
const MORE_TIME: Duration = Duration::from_secs(30);

/// A server that serves.
pub(super) struct Serving {
    pub(super) address: SocketAddr,
    pub(super) health: Arc<Health>,
    pub(super) reader: watch::Receiver<ReaderStatus>,
}

/// Begins to tell how the start goes; and how the server is, from when it serves.
pub(super) fn start(
    status: watch::Receiver<StartStatus>,
    tasks: &mut Tasks,
) -> oneshot::Sender<Serving> {
    let (sender, serving) = oneshot::channel();
    let draining = tasks.draining.clone();
    tasks.start("service manager", StopPhase::Rest, |stop| async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = tell_all(status, serving, draining) => {}
        }
    });
    sender
}

/// The server stops.
pub(super) fn tell_stop() {
    tell(&[NotifyState::Stopping, NotifyState::Status("draining")]);
}

async fn tell_all(
    mut status: watch::Receiver<StartStatus>,
    mut serving: oneshot::Receiver<Serving>,
    draining: CancellationToken,
) {
    let watchdog = sd_notify::watchdog_enabled();
    // Half of what it allows, as sd_watchdog_enabled(3) advises.
    let mut looks = interval(watchdog.map_or(LOOK, |most| LOOK.min(most / 2)));
    let mut told = Told::default();
    let serving = loop {
        let at = status.borrow_and_update().clone();
        if !draining.is_cancelled() {
            told.start(&at);
        }
        tokio::select! {
            biased;
            serving = &mut serving => match serving {
                Ok(serving) => break serving,
                // The start has failed.
                Err(_) => pending().await,
            },
            Ok(()) = status.changed() => {}
            _ = looks.tick() => {
                tell(&[NotifyState::Watchdog]);
                if !told.is_ready {
                    tell(&[NotifyState::ExtendTimeoutUsec(MORE_TIME.as_micros() as u32)]);
                }
            }
        }
    };
    loop {
        if !draining.is_cancelled() {
            told.ready();
            told.status(status_of(&serving));
        }
        looks.tick().await;
        if serving.reader.borrow().is_stuck(Instant::now()) {
            tracing::error!("the reader is stuck: the watchdog is not fed");
        } else {
            tell(&[NotifyState::Watchdog]);
        }
    }
}

fn status_of(serving: &Serving) -> String {
    let checks = serving.health.by_check();
    let failing: Vec<_> = checks.iter().filter(|(_, passes)| !passes).collect();
    let address = serving.address;
    if failing.is_empty() {
        return format!("serves {address}");
    }
    let names: Vec<_> = failing.iter().map(|(name, _)| *name).collect();
    format!(
        "serves {address}, amiss: {} (see /readyz)",
        names.join(", ")
    )
}

/// What was told.
#[derive(Default)]
struct Told {
    is_ready: bool,
    status: String,
}

impl Told {
    fn start(&mut self, at: &StartStatus) {
        let word = if at.is_failing { "waits" } else { "starts" };
        self.status(format!("{word}: {}: {}", at.check, at.cause));
        if at.is_failing {
            self.ready();
        }
    }

    fn ready(&mut self) {
        if !self.is_ready {
            self.is_ready = true;
            tell(&[NotifyState::Ready]);
        }
    }

    fn status(&mut self, status: String) {
        if status != self.status {
            tell(&[NotifyState::Status(&status.replace('\n', " "))]);
            self.status = status;
        }
    }
}

/// Tells nobody where there is no service manager.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("the service manager was not told: {error}");
    }
}
