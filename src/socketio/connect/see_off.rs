//! The end of a client: what is stored of it, and what is not.

use socketioxide::socket::DisconnectReason;

use super::Connector;
use crate::delivery::ReplaySource;
use crate::socketio::session::store::{session_progress, stored_session};

impl<S: ReplaySource> Connector<S> {
    /// A socket has ended. Its resume session stays, unless the client disconnected on purpose, or may
    /// not come back to it.
    pub(super) async fn see_off(&self, id: u64, reason: DisconnectReason) {
        let Some(client) = self.requests.clients.remove(id) else {
            return;
        };
        client.inbox.close();
        let on_purpose = reason == DisconnectReason::ClientNSDisconnect
            || self.hub().is_revoked(&client.subscriber);
        if on_purpose {
            // A store that is under way lands later than the removal below, and then removes the row itself.
            client.set_left();
        } else {
            client.set_ended();
        }
        let whole = client
            .must_be_stored_whole()
            .then(|| stored_session(self.hub(), &client.subscriber))
            .flatten();
        let progress = self.hub().remove(&client.subscriber);
        let Some(progress) = progress else {
            return;
        };
        self.metrics.disconnects(reason_label(reason));
        if !client.has_stored_session() {
            return;
        }
        let (sessions, session) = (&self.requests.sessions, client.session.clone());
        if on_purpose {
            return sessions.forget_or_log(&session).await;
        }
        let stored = match whole {
            Some(whole) => client.write_session(sessions, whole).await,
            None => Ok(true),
        };
        let ended = sessions.end(session, session_progress(&progress));
        if let Err(error) = stored.and(ended.await) {
            tracing::debug!("the session of a connection that ended stays as it was: {error}");
        }
    }
}

fn reason_label(reason: DisconnectReason) -> &'static str {
    match reason {
        DisconnectReason::TransportClose => "transport_close",
        DisconnectReason::TransportError => "transport_error",
        DisconnectReason::MultipleHttpPollingError => "multiple_polls",
        DisconnectReason::PacketParsingError => "bad_packet",
        DisconnectReason::HeartbeatTimeout => "ping_timeout",
        DisconnectReason::ClientNSDisconnect => "client_disconnect",
        DisconnectReason::ServerNSDisconnect => "server_disconnect",
        DisconnectReason::ClosingServer => "server_closing",
    }
}
