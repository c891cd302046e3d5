//! A client types: the members of its room are told.
//!
//! One event of a client's is as many packets as the room has members. So these are counted, and not the events: of one identity,
//! or of one address without identities.
//! Guarantees that whoever has caused too many is refused, and that nobody's typing lasts because of it: it ends by itself.

use serde_json::Value;
use tokio::time::Instant;

use super::Requests;
use crate::delivery::ReplaySource;
use crate::metrics::Limit;
use crate::quota::Rates;
use crate::socketio::client::Client;
use crate::socketio::protocol::{Refusal, RoomForm};

/// Packets a second, and for how many seconds' worth at once.
const RATE: u32 = 10_000;
const BURST_SECONDS: u32 = 5;

pub(in crate::socketio) struct TypingRate(Rates);

impl Default for TypingRate {
    fn default() -> Self {
        Self(Rates::new(RATE, BURST_SECONDS))
    }
}

impl<S: ReplaySource> Requests<S> {
    pub(super) fn set_typing(
        &self,
        client: &Client,
        args: &[Value],
        typing: bool,
    ) -> Result<(), Refusal> {
        let room = RoomForm::Conversation.only_arg(args)?;
        let (TypingRate(rate), holder, now) = (&self.typing, client.holder(), Instant::now());
        if holder
            .as_ref()
            .is_some_and(|holder| !rate.has_left(holder, now))
        {
            self.hub.metrics.limits(Limit::TypingRate);
            return Err(Refusal::TooManyRequests);
        }
        let identity = client.identity();
        let subject = identity.token().map(|token| token.subject());
        let told = self
            .hub
            .set_client_typing(&client.subscriber, &room, subject, typing)
            .ok_or(Refusal::Forbidden("join the conversation first"))?;
        if let Some(holder) = &holder {
            rate.charge(holder, told, now);
        }
        Ok(())
    }
}
