//! What somebody who looks on may see: copies of what delivery knows of its subscribers, its rooms and its last events.
//!
//! Owns nothing. Hands out no subscriber and no lock, and changes nothing.
//! Guarantees that looking costs delivery little: one subscriber's lock at a time, or the hub's for as long as it takes to copy
//! what was asked for, which the caller bounds.

use std::sync::Arc;

use super::hub::Hub;
use super::subscriber::Subscriber;
use crate::event::{Event, Room};

/// How a subscriber is served at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SubscriberView {
    /// A replay serves it, because it came back or reads slowly; else the broadcast does.
    pub is_behind: bool,
    /// The rooms that it is in.
    pub rooms: usize,
}

/// A room at a moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct RoomView {
    /// The subscribers that are in it.
    pub members: usize,
    /// The numbers of those that were asked for.
    pub shown: Vec<u64>,
}

/// The last events of the broadcast.
#[derive(Debug, Default)]
pub(crate) struct RecentView {
    /// The number of the last event that was broadcast, shown or not.
    pub number: u64,
    /// The newest events that were asked for, with their numbers, the oldest first.
    pub events: Vec<(u64, Arc<Event>)>,
}

impl Subscriber {
    /// Looks at it, and calls `each` with each of its rooms, under its lock.
    pub(crate) fn look(&self, mut each: impl FnMut(&Room)) -> SubscriberView {
        let state = self.state();
        for joined in &state.rooms {
            each(&joined.room);
        }
        SubscriberView {
            is_behind: state.is_behind(),
            rooms: state.rooms.len(),
        }
    }
}

impl Hub {
    /// Who is in a room: how many, and `count` of them from the one at `from` on, in the order in which they joined.
    pub(crate) fn look_into(&self, room: &Room, from: usize, count: usize) -> RoomView {
        let members = {
            let state = self.state();
            state.rooms.get(room).map(|entry| entry.members.clone())
        };
        let members = members.unwrap_or_default();
        let shown = members.iter().skip(from).take(count);
        RoomView {
            members: members.len(),
            shown: shown.map(|member| member.id).collect(),
        }
    }

    /// The newest events, `most` at most, that were broadcast after the event of the number `after`, as far as they are at hand.
    /// What was left to replays, because it was too much at once, is not among them.
    pub(crate) fn look_back(&self, after: u64, most: usize) -> RecentView {
        let state = self.state();
        let Some(position) = &state.position else {
            return RecentView::default();
        };
        RecentView {
            number: position.number,
            events: position.recent.newest(after, most),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::delivery::fakes::{Fake, batch, hub_at};
    use crate::delivery::{Broadcast, EventSink as _, RoomNotifier};

    #[tokio::test]
    async fn what_is_seen_is_what_there_is() {
        let (hub, _behind) = hub_at(10);
        let fakes: Vec<_> = (1..=5).map(|id| Fake::live(&hub, id)).collect();
        for fake in &fakes {
            hub.join(&fake.subscriber, &"a".into()).expect("joined");
        }
        hub.join(&fakes[0].subscriber, &"b".into()).expect("joined");
        assert_eq!(
            hub.look_into(&"a".into(), 3, 9),
            RoomView {
                members: 5,
                shown: vec![4, 5]
            }
        );
        assert_eq!(hub.look_into(&"none".into(), 0, 9), RoomView::default());

        let mut rooms = Vec::new();
        let view = fakes[0]
            .subscriber
            .look(|room| rooms.push(room.as_str().to_owned()));
        let seen = SubscriberView {
            is_behind: false,
            rooms: 2,
        };
        assert_eq!((view, rooms), (seen, vec!["a".to_owned(), "b".to_owned()]));

        let batch = batch(10, 20, &[(1, 11, "a"), (2, 12, "nobody's"), (3, 13, "a")]);
        let notifier = RoomNotifier::new(9);
        let mut broadcast = Broadcast::new(hub.clone(), notifier, mpsc::unbounded_channel().0);
        fakes[4].set_capacity(0);
        broadcast.deliver(batch).await;
        assert!(fakes[4].subscriber.look(|_| {}).is_behind);
        let ids = |after, most| {
            let seen = hub.look_back(after, most);
            let events = seen.events.iter();
            (
                seen.number,
                events.map(|(_, event)| event.id).collect::<Vec<_>>(),
            )
        };
        assert_eq!(
            ids(0, 9),
            (3, vec![1, 2, 3]),
            "of rooms without members too"
        );
        assert_eq!(ids(1, 9), (3, vec![2, 3]));
        assert_eq!(ids(0, 1), (3, vec![3]));
        assert_eq!(ids(3, 9), (3, vec![]));
    }
}
