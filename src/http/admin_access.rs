//! Who may use the admin listener.
//!
//! With `ROWCAST_ADMIN_TOKEN` whoever sends that as a bearer token, which Prometheus can. Without it Prometheus may read `/metrics`,
//! as it is for the network to say who gets there; and the inspector, which shows who is connected, is for this machine alone: where
//! the listener has another address, or a proxy has forwarded the request, it is refused with the remedy.
//! The page itself and its files are given to anybody who may use the inspector or could sign in there: nothing is in them.
//! Guarantees that a token is compared by its digest, in which a wrong guess learns nothing from the time that it takes.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

use crate::auth::was_forwarded;
use crate::config::Secret;
use crate::http_error::Error;
use crate::quota::{ClientAddress, Sampled};

/// A header that the inspector's page sends with what changes something: no form has one, and no other site's page may set it.
pub(crate) const MARK: HeaderName = HeaderName::from_static("x-rowcast-inspector");

const CLOSED: &str = "the inspector is for this machine alone: set ROWCAST_ADMIN_TOKEN, and sign in with it here; or let ROWCAST_ADMIN be a \
     loopback address such as 127.0.0.1:3002";
const FORWARDED: &str = "a proxy forwarded this, and the inspector is for this machine alone: set ROWCAST_ADMIN_TOKEN, and sign in with it here";
const NO_TOKEN: &str =
    "the admin listener asks for ROWCAST_ADMIN_TOKEN, as Authorization: Bearer <token>";

/// Who may use the admin listener.
#[derive(Clone)]
pub(crate) struct AdminAccess(Arc<Inner>);

struct Inner {
    token: Option<[u8; 32]>,
    is_loopback: bool,
    refused: Sampled,
}

impl AdminAccess {
    /// Asks for a token, if there is one. `is_loopback` says that only this machine reaches the listener.
    pub(crate) fn new(token: Option<&Secret>, is_loopback: bool) -> Self {
        Self(Arc::new(Inner {
            token: token.map(|token| digest(token.expose())),
            is_loopback,
            refused: Sampled::default(),
        }))
    }

    /// How the log and the page name the token: by the beginning of its digest. `None` where none is asked for.
    pub(crate) fn token_name(&self) -> Option<String> {
        let digest = self.0.token?;
        let head: String = digest[..4]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Some(format!("sha256:{head}"))
    }

    /// Puts what asks for the token, where there is one, around `routes`.
    pub(super) fn with_token(&self, routes: Router) -> Router {
        routes.route_layer(middleware::from_fn_with_state(self.clone(), ask_token))
    }

    /// What the inspector answers, and its page: the first for whoever may use it, the second for whoever could sign in.
    pub(crate) fn inspector(&self, answers: Router, page: Router) -> Router {
        let routes = self.with_token(answers).merge(page);
        routes.route_layer(middleware::from_fn_with_state(self.clone(), keep_closed))
    }

    /// Why the inspector is closed to a request, whoever sends it.
    fn closed(&self, headers: &HeaderMap) -> Option<&'static str> {
        match self.0.token {
            Some(_) => None,
            None if !self.0.is_loopback => Some(CLOSED),
            None => was_forwarded(headers).then_some(FORWARDED),
        }
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Error> {
        let Some(wanted) = self.0.token else {
            return Ok(());
        };
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| digest(token.trim()));
        match given {
            Some(given) if given == wanted => Ok(()),
            _ => Err(Error::Unauthorized(NO_TOKEN)),
        }
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

async fn ask_token(State(access): State<AdminAccess>, request: Request, next: Next) -> Response {
    if let Err(error) = access.check_token(request.headers()) {
        // The page asks without one, to learn whether it needs one.
        if request.headers().contains_key(header::AUTHORIZATION)
            && let Some(count) = access.0.refused.due()
        {
            let address = request.extensions().get::<ClientAddress>();
            let address = address.map(|address| address.0.to_string());
            tracing::warn!(
                count,
                address,
                "the admin listener refused a token that is not ROWCAST_ADMIN_TOKEN"
            );
        }
        return error.into_response();
    }
    next.run(request).await
}

/// Says the remedy where the inspector is closed: as an error of the API, or as text for whoever opens the page.
async fn keep_closed(State(access): State<AdminAccess>, request: Request, next: Next) -> Response {
    match access.closed(request.headers()) {
        None => next.run(request).await,
        Some(why) if request.uri().path().starts_with("/api/") => {
            Error::Forbidden(why).into_response()
        }
        Some(why) => (StatusCode::FORBIDDEN, format!("{why}\n")).into_response(),
    }
}
