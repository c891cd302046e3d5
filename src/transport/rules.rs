//! What a listener holds against connections: how long they may take, how many there may be, and whom they count for.
//!
//! A connection is counted for the address at its other end before anything of it is read. Behind a trusted proxy that address is
//! everybody's, so there it counts in all only, and the engine sessions are counted for the address that the proxy names
//! (`engine_limits`).

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::HeaderMap;

use super::reading::Patience;
use crate::config::TrustedProxies;
use crate::metrics::{Limit, Metrics};
use crate::quota::{ClientAddress, Full, Holder, Place, Places};

/// Connections of an address that sends `X-Forwarded-For`, and is not trusted, from which on the log says so.
const MANY: usize = 50;
/// Addresses of which the log says so.
const MAX_NAMED: usize = 64;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The rules of one listener.
#[derive(Clone)]
pub(crate) struct ConnectionRules {
    /// How long is waited for what.
    pub patience: Patience,
    /// Whose `X-Forwarded-For` counts.
    pub proxies: TrustedProxies,
    /// The connections that there may be; `None` takes all.
    pub places: Option<Arc<Places>>,
    /// How TLS is spoken; `None`: not at all.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// What is counted.
    pub metrics: Metrics,
    /// Proxies that nobody trusts, of which the log has said so.
    pub named: Arc<Mutex<HashSet<Holder>>>,
}

impl ConnectionRules {
    /// A place for a connection from `peer`, where places are counted.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn take_place(&self, peer: IpAddr) -> Result<Option<Place>, Full> {
        let Some(places) = &self.places else {
            return Ok(None);
        };
        let holder = (!self.proxies.trusts(peer)).then(|| Holder::at(peer));
        let taken = places.take(holder);
        if let Err(full) = &taken {
            self.metrics.limits_by(limit_of(*full), peer);
        }
        taken.map(Some)
    }

    /// Whom a request of a connection from `peer` counts for.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> ClientAddress {
        let values = headers.get_all(FORWARDED_FOR).iter();
        let is_forwarded = headers.contains_key(FORWARDED_FOR);
        if is_forwarded && !self.proxies.trusts(peer) {
            self.name_untrusted(peer);
        }
        // What is no text can't be an address.
        let texts = values.map(|value| value.to_str().unwrap_or_default());
        ClientAddress(self.proxies.client(peer, texts))
    }

    fn name_untrusted(&self, peer: IpAddr) {
        let holder = Holder::at(peer);
        let connections = self.places.as_ref().map_or(0, |places| places.of(&holder));
        if connections < MANY {
            return;
        }
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if named.len() < MAX_NAMED && named.insert(holder) {
            tracing::warn!(
                address = %peer,
                connections,
                "{connections} connections come from {peer}, which sends X-Forwarded-For: if it is your proxy, name it in \
                 ROWCAST_TRUSTED_PROXIES; else limits by address count all its clients as one"
            );
        }
    }
}

/// The limit that was hit where there was no place.
pub(super) fn limit_of(full: Full) -> Limit {
    match full {
        Full::InAll => Limit::Connections,
        Full::Each => Limit::AddressConnections,
    }
}
