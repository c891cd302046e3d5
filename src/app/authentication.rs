//! The second step of the start: who connects, and how that is proved.
//!
//! Reads the keys that lie in files, so that a file which can't be used stops the start; a key set over HTTP is fetched by a task.

use super::tasks::{StopPhase, Tasks};
use crate::auth::{self, Authenticator, OriginPolicy};
use crate::config::{Auth, Config};
use crate::metrics::Metrics;
use crate::status::Checks;

/// What decides on a connection.
pub(super) struct Authentication {
    pub(super) origin_policy: OriginPolicy,
    pub(super) authenticator: Authenticator,
}

pub(super) fn start(
    config: &Config,
    metrics: &Metrics,
    checks: &Checks,
    tasks: &mut Tasks,
) -> anyhow::Result<Authentication> {
    let origin_policy = OriginPolicy::new(config.origins.clone(), config.tls.is_some());
    let authenticator = match &config.auth {
        Auth::None => Authenticator::anonymous(origin_policy.clone(), metrics.clone()),
        Auth::Jwt(jwt) => {
            let (verifier, keeper) = auth::verifier(jwt, metrics, checks)?;
            tasks.start("keys", StopPhase::Rest, |stop| keeper.run(stop));
            let (pages, cookie) = (origin_policy.clone(), jwt.cookie.clone());
            Authenticator::by_token(pages, verifier, cookie, metrics.clone())
        }
    };
    Ok(Authentication {
        origin_policy,
        authenticator,
    })
}
