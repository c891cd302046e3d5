//! What the API's reads share: who may ask, and for which room.
//!
//! [`admit`] comes before every handler: it holds the limits of requests and checks the origin.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, MatchedPath, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::api_limits::{ApiLimits, Caller};
use super::etag;
use crate::auth::{self, Authenticator, ConnectError, Identity, RoomPolicy, StandingWatch};
use crate::db::{Pool, Verdict};
use crate::delivery::RoomNotifier;
use crate::event::{ContactId, Room};
use crate::http_error::Error;
use crate::metrics::Metrics;
use crate::offset::EpochKey;
use crate::quota::ClientAddress;
use crate::revocations::Revocations;
use crate::spans;

/// The parameter of a path that names a room in full.
const ROOM: &str = "room";
/// Between two lines of the log about requests that fail.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(5);

/// The reads of the API.
pub(crate) struct Api {
    pub pool: Pool,
    pub notifier: Arc<RoomNotifier>,
    pub closing_clients: CancellationToken,
    pub retention: Duration,
    pub max_payload: usize,
    pub metrics: Metrics,
    /// The value of the database's epoch, as it was last seen.
    pub epoch: Mutex<Option<EpochKey>>,
    pub limits: ApiLimits,
    authenticator: Authenticator,
    revocations: Arc<Revocations>,
    room_policy: RoomPolicy,
    complained: Mutex<Option<Instant>>,
}

/// The rules by which [`Api`] answers.
pub(crate) struct ApiRules {
    /// Who asks.
    pub authenticator: Authenticator,
    /// Whose tokens are refused.
    pub revocations: Arc<Revocations>,
    /// Who may read which room.
    pub room_policy: RoomPolicy,
    /// How long an offset is good for.
    pub retention: Duration,
    /// Larger payloads and rows are reduced to their ids.
    pub max_payload_bytes: usize,
    /// How much may be asked.
    pub limits: ApiLimits,
}

impl Api {
    /// Reads from `pool`, where requests wait for each other. Long-polls end when the server is `closing_clients`.
    pub(crate) fn new(
        pool: Pool,
        notifier: Arc<RoomNotifier>,
        rules: ApiRules,
        metrics: Metrics,
        closing_clients: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            pool,
            notifier,
            closing_clients,
            retention: rules.retention,
            max_payload: rules.max_payload_bytes,
            metrics,
            epoch: Mutex::default(),
            authenticator: rules.authenticator,
            limits: rules.limits,
            revocations: rules.revocations,
            room_policy: rules.room_policy,
            complained: Mutex::default(),
        })
    }

    /// Who asks, if it may ask.
    async fn identify(
        &self,
        parts: &Parts,
        address: Option<ClientAddress>,
    ) -> Result<(Identity, Caller), Error> {
        self.limits.count_address(address)?;
        let identity = self.authenticator.authenticate(parts, None).await;
        let identity = identity.map_err(refused)?;
        auth::check_not_revoked(&identity, &self.revocations).map_err(refused)?;
        let caller = self.limits.count_identity(&identity, address)?;
        Ok((identity, caller))
    }

    /// Whether whoever asks may still have what was read for it: a right may have ended since the request was admitted.
    ///
    /// # Errors
    /// Its token is refused, or the room is closed to it.
    pub(super) fn check_still_stands(&self, identity: &Identity, room: &Room) -> Result<(), Error> {
        auth::check_not_expired(identity, self.authenticator.leeway()).map_err(refused)?;
        auth::check_not_revoked(identity, &self.revocations).map_err(refused)?;
        let bearer = identity.bearer(&self.revocations);
        match bearer {
            Some(bearer) if self.revocations.closes(&bearer, room) => {
                Err(Error::Forbidden("the right to this room was revoked"))
            }
            _ => Ok(()),
        }
    }

    /// Waits for the moment from which on [`Api::check_still_stands`] may say something else.
    pub(super) fn watch_standing(&self, identity: &Identity) -> StandingWatch {
        StandingWatch::begin(identity, self.authenticator.leeway(), &self.revocations)
    }

    /// Logs why a request failed, now and then, and says what the client is told.
    pub(crate) fn failed(&self, error: &dyn std::fmt::Display) -> Error {
        self.complain("a request over HTTP failed", error);
        Error::Database
    }

    /// Logs something about requests, now and then.
    pub(super) fn complain(&self, what: &str, error: &dyn std::fmt::Display) {
        let now = Instant::now();
        let mut last = self
            .complained
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| now - last >= COMPLAINT_PAUSE) {
            *last = Some(now);
            tracing::warn!("{what}: {error}");
        }
    }
}

/// Runs before every handler: refuses whoever asks too often and a page whose origin is not allowed, and adds to the request who
/// asks.
pub(crate) async fn admit(
    State(api): State<Arc<Api>>,
    address: Option<Extension<ClientAddress>>,
    request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("", MatchedPath::as_str);
    let span = spans::http_request(request.method().as_str(), route);
    let address = address.map(|Extension(address)| address);
    let answer = answer_if_admitted(&api, address, request, next);
    let response = answer.instrument(span.clone()).await;
    spans::set_status(&span, response.status().as_u16());
    response
}

async fn answer_if_admitted(
    api: &Api,
    address: Option<ClientAddress>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    match api.identify(&parts, address).await {
        Ok((identity, caller)) => {
            parts.extensions.insert(identity);
            parts.extensions.insert(caller.clone());
            let response = next.run(Request::from_parts(parts, body)).await;
            api.limits.hold_answer(&caller, response)
        }
        Err(error) => error.into_response(),
    }
}

fn refused(error: ConnectError) -> Error {
    match error {
        ConnectError::OriginNotAllowed => Error::Forbidden("this origin is not allowed"),
        ConnectError::HostNotAllowed => Error::HostNotAllowed,
        ConnectError::Unauthorized => Error::Unauthorized("a valid token is required"),
        ConnectError::TokenExpired => Error::Unauthorized("the token has expired"),
        ConnectError::Unavailable => Error::NoKeys,
    }
}

/// What a path names: its one parameter, as it is called and decoded.
pub(crate) type PathName = Result<Path<Vec<(String, String)>>, PathRejection>;

/// The room that a path names, by its contact or in full.
pub(crate) async fn room(api: &Api, path: PathName, identity: &Identity) -> Result<Room, Error> {
    let Path(named) = path.map_err(|_| {
        Error::BadRequest("contactId or room must be UTF-8, percent-encoded".to_owned())
    })?;
    let [(parameter, name)] = <[_; 1]>::try_from(named).expect("each of these routes has one");
    let room = if parameter == ROOM {
        Room::named(&name).map_err(|error| Error::BadRequest(error.to_string()))?
    } else {
        let contact = ContactId::try_from(name);
        contact
            .map_err(|error| Error::BadRequest(error.to_string()))?
            .room()
    };
    spans::set_current_room(&room);
    check_room(api, &room, identity).await?;
    Ok(room)
}

/// The contact of the conversation that is asked for.
pub(crate) async fn contact(
    api: &Api,
    contact: Result<Path<String>, PathRejection>,
    identity: &Identity,
) -> Result<ContactId, Error> {
    let Path(contact) = contact
        .map_err(|_| Error::BadRequest("contactId must be UTF-8, percent-encoded".to_owned()))?;
    let contact = ContactId::try_from(contact).map_err(|e| Error::BadRequest(e.to_string()))?;
    check_room(api, &contact.room(), identity).await?;
    Ok(contact)
}

/// Whether the identity may read the room at this moment.
pub(crate) async fn check_room(api: &Api, room: &Room, identity: &Identity) -> Result<(), Error> {
    match api.room_policy.may_join_room(identity, room).await {
        Verdict::Allowed => Ok(()),
        Verdict::Denied => Err(Error::Forbidden("not allowed")),
        Verdict::Unavailable => Err(Error::PolicyUnavailable),
    }
}

/// What an answer depends on beside its URL: who asks. The layer of CORS adds the origin.
const VARY: HeaderValue = HeaderValue::from_static("authorization, cookie");

/// An answer with its tag: only the tag if the client has the content already. The body is made if it is needed.
pub(super) fn tagged(
    tag: &HeaderValue,
    headers: &HeaderMap,
    body: impl FnOnce() -> String,
) -> Response {
    let shared = [
        (header::ETAG, tag.clone()),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, no-cache"),
        ),
        (header::VARY, VARY),
    ];
    if etag::is_known(headers, tag) {
        return (StatusCode::NOT_MODIFIED, shared).into_response();
    }
    let json = [(header::CONTENT_TYPE, "application/json")];
    (shared, json, body()).into_response()
}
