//! Fakes for the tests of this folder: events, offsets, and a client that takes as much as a test says.

mod transport;

use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::watch;

use super::batch::{Batch, BatchEvent};
use super::broadcast_event::BroadcastEvent;
use super::hub::{BehindReceiver, Hub};
use super::membership::Membership;
use super::subscriber::{DeliveryState, Subscriber};
use crate::event::{Event, Room, name};
use crate::metrics::Metrics;
use crate::offset::{DatabaseState, Epoch, EpochKey, Offset, ReplayPage, Seen, Snapshot};
use crate::revocations::Revocations;
pub(super) use transport::{FakeTransport, Received};

pub(super) const EPOCH: Epoch = Epoch {
    value: EpochKey::of(7),
    crashes: 0,
};

/// None yet.
pub(super) fn revocations() -> Arc<Revocations> {
    Revocations::new(Duration::from_secs(86_400))
}

/// A snapshot that sees every transaction below `xmax`.
pub(super) fn snapshot(xmax: u64) -> Arc<Snapshot> {
    Arc::new(format!("{xmax}:{xmax}:").parse().expect("a snapshot"))
}

/// An event whose payload is its own id.
pub(super) fn event(id: i64, xid: u64, room: &str) -> Arc<Event> {
    Arc::new(Event {
        id,
        xid,
        room: room.into(),
        name: "e".into(),
        payload: RawValue::from_string(id.to_string()).expect("JSON"),
        at_us: id,
        age: Duration::ZERO,
        traceparent: None,
    })
}

/// An event that the broadcast found in a read up to `batch`.
pub(super) fn broadcast_event(id: i64, xid: u64, batch: u64, number: u64) -> BroadcastEvent {
    let offset = |id| {
        Arc::new(Offset {
            seen: Seen::Part {
                before: snapshot(10),
                batch: snapshot(batch),
                id,
            },
            ..Offset::all(EPOCH, true, snapshot(10))
        })
    };
    BroadcastEvent {
        event: event(id, xid, "r"),
        reload: None,
        repeated: false,
        batch: snapshot(batch),
        before: offset(id - 1),
        offset: offset(id),
        number,
        repeated_to: snapshot(0),
    }
}

/// A whole read, of events as id, transaction and room.
pub(super) fn batch(before: u64, after: u64, events: &[(i64, u64, &str)]) -> Batch {
    Batch {
        epoch: EPOCH,
        recovered: Arc::default(),
        repeats: false,
        durable: true,
        after: Seen::All(snapshot(before)),
        before: snapshot(before),
        snapshot: snapshot(after),
        events: events
            .iter()
            .map(|(id, xid, room)| BatchEvent {
                event: event(*id, *xid, room),
                repeated: false,
            })
            .collect(),
        complete: true,
    }
}

/// The end of a read that saw every transaction below `xmax`.
pub(super) fn offset_at(xmax: u64) -> Arc<Offset> {
    Arc::new(Offset::all(EPOCH, true, snapshot(xmax)))
}

/// What a replay reads when every transaction below `xmax` is over.
pub(super) fn replay_page(xmax: u64, events: &[(i64, u64, &str)], upto: Option<i64>) -> ReplayPage {
    ReplayPage {
        state: DatabaseState {
            epoch: EPOCH,
            snapshot: snapshot(xmax),
            pruned: None,
            recovered: Vec::new(),
        },
        durable: true,
        events: events
            .iter()
            .map(|(id, xid, room)| event(*id, *xid, room))
            .collect(),
        upto,
    }
}

/// The broadcast passes a batch, and sends it to nobody: whoever is in its rooms is behind.
pub(super) fn pass_batch(hub: &Hub, batch: &Batch) {
    for index in 0..batch.events.len() {
        hub.pass_event(batch, index);
    }
    hub.finish_batch(batch.end());
}

/// A hub whose broadcast has sent all that a snapshot sees.
pub(super) fn hub_at(xmax: u64) -> (Arc<Hub>, BehindReceiver) {
    let (hub, behind) = Hub::new(3, watch::Sender::default(), revocations(), Metrics::new().0);
    hub.finish_batch(Offset::all(EPOCH, true, snapshot(xmax)));
    (hub, behind)
}

/// A fake client that is connected to a hub.
pub(super) struct Fake {
    pub(super) subscriber: Arc<Subscriber>,
    pub(super) transport: Arc<FakeTransport>,
}

impl Fake {
    /// One in this state.
    pub(super) fn new(hub: &Hub, id: u64, state: DeliveryState) -> Self {
        let transport = Arc::new(FakeTransport::default());
        let subscriber = Arc::new(Subscriber::new(id, transport.clone(), state));
        hub.add(&subscriber);
        Self {
            subscriber,
            transport,
        }
    }

    /// One that has just connected.
    pub(super) fn live(hub: &Hub, id: u64) -> Self {
        let (position, number) = hub.position().expect("the hub has begun");
        Self::new(hub, id, DeliveryState::live(position, number))
    }

    /// One that resumes in these rooms, and has had what every transaction below `xmax` wrote.
    pub(super) fn behind(hub: &Hub, id: u64, xmax: u64, rooms: &[&str]) -> Self {
        let fake = Self::new(hub, id, DeliveryState::behind(offset_at(xmax)));
        let joined = |room: &&str| Membership::new(Room::from(*room), offset_at(xmax));
        let rooms = rooms.iter().map(joined).collect();
        hub.restore(&fake.subscriber, rooms, Vec::new());
        fake
    }

    pub(super) fn set_capacity(&self, events: usize) {
        self.transport.set_capacity(events);
    }

    /// How often something was written to it.
    pub(super) fn writes(&self) -> usize {
        self.transport.writes()
    }

    /// Ids of the stored events that it was sent.
    pub(super) fn sent_ids(&self) -> Vec<i64> {
        let received = self.transport.received().into_iter();
        received
            .filter_map(|event| match event {
                Received::Stored(id, _) => Some(id),
                Received::Transient(..) => None,
            })
            .collect()
    }

    /// Names of the other events that it was sent.
    pub(super) fn sent_names(&self) -> Vec<String> {
        let received = self.transport.received().into_iter();
        received
            .filter_map(|event| match event {
                Received::Stored(..) => None,
                Received::Transient(name, _) => Some(name),
            })
            .collect()
    }

    /// How often it was told to reload a room.
    pub(super) fn resyncs(&self) -> usize {
        let names = self.sent_names();
        names.iter().filter(|sent| **sent == name::RESYNC).count()
    }

    /// The offset that a stock client has kept.
    pub(super) fn last_offset(&self) -> Option<String> {
        let received = self.transport.received();
        received.into_iter().rev().find_map(|event| match event {
            Received::Stored(_, offset) => Some(offset),
            Received::Transient(..) => None,
        })
    }
}
