//! One life of the server, with its connections.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::world::ROOMS;
use crate::db::{ReadPart, ResumeSession};
use crate::delivery::{
    BehindReceiver, Hub, JoinBegun, StepBroadcast, StepReplay, StepSink, Subscriber,
    SubscriberTransport as _,
};
use crate::event::Room;
use crate::feed::{HandOver, ReadUnderWay};
use crate::metrics::Metrics;
use crate::model::client::Wire;
use crate::offset::{Offset, RoomRange};
use crate::revocations::Revocations;
use crate::socketio::SessionOwners;

/// A connection as the server has it.
pub(super) struct Connection {
    pub(super) client: usize,
    pub(super) session: ResumeSession,
    pub(super) subscriber: Arc<Subscriber>,
    pub(super) wire: Arc<Wire>,
    /// Answers that wait for the session to be stored.
    pub(super) unstored: Vec<Answer>,
}

impl Connection {
    pub(super) fn is_settled(&self) -> bool {
        self.unstored.is_empty() && self.wire.is_empty() && !self.wire.is_closed()
    }
}

pub(super) enum Answer {
    Joined {
        room: Room,
        lost: bool,
        begun: JoinBegun,
    },
    Left {
        room: Room,
    },
}

/// A replay that is under way.
pub(super) struct Running {
    pub(super) replay: StepReplay,
    /// What it waits to be read.
    pub(super) wants: Option<Vec<RoomRange>>,
    /// Of a join: the connection, the room, and when it was begun.
    pub(super) join: Option<(u64, Room, JoinBegun)>,
}

pub(super) struct LargeRead {
    pub(super) read: ReadUnderWay,
    pub(super) part: ReadPart,
    pub(super) asked: Vec<Room>,
    pub(super) found: Option<Vec<Room>>,
}

/// One life of the server.
pub(super) struct Server {
    pub(super) hub: Arc<Hub>,
    pub(super) behind: BehindReceiver,
    pub(super) hand_over: HandOver<StepSink>,
    pub(super) broadcast: StepBroadcast,
    pub(super) owners: SessionOwners,
    pub(super) position: Option<Offset>,
    /// Whether the reader knows of the last crash.
    pub(super) connected: bool,
    pub(super) read: Option<(ReadUnderWay, VecDeque<ReadPart>)>,
    /// A large read, with the rooms that were asked about and those that were found to have an event.
    pub(super) large: Option<LargeRead>,
    pub(super) replays: Vec<Running>,
    pub(super) connections: HashMap<u64, Connection>,
}

impl Server {
    pub(super) fn new() -> Self {
        let revocations = Revocations::new(Duration::MAX);
        let (hub, behind) = Hub::new(
            ROOMS,
            watch::Sender::default(),
            revocations,
            Metrics::new().0,
        );
        let sink = StepSink::new(&hub);
        Self {
            broadcast: StepBroadcast::new(&hub, sink.clone()),
            hub,
            behind,
            hand_over: HandOver::new(sink),
            owners: SessionOwners::default(),
            position: None,
            connected: false,
            read: None,
            large: None,
            replays: Vec::new(),
            connections: HashMap::new(),
        }
    }

    pub(super) fn ids(&self) -> Vec<u64> {
        let mut ids: Vec<u64> = self.connections.keys().copied().collect();
        ids.sort_unstable();
        ids
    }
}
