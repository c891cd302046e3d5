//! The hub's position: where the broadcast is, and how those who are behind get there.

use std::sync::Arc;

use tokio::sync::watch;

use super::recent::Recent;
use super::{At, Hub, Members, State};
use crate::event::{Event, Room};
use crate::gateway::client::Client;
use crate::gateway::stream::{Fall, Passed};
use crate::offset::{Epoch, Next, Offset, Snapshot, Step};
use crate::reader::{Affected, Batch};

/// What a client that is behind is to do next.
pub(in crate::gateway) enum Turn {
    /// It is live.
    Live,
    /// It came from another server and has seen more than this one has broadcast: wait for [`Hub::moves`].
    Wait,
    /// What it has seen can't be compared with what there is.
    Lost(Lost),
    /// These events are the next.
    Step(Towards),
}

/// Why a replay can't go on: the reason that clients are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) struct Lost(pub(in crate::gateway) &'static str);

pub(in crate::gateway) const REWOUND: Lost = Lost("the database was rewound or replaced");
pub(in crate::gateway) const CRASHED: Lost =
    Lost("a crash of the database may have undone what was delivered");

/// A step of a replay.
pub(in crate::gateway) struct Towards {
    pub(in crate::gateway) step: Step,
    pub(in crate::gateway) epoch: Epoch,
    pub(in crate::gateway) durable: bool,
    /// Its events, if they are still at hand; else they are to be read.
    pub(in crate::gateway) events: Option<Vec<Arc<Event>>>,
}

impl Towards {
    /// How far it is done, after a read that others shared and that ends at `upto`; `None`: it is.
    pub(in crate::gateway) fn reached(&self, upto: Option<i64>) -> Option<i64> {
        let upto = upto?.max(self.step.after);
        self.step.upto.is_none_or(|end| upto < end).then_some(upto)
    }

    /// The offset after the event `id`, or at the end.
    pub(in crate::gateway) fn offset(&self, id: Option<i64>) -> Offset {
        Offset {
            epoch: self.epoch,
            durable: self.durable,
            seen: id.map_or_else(|| self.step.end(), |id| self.step.upto(id)),
            aside: None,
        }
    }
}

impl At {
    /// `known` is from where on every event is at hand.
    fn begin(offset: Offset, number: u64, known: Arc<Snapshot>) -> Self {
        Self {
            recent: Recent::since(offset.seen.ceiling().clone(), known),
            offset: Arc::new(offset),
            number,
        }
    }

    /// The next step from `from` to here, of the events that are `wanted`. Whether what was left out after a crash was `had`.
    pub(super) fn towards(
        &self,
        from: &Offset,
        had: bool,
        wanted: impl Fn(&Event) -> bool,
    ) -> Turn {
        let here = &self.offset;
        if from.epoch.value != here.epoch.value {
            return Turn::Lost(REWOUND);
        }
        if from.epoch.crashes != here.epoch.crashes && !from.durable {
            return Turn::Lost(CRASHED);
        }
        match Step::next(&from.seen, &here.seen) {
            Next::Reached => Turn::Live,
            Next::Ahead => Turn::Wait,
            Next::Read(step) => Turn::Step(Towards {
                events: (from.epoch == here.epoch)
                    .then(|| self.recent.step(&step, had, wanted))
                    .flatten(),
                step,
                epoch: here.epoch,
                durable: here.durable,
            }),
        }
    }
}

impl Hub {
    /// Where the broadcast is, `None` before the first read.
    pub(in crate::gateway) fn position(&self) -> Option<(Arc<Offset>, u64)> {
        let state = self.state();
        let at = state.present.as_ref()?;
        Some((at.offset.clone(), at.number))
    }

    /// Moves the position past the event at `index` and says who must get it: one moment, so that a join is either before
    /// it, and gets the event, or after, and its offset includes it.
    pub(in crate::gateway) fn pass(
        &self,
        batch: &Batch,
        index: usize,
    ) -> Option<(Members, Passed)> {
        let event = batch.events[index].clone();
        let offset = Arc::new(batch.offset(index));
        let mut state = self.state();
        let State { present, rooms, .. } = &mut *state;
        let at = present.as_mut()?;
        at.number += 1;
        let passed = Passed {
            event,
            batch: batch.snapshot.clone(),
            before: std::mem::replace(&mut at.offset, offset.clone()),
            offset,
            number: at.number,
        };
        at.recent.push(passed.clone());
        let room = rooms.get(&passed.event.room)?;
        (!room.members.is_empty()).then(|| (room.members.clone(), passed))
    }

    /// Moves the position to where the broadcast is.
    pub(in crate::gateway) fn reach(&self, offset: Offset) {
        {
            let mut state = self.state();
            match &mut state.present {
                Some(at) => at.offset = Arc::new(offset),
                none => {
                    let known = offset.seen.ceiling().clone();
                    *none = Some(At::begin(offset, 0, known));
                }
            }
        }
        self.moved.send_replace(());
    }

    /// The database has another past from here on: it crashed, or is another. Unless all that a client had seen was on disk
    /// before a crash, it can't be compared with what comes. Who was behind can't go on then, and is named with its rooms.
    /// Events that `known` sees may have been broadcast before.
    pub(in crate::gateway) fn begin(
        &self,
        head: Offset,
        known: Arc<Snapshot>,
    ) -> Vec<(Arc<Client>, Vec<Room>)> {
        let mut lost = Vec::new();
        {
            let mut state = self.state();
            let number = state.present.as_ref().map_or(0, |at| at.number);
            let at = At::begin(head, number, known);
            for client in state.clients.values() {
                let mut stream = client.stream();
                let stays =
                    |seen: &Offset| seen.durable && seen.epoch.value == at.offset.epoch.value;
                stream.begun = false;
                if stays(&stream.sent) && client.rooms().iter().all(|joined| stays(&joined.at)) {
                    continue;
                }
                let behind = stream.fall().is_some();
                stream.reach(at.offset.clone(), number);
                (stream.told, stream.begun) = (None, true);
                let rooms = client.reloads(&at.offset, |_| true);
                if behind {
                    lost.push((client.clone(), rooms));
                }
            }
            state.present = Some(at);
        }
        self.moved.send_replace(());
        lost
    }

    /// A client is behind: somebody is to bring it back.
    pub(in crate::gateway) fn fell_behind(&self, client: &Arc<Client>, fall: Fall) {
        // Nobody listens only when the server is ending.
        drop(self.behind.send((client.clone(), fall)));
    }

    /// What a client that is behind is to do next. It is live from here on if it has reached the broadcast.
    pub(in crate::gateway) fn turn(&self, client: &Client, fall: Fall) -> Turn {
        let state = self.state();
        let mut stream = client.stream();
        let behind = stream.fall() == Some(fall);
        let Some(at) = state.present.as_ref().filter(|_| behind) else {
            return Turn::Live;
        };
        let rooms = client.rooms();
        let wanted = |event: &Event| {
            let joined = rooms.iter().find(|joined| joined.room == event.room);
            joined.is_some_and(|joined| joined.at.seen.misses(event.xid, event.id))
        };
        let turn = at.towards(&stream.sent, stream.begun, wanted);
        if matches!(turn, Turn::Live) {
            stream.reach(at.offset.clone(), at.number);
        }
        turn
    }

    /// The replay can't go on: the client is live from here on, and its rooms, which are named, are to be reloaded.
    pub(in crate::gateway) fn give_up(&self, client: &Client, fall: Fall) -> Vec<Room> {
        let state = self.state();
        let mut stream = client.stream();
        let behind = stream.fall() == Some(fall);
        let Some(at) = state.present.as_ref().filter(|_| behind) else {
            return Vec::new();
        };
        stream.reach(at.offset.clone(), at.number);
        stream.told = None;
        client.reloads(&at.offset, |_| true)
    }

    /// The moves of the broadcast: for those who are ahead of it.
    pub(in crate::gateway) fn moves(&self) -> watch::Receiver<()> {
        self.moved.subscribe()
    }

    /// Somebody is ahead of the broadcast: the reader is to look at what has changed since its last read, which may be
    /// nothing that is to be sent.
    pub(in crate::gateway) fn hurry(&self) {
        self.wake.send_replace(());
    }

    /// Rooms are to be reloaded: who is told so, and of which.
    pub(in crate::gateway) fn reload(&self, which: &Affected) -> Vec<(Arc<Client>, Vec<Room>)> {
        let state = self.state();
        let Some(at) = &state.present else {
            return Vec::new();
        };
        let affected = |room: &Room| match which {
            Affected::All => true,
            Affected::Rooms(rooms) => rooms.contains(room),
        };
        let told = state.clients.values().map(|client| {
            let rooms = client.reloads(&at.offset, affected);
            if !rooms.is_empty() {
                client.stream().told = None;
            }
            (client.clone(), rooms)
        });
        told.collect()
    }
}
