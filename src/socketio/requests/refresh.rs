//! How a client goes on with a later token, without a new connection.
//!
//! Guarantees that the token is as good as one that CONNECT would take, and of the same issuer and subject: the client's resume
//! session is theirs. The client's rooms are asked about again before it is answered. A token that is refused changes nothing: the one of before holds until it ends.

use std::sync::Arc;

use serde_json::Value;

use super::Requests;
use crate::auth::check_not_revoked;
use crate::delivery::ReplaySource;
use crate::metrics::Limit;
use crate::socketio::client::Client;
use crate::socketio::protocol::{self, Refusal};

impl<S: ReplaySource> Requests<S> {
    pub(super) async fn refresh(
        &self,
        client: &Arc<Client>,
        args: &[Value],
    ) -> Result<(), Refusal> {
        let token = protocol::token_arg(args)?;
        if !client.take_refresh() {
            self.hub.metrics.limits(Limit::RefreshRate);
            return Err(Refusal::TooManyRequests);
        }
        let identity = self
            .authenticator
            .refresh(&client.identity(), token)
            .map_err(Refusal::Token)?;
        check_not_revoked(&identity, &self.hub.revocations).map_err(Refusal::Token)?;
        let bearer = identity.bearer(&self.hub.revocations);
        self.hub.renew_bearer(&client.subscriber, bearer);
        client.set_identity(identity);
        if let Some(leeway) = self.authenticator.leeway() {
            self.clients.expect_expiry(client, leeway);
        }
        self.recheck_rooms(client).await;
        Ok(())
    }
}
