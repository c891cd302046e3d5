//! Keeps the served certificate up to date: its files are looked at every few seconds, and at once on SIGHUP.
//!
//! A renewal replaces two files, one after the other. Between the two they don't belong together, so the pair of before is served
//! until they do. The same holds for a file that is half written, or broken, or gone. Says so once, by log, readiness and metrics.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::sign::CertifiedKey;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::pair::{Files, Pair};
use super::{open_key, server_config};
use crate::config::Tls;
use crate::metrics::{Metrics, TlsReload};
use crate::status::{Check, Checks, FoundBy};

/// Between two looks at the files.
const PAUSE: Duration = Duration::from_secs(2);

/// Reads the certificate again and again.
pub(crate) struct CertificateKeeper {
    tls: Tls,
    hangups: Signal,
    served: watch::Sender<Arc<CertifiedKey>>,
    pair: Pair,
    /// What lay in the files at the last look that could read them.
    seen: [Vec<u8>; 2],
    metrics: Metrics,
    checks: Checks,
}

impl CertificateKeeper {
    /// Reads the files, and makes how the listeners speak TLS.
    ///
    /// # Errors
    /// The files can't be used, in a line that names the variable.
    pub(crate) fn start(
        tls: &Tls,
        metrics: &Metrics,
        checks: &Checks,
    ) -> anyhow::Result<(Self, Arc<ServerConfig>)> {
        let files = Files::read(tls)?;
        let pair = files.parse(tls)?;
        if let Some(open) = open_key(tls) {
            tracing::warn!("{open}");
        }
        let served = watch::Sender::new(pair.key.clone());
        let config = server_config(served.subscribe())?;
        let keeper = Self {
            tls: tls.clone(),
            hangups: signal(SignalKind::hangup())?,
            served,
            pair,
            seen: files.digest(),
            metrics: metrics.clone(),
            checks: checks.clone(),
        };
        keeper.tell();
        keeper.tell_end();
        Ok((keeper, Arc::new(config)))
    }

    /// Runs until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            let is_asked = tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(PAUSE) => false,
                _ = self.hangups.recv() => true,
            };
            self.look(is_asked);
            self.tell_end();
        }
    }

    /// Reads the files, and serves them if they are others than before. Whoever asked for it is answered by a line of the log.
    fn look(&mut self, is_asked: bool) {
        let files = match Files::read(&self.tls) {
            Ok(files) => files,
            Err(error) => return self.keep(&format!("{error:#}"), is_asked),
        };
        let digest = files.digest();
        let is_new = digest != self.seen;
        self.seen = digest;
        match files.parse(&self.tls) {
            Ok(pair) => {
                let is_other = pair.key.cert != self.pair.key.cert;
                self.pair = pair;
                self.served.send_replace(self.pair.key.clone());
                self.checks.pass(Check::Certificate, FoundBy::Operation);
                if is_other {
                    self.metrics.tls_reloads(TlsReload::Changed);
                }
                if is_other || is_asked {
                    self.tell();
                }
            }
            Err(error) => self.keep(&format!("{error:#}"), is_new || is_asked),
        }
    }

    /// The files can't be used. Counted where they are others than at the last look.
    fn keep(&mut self, reason: &str, is_new: bool) {
        let was_known = self.checks.found(Check::Certificate, FoundBy::Operation);
        if is_new || !was_known {
            self.metrics.tls_reloads(TlsReload::Failed);
        }
        let cause = format!("the certificate of before is served on: {reason}");
        self.checks
            .fail(Check::Certificate, FoundBy::Operation, cause);
    }

    fn tell(&self) {
        let end = self.pair.not_after;
        let expires = humantime::format_rfc3339_seconds(end).to_string();
        tracing::info!(
            expires,
            "the listeners serve the certificate of ROWCAST_TLS_CERT, which expires on {expires}"
        );
        let seconds = end
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        self.metrics
            .tls_not_after
            .set(i64::try_from(seconds.as_secs()).unwrap_or(i64::MAX));
    }

    /// Says whether the certificate ends soon.
    fn tell_end(&self) {
        match self.pair.ending(SystemTime::now()) {
            Some(ending) => self
                .checks
                .fail(Check::Certificate, FoundBy::SelfCheck, ending),
            None => self.checks.pass(Check::Certificate, FoundBy::SelfCheck),
        }
    }
}
