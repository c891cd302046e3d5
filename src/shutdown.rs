//! When to stop: SIGTERM or SIGINT.
//!
//! Owns the signals from the moment it takes them: they no longer end the process by themselves. What a first and a second
//! signal mean is decided in `app::stop`.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The two signals that ask for a stop.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
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
        })
    }

    /// Waits for the next of them and gives its name.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
