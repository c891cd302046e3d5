//! What a client says of itself with CONNECT, read without trust: nobody knows yet who it is.
//!
//! Guarantees that it takes little memory while the client waits to be let in, whatever it sent.

use std::sync::Arc;

use serde_json::Value;
use socketioxide::adapter::LocalAdapter;
use socketioxide::handler::FromConnectParts;
use socketioxide::socket::Socket;

use super::Refused;
use crate::socketio::bounded_json;

/// Room for a token with many claims. Cookies and headers that say the same are bounded by the head of a request.
const MAX_BYTES: usize = 16 * 1024;

/// The members that are read. A stock client sends `pid` and `offset` by itself, and beside them whatever its page says.
const MEMBERS: &[&str] = &["pid", "offset", "token"];

/// The `auth` of a CONNECT packet.
pub(in crate::socketio) struct ConnectAuth(Result<Option<Value>, TooLarge>);

struct TooLarge;

impl ConnectAuth {
    pub(in crate::socketio) fn of(text: Option<&str>) -> Self {
        let Some(text) = text else {
            return Self(Ok(None));
        };
        if text.len() > MAX_BYTES {
            return Self(Err(TooLarge));
        }
        // One that says nothing that we understand is one that says nothing.
        Self(Ok(bounded_json::object(text, MEMBERS).ok()))
    }

    /// The members that are known, as an object.
    ///
    /// # Errors
    /// The client sent more than it may.
    pub(in crate::socketio) fn read(self) -> Result<Option<Value>, Refused> {
        self.0.map_err(|TooLarge| Refused::AuthTooLarge)
    }
}

impl FromConnectParts<LocalAdapter> for ConnectAuth {
    type Error = std::convert::Infallible;

    fn from_connect_parts(
        _: &Arc<Socket<LocalAdapter>>,
        auth: &Option<socketioxide::handler::Value>,
    ) -> Result<Self, Self::Error> {
        Ok(Self::of(auth.as_ref().and_then(|auth| {
            let text = auth.as_str()?;
            Some(text.as_str())
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_known_is_kept_and_only_so_much_is_read() {
        let read = |text: &str| ConnectAuth::of(Some(text)).read().ok();
        let text = r#"{"pid":"p","offset":"o","mine":{"a":[1,2]}}"#;
        assert_eq!(read(text), Some(Some(json!({ "pid": "p", "offset": "o" }))));
        for nothing in ["", "null", "[1]", "{", &"[".repeat(10_000)] {
            assert_eq!(read(nothing), Some(None), "{nothing:.40}");
        }
        let padded = |bytes: usize| format!(r#"{{"token":"{}"}}"#, "x".repeat(bytes - 12));
        assert!(read(&padded(MAX_BYTES)).is_some_and(|auth| auth.is_some()));
        assert_eq!(read(&padded(MAX_BYTES + 1)), None);
        assert!(
            ConnectAuth::of(None)
                .read()
                .is_ok_and(|auth| auth.is_none())
        );
    }
}
