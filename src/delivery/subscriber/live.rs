//! What a subscriber is sent by the broadcast: once, and in order; or it is behind from there on.

use super::DeliveryState;
use crate::delivery::broadcast_event::BroadcastEvent;
use crate::delivery::outgoing::Outgoing;
use crate::delivery::subscriber_transport::{SendOutcome, SubscriberTransport};

impl DeliveryState {
    /// Sends an event of the broadcast, unless it was sent before or is left to a replay: then `None`. Whoever can't take
    /// it is behind from here on.
    pub(in crate::delivery) fn send_live(
        &mut self,
        transport: &dyn SubscriberTransport,
        event: &BroadcastEvent,
        outgoing: &Outgoing,
    ) -> Option<SendOutcome> {
        if !self.awaits(event.number) {
            return None;
        }
        if self.has_had(event) {
            self.stay_live(&event.offset, event.number);
            return None;
        }
        let (outcome, resumable) = if self.is_inexact(&event.offset, &event.repeated_to) {
            let outgoing = Outgoing::stored_if_exact(event.event.clone(), &event.offset, false);
            (transport.send(&outgoing), false)
        } else {
            (transport.send(outgoing), true)
        };
        match outcome {
            SendOutcome::Sent => {
                self.last_sent_offset = resumable.then(|| event.offset.clone());
                self.become_live(event.offset.clone(), event.number);
            }
            SendOutcome::Full | SendOutcome::Closed => self.fall_behind(&event.before),
        }
        Some(outcome)
    }

    /// The same for events in their order, which are written together. Says how many were sent, and what became of the next one.
    pub(in crate::delivery) fn send_live_together(
        &mut self,
        transport: &dyn SubscriberTransport,
        events: &[(&BroadcastEvent, &Outgoing)],
    ) -> (usize, Option<SendOutcome>) {
        let begin = events.partition_point(|(event, _)| !self.awaits(event.number));
        let events = &events[begin..];
        let is_special = |event: &BroadcastEvent| {
            self.has_had(event) || self.is_inexact(&event.offset, &event.repeated_to)
        };
        if events.len() < 2 || events.iter().any(|(event, _)| is_special(event)) {
            return self.send_live_singly(transport, events);
        }
        let outgoing: Vec<&Outgoing> = events.iter().map(|(_, outgoing)| *outgoing).collect();
        let (taken, outcome) = transport.send_together(&outgoing);
        if let Some((last, _)) = events[..taken].last() {
            self.last_sent_offset = Some(last.offset.clone());
            self.become_live(last.offset.clone(), last.number);
        }
        if let Some((next, _)) = events.get(taken) {
            self.fall_behind(&next.before);
        }
        (taken, Some(outcome))
    }

    fn send_live_singly(
        &mut self,
        transport: &dyn SubscriberTransport,
        events: &[(&BroadcastEvent, &Outgoing)],
    ) -> (usize, Option<SendOutcome>) {
        let (mut sent, mut last) = (0, None);
        for (event, outgoing) in events {
            last = self.send_live(transport, event, outgoing);
            match last {
                Some(SendOutcome::Sent) => sent += 1,
                Some(SendOutcome::Full | SendOutcome::Closed) => break,
                None => {}
            }
        }
        (sent, last)
    }
}
