//! When to stop: SIGTERM or SIGINT. And not to stop: SIGHUP, by which service managers ask for a reload.
//!
//! Owns the signals from the moment it takes them: they no longer end the process by themselves. What a first and a second
//! signal mean is decided in `app::stop`.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The two signals that ask for a stop, and the one that must not.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Takes the signals over: from here on they do not end the process by themselves.
    ///
    /// # Errors
    /// The operating system's.
    pub(crate) fn take() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next that asks for a stop, and gives its name.
    pub(crate) async fn next(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hangup.recv() => tracing::info!(
                    "SIGHUP: a certificate is read again, where there is one; every other setting takes a restart"
                ),
            }
        }
    }
}
