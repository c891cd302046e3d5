//! How many engine sessions there may be, how fast one address may open them, and how many requests it may send.
//!
//! An engine session is counted beside its connections, because one that polls has none of its own, and because behind a trusted
//! proxy only its request says whose it is. Refusals are answers over HTTP, and not CONNECT_ERROR packets: a stock client tries
//! again after the former and gives up after the latter.

use std::sync::Arc;

use axum::extract::Request;
use tokio::time::Instant;

use super::refusal::error_of;
use super::rules::limit_of;
use crate::http_error::Error;
use crate::metrics::{Limit, Metrics};
use crate::quota::{ClientAddress, Holder, Place, Places, Rates};

/// How many seconds' worth may come at once: after an outage all clients of an office come back together.
const BURST_SECONDS: u32 = 10;

/// The limits at `/socket.io` that count addresses.
pub(crate) struct EngineLimits {
    sessions: Arc<Places>,
    handshakes: Rates,
    requests: Rates,
    metrics: Metrics,
}

impl EngineLimits {
    /// So many sessions in all and of one address; so many handshakes, and requests, of one address a second.
    pub(crate) fn new(
        sessions: Arc<Places>,
        handshake_rate: u32,
        request_rate: u32,
        metrics: Metrics,
    ) -> Arc<Self> {
        Arc::new(Self {
            sessions,
            handshakes: Rates::new(handshake_rate, BURST_SECONDS),
            requests: Rates::new(request_rate, BURST_SECONDS),
            metrics,
        })
    }

    /// Counts a request.
    ///
    /// # Errors
    /// It is one too many.
    pub(super) fn count_request(&self, request: &Request) -> Result<(), Error> {
        let Some(address) = address_of(request) else {
            return Ok(());
        };
        if self.requests.take(&Holder::at(address.0), Instant::now()) {
            return Ok(());
        }
        self.metrics.limits_by(Limit::SocketioRate, address.0);
        Err(Error::TooManyRequests(self.requests.rate()))
    }

    /// A place for the engine session that a request opens.
    ///
    /// # Errors
    /// There is none, or its address opens too many.
    pub(super) fn admit(&self, request: &Request) -> Result<Place, Error> {
        let address = address_of(request);
        let holder = address.map(|address| Holder::at(address.0));
        if let (Some(address), Some(holder)) = (address, &holder)
            && !self.handshakes.take(holder, Instant::now())
        {
            self.metrics.limits_by(Limit::HandshakeRate, address.0);
            return Err(Error::TooManyHandshakes);
        }
        self.sessions.take(holder).map_err(|full| {
            match address {
                Some(address) => self.metrics.limits_by(limit_of(full), address.0),
                None => self.metrics.limits(limit_of(full)),
            }
            error_of(full)
        })
    }
}

fn address_of(request: &Request) -> Option<ClientAddress> {
    request.extensions().get().copied()
}
