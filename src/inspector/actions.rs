//! What the inspector may change, where `ROWCAST_ADMIN_WRITE` says so: emit, disconnect, revoke.
//!
//! Each is done as a command or SQL would do it, and logged with who asked for it: by which address, and with which token.
//! Nothing of a payload is logged.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::posted::{Caller, Posted};
use super::{Inspector, answer};
use crate::db::{Call, call};
use crate::event::Room;
use crate::http_error::Error;

const OFF: &str =
    "the inspector may change nothing: ROWCAST_ADMIN_WRITE=on lets it emit, disconnect and revoke";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Emit {
    room: String,
    event: String,
    data: Box<RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Disconnect {
    socket: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Revoke {
    subject: String,
    room: Option<String>,
    reason: Option<String>,
}

impl Inspector {
    fn check_may_write(&self) -> Result<(), Error> {
        if self.parts.may_write {
            Ok(())
        } else {
            Err(Error::Forbidden(OFF))
        }
    }

    /// Calls a function of SQL, and logs who asked for it.
    async fn call(
        &self,
        by: &Caller,
        action: &str,
        what: &str,
        wanted: Call<'_>,
    ) -> Result<(), Error> {
        let called = call(&self.parts.database, wanted).await;
        let Caller { address, token } = by;
        match called {
            Ok(_) => {
                tracing::info!(
                    action,
                    what,
                    address,
                    token,
                    "the inspector was asked to act"
                );
                Ok(())
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(
                    action,
                    what,
                    address,
                    token,
                    error,
                    "the inspector was asked to act, and could not"
                );
                Err(Error::BadRequest(error))
            }
        }
    }
}

/// Stores an event.
pub(super) async fn emit(
    State(inspector): State<Arc<Inspector>>,
    Posted { body, by }: Posted<Emit>,
) -> Result<Response, Error> {
    inspector.check_may_write()?;
    Room::named(&body.room).map_err(|error| Error::BadRequest(error.to_string()))?;
    let what = format!("{:?} in {:?}", body.event, body.room);
    let wanted = Call::Emit {
        room: &body.room,
        event: &body.event,
        data: body.data.get(),
    };
    inspector.call(&by, "emit", &what, wanted).await?;
    Ok(answer(&json!({})))
}

/// Cuts a client. It comes back by itself, if it still may.
pub(super) async fn disconnect(
    State(inspector): State<Arc<Inspector>>,
    Posted { body, by }: Posted<Disconnect>,
) -> Result<Response, Error> {
    inspector.check_may_write()?;
    if !inspector.parts.sockets.disconnect(body.socket) {
        return Err(Error::NothingThere("this socket has gone".to_owned()));
    }
    let Caller { address, token } = by;
    tracing::info!(
        action = "disconnect",
        connection = body.socket,
        address,
        token,
        "the inspector was asked to act"
    );
    Ok(answer(&json!({})))
}

/// Ends a right.
pub(super) async fn revoke(
    State(inspector): State<Arc<Inspector>>,
    Posted { body, by }: Posted<Revoke>,
) -> Result<Response, Error> {
    inspector.check_may_write()?;
    let what = match &body.room {
        Some(room) => format!("{:?} in {room:?}", body.subject),
        None => format!("{:?} everywhere", body.subject),
    };
    let wanted = Call::Revoke {
        subject: &body.subject,
        room: body.room.as_deref(),
        reason: body.reason.as_deref(),
    };
    inspector.call(&by, "revoke", &what, wanted).await?;
    Ok(answer(&json!({})))
}
