//! Presence, where it is kept: the task that stores who is in which room and reads who is in those of others, and the one that tells clients.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::database::Served;
use super::tasks::{StopPhase, Tasks};
use crate::config::Config;
use crate::delivery::Hub;
use crate::feed::PresenceKeeper;
use crate::presence::LocalPresence;
use crate::status::Checks;

/// What was found of other servers and waits to be told.
const REMOTE_QUEUE: usize = 64;

/// Returns what says that another server has written.
pub(super) fn start(
    config: &Config,
    served: &Served,
    hub: &Arc<Hub>,
    checks: &Checks,
    tasks: &mut Tasks,
) -> watch::Sender<()> {
    let (written, heard) = watch::channel(());
    if !config.presence {
        return written;
    }
    let local = Arc::new(LocalPresence::default());
    let (interested, interests) = mpsc::unbounded_channel();
    let (remote, found) = mpsc::channel(REMOTE_QUEUE);
    let teller = hub.keep_presence(local.clone());
    let keeper = PresenceKeeper {
        database: served.database.clone(),
        local,
        interests,
        remote,
        heard,
        checks: checks.clone(),
        metrics: hub.metrics.clone(),
    };
    tasks.start("presence", StopPhase::Rest, |stop| keeper.run(stop));
    tasks.start("presence watchers", StopPhase::Rest, |stop| {
        teller.run(interested, found, stop)
    });
    written
}
