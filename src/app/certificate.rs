//! The step before the listeners open: the certificate that they serve, where they speak TLS.
//!
//! Files that can't be used stop the start here, before anybody can connect.

use std::sync::Arc;

use rustls::ServerConfig;

use super::tasks::{StopPhase, Tasks};
use crate::config::Config;
use crate::metrics::Metrics;
use crate::status::Checks;
use crate::tls::CertificateKeeper;

/// How the listeners speak TLS; `None`: not at all.
pub(super) fn start(
    config: &Config,
    metrics: &Metrics,
    checks: &Checks,
    tasks: &mut Tasks,
) -> anyhow::Result<Option<Arc<ServerConfig>>> {
    let Some(tls) = &config.tls else {
        return Ok(None);
    };
    let (keeper, spoken) = CertificateKeeper::start(tls, metrics, checks)?;
    tasks.start("certificate", StopPhase::Rest, |stop| keeper.run(stop));
    Ok(Some(spoken))
}
