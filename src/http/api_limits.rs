//! How much one address, and one identity, may ask of the API.
//!
//! Requests and long-polls are counted twice: for the address, before anybody knows who asks, and for the identity. What is read of
//! the past is counted once, for the identity, and for the address where there is none; joins with an offset count there, too. Large
//! answers count for the same one until they are read.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;

use crate::auth::Identity;
use crate::http_error::Error;
use crate::metrics::{Limit, Metrics};
use crate::quota::{ClientAddress, Full, Holder, Place, Places, Rates};

/// What a read costs beside what it finds.
const READ_COST: usize = 10;

/// Answers up to here don't count: about what a connection may hold anyway.
const SMALL_ANSWER_BYTES: u64 = 64 * 1024;
/// What one identity, or one address, may leave unread; one larger answer may stand alone.
const MAX_UNREAD_BYTES: usize = 8 * 1024 * 1024;
/// What all together may leave unread.
const MAX_ALL_UNREAD_BYTES: usize = 128 * 1024 * 1024;

/// The limits of the API.
pub(crate) struct ApiLimits {
    requests: Rates,
    long_polls: Arc<Places>,
    reads: Arc<Rates>,
    unread_bytes: Arc<Places>,
    metrics: Metrics,
}

/// An answer that counts until it is read, or given up.
struct Held {
    body: Body,
    _bytes: Place,
}

/// Who asks: an extension of the request.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    address: Option<ClientAddress>,
    identity: Option<Holder>,
}

/// The places of a long-poll that waits.
pub(crate) struct LongPoll {
    _places: Vec<Place>,
}

impl ApiLimits {
    /// So many requests a second, and so many long-polls at a time, of which there are `all_long_polls` together. `reads` counts what
    /// is read of the past.
    pub(crate) fn new(
        request_rate: u32,
        long_polls: usize,
        all_long_polls: usize,
        reads: Arc<Rates>,
        metrics: Metrics,
    ) -> Self {
        Self {
            requests: Rates::new(request_rate, 1),
            // An identity's long-poll takes two places.
            long_polls: Places::new(all_long_polls * 2, long_polls),
            reads,
            unread_bytes: Places::new(MAX_ALL_UNREAD_BYTES, MAX_UNREAD_BYTES),
            metrics,
        }
    }

    /// Counts a request for its address.
    ///
    /// # Errors
    /// It is one too many.
    pub(super) fn count_address(&self, address: Option<ClientAddress>) -> Result<(), Error> {
        match address {
            Some(address) => self.count(&Holder::at(address.0), Some(address)),
            None => Ok(()),
        }
    }

    /// Counts it for who sent it, and says who asks.
    ///
    /// # Errors
    /// It is one too many.
    pub(super) fn count_identity(
        &self,
        identity: &Identity,
        address: Option<ClientAddress>,
    ) -> Result<Caller, Error> {
        let caller = Caller {
            address,
            identity: identity.holder(),
        };
        if let Some(holder) = &caller.identity {
            self.count(holder, address)?;
        }
        Ok(caller)
    }

    fn count(&self, holder: &Holder, address: Option<ClientAddress>) -> Result<(), Error> {
        if self.requests.take(holder, Instant::now()) {
            return Ok(());
        }
        self.hit(Limit::HttpRate, address);
        Err(Error::TooManyRequests(self.requests.rate()))
    }

    /// Takes the places of a long-poll.
    ///
    /// # Errors
    /// There is none for this caller.
    pub(crate) fn begin_long_poll(&self, caller: &Caller) -> Result<LongPoll, Error> {
        let holders = caller.address.map(|address| Holder::at(address.0));
        let holders = holders.into_iter().chain(caller.identity.clone());
        let places = holders.map(|holder| self.long_polls.take(Some(holder)));
        let places: Result<_, _> = places.collect();
        places
            .map(|places| LongPoll { _places: places })
            .map_err(|_| {
                self.hit(Limit::LongPolls, caller.address);
                Error::TooManyLongPolls
            })
    }

    /// Whether this caller may read more of what is past.
    ///
    /// # Errors
    /// It has read too much.
    pub(crate) fn may_read(&self, caller: &Caller) -> Result<(), Error> {
        let now = Instant::now();
        let allowed = |holder| self.reads.has_left(&holder, now);
        if caller.reader().is_none_or(allowed) {
            return Ok(());
        }
        self.hit(Limit::ReadRate, caller.address);
        Err(Error::TooMuchRead)
    }

    /// Counts what was read.
    pub(crate) fn charge_read(&self, caller: &Caller, rows: usize) {
        if let Some(holder) = caller.reader() {
            self.reads.charge(&holder, rows + READ_COST, Instant::now());
        }
    }

    /// Counts an answer until it is read. One for which there is no room is replaced by a refusal.
    pub(super) fn hold_answer(&self, caller: &Caller, response: Response) -> Response {
        let bytes = response.body().size_hint().lower();
        if bytes <= SMALL_ANSWER_BYTES {
            return response;
        }
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        match self.unread_bytes.take_many(caller.reader(), bytes) {
            Ok(place) => response.map(|body| {
                Body::new(Held {
                    body,
                    _bytes: place,
                })
            }),
            Err(Full::Each) => {
                self.hit(Limit::UnreadAnswers, caller.address);
                Error::TooMuchUnread.into_response()
            }
            Err(Full::InAll) => {
                self.hit(Limit::AllUnreadAnswers, caller.address);
                Error::Unread.into_response()
            }
        }
    }

    fn hit(&self, limit: Limit, address: Option<ClientAddress>) {
        match address {
            Some(address) => self.metrics.limits_by(limit, address.0),
            None => self.metrics.limits(limit),
        }
    }
}

impl Caller {
    /// For whom reads count.
    fn reader(&self) -> Option<Holder> {
        let address = self.address.map(|address| Holder::at(address.0));
        self.identity.clone().or(address)
    }
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
