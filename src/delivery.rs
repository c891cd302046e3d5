//! Who is in which room, and what each has had: everything between the reader and a client's transport.
//!
//! Owns the rooms and their members, the position of the broadcast, what each subscriber was sent, replays, typing, and what clients are told of who is there. Knows no
//! Socket.IO, no TCP and no SQL: it sends through [`SubscriberTransport`], reads what was missed through [`ReplaySource`], and
//! is given events as the reader's [`EventSink`].
//!
//! ```text
//!  reader --Batch--> broadcast --> hub (rooms, position) --> subscriber (live) ----.
//!                        |                  |                                       +--> SubscriberTransport
//!                  room_notifier            `--> replay <-- ReplaySource --(behind)-'
//! ```
//!
//! A subscriber is live, and is served by the broadcast; or it is behind, and is served by a replay, out of the outbox and at
//! its own pace, until it has reached the broadcast.
//!
//! # Guarantees
//! - Each event of a room is sent once to each of the room's subscribers, with an offset that is exact at that moment; or the
//!   subscriber is told to reload the room (`rowcast:resync`), or its transport is closed.
//! - Whoever is in a room at some position of the broadcast gets every later event of the room.
//! - Nobody waits for a subscriber but its own replay.
//!
//! # Locks, in the order in which they are taken
//! 1. `Hub::typing_order`: held while a change of who types is made and told, so that what is told last is what holds. Joins,
//!    leaves and removals take it too, since they change who is told. Protects no data.
//! 2. `Hub::state`: which subscribers there are, the rooms with their members and typers, the position. It is the gate between
//!    a join, a replay, a revocation and the broadcast. Held for a moment, never while something is sent to more than one subscriber.
//! 3. `Subscriber::state`, one per subscriber: its rooms and what it was sent. Held while one stored event is sent, so that
//!    what is written down as sent is what was sent. A subscriber's rooms change only while the hub's lock is held too.
//! 4. The transport's own lock. `delivery` never holds two subscribers' locks at once, and no lock across an await.

mod access;
mod advance;
mod batch;
mod broadcast;
mod broadcast_event;
mod burst;
mod hub;
mod hub_presence;
mod inspect;
mod leaving;
mod membership;
mod outgoing;
mod position;
mod presence;
mod recent;
mod reload;
mod replay;
mod revoke;
mod room_notifier;
mod rooms;
mod set_back;
mod sink;
mod subscriber;
mod subscriber_transport;
mod taken_out;
mod typers;
mod typing;

#[cfg(test)]
mod fakes;
#[cfg(test)]
mod steps;

pub(crate) use access::JoinBegun;
pub(crate) use batch::{Batch, BatchEvent};
pub(crate) use broadcast::{Broadcast, EndedRights};
pub(crate) use hub::{BehindReceiver, Hub};
pub(crate) use inspect::RecentView;
pub(crate) use membership::{Membership, Progress};
pub(crate) use outgoing::Outgoing;
pub(crate) use replay::{JoinReplayOutcome, ReadFailed, Replay, ReplaySource};
pub(crate) use room_notifier::{RoomNotifier, RoomWatch};
pub(crate) use rooms::{JoinError, Joined};
pub(crate) use sink::{Affected, EventSink};
#[cfg(test)]
pub(crate) use steps::{ReplayStepped, StepBroadcast, StepReplay, StepSink};
pub(crate) use subscriber::{DeliveryState, Subscriber};
pub(crate) use subscriber_transport::{Backlog, SendOutcome, SubscriberTransport};
pub(crate) use typing::run as run_typing;
