//! The reader goes on, and replays do.

use futures_util::FutureExt as _;

use super::World;
use crate::delivery::{
    JoinBegun, JoinError, JoinReplayOutcome, Joined, ReplayStepped, StepReplay,
    SubscriberTransport as _,
};
use crate::event::Room;
use crate::feed::ReadUnderWay;
use crate::model::client::Sent;
use crate::model::server::{Answer, LargeRead, Running};
use crate::model::trace;

impl World {
    pub(super) fn reader_goes_on(&mut self) {
        let server = &mut self.server;
        if server.broadcast.step() {
            return;
        }
        if !server.connected {
            let revoked = server.hand_over.revoke(self.database.revocations());
            revoked.now_or_never().expect("it waits for nobody");
            let (position, head) = (server.position.take(), self.database.head());
            let connected = server.hand_over.connected(position, head).now_or_never();
            server.position = connected;
            trace(|| format!("the reader goes on from {:?}", server.position));
            let seen = server
                .position
                .as_ref()
                .map(|position| position.seen.ceiling());
            let is_there = seen.is_some_and(|seen| self.database.snapshot().covers(seen));
            assert!(
                is_there,
                "the reader goes on from what a crash has undone: {seen:?}"
            );
            server.connected = true;
            return;
        }
        if self.large_read_goes_on() {
            return;
        }
        let server = &mut self.server;
        let position = server.position.as_mut().expect("the reader is connected");
        match &mut server.read {
            None => {
                let may_be_large = server.hand_over.may_be_large(position);
                let random = &mut self.random;
                let parts = self.database.read(&position.seen, may_be_large, random);
                server.read = Some((ReadUnderWay::from(position), parts.into()));
            }
            Some((read, parts)) => match parts.pop_front() {
                Some(part) if part.is_large => {
                    let mut asked = server.hand_over.rooms();
                    asked.push(Room::of_revocations());
                    server.large = Some(LargeRead {
                        read: ReadUnderWay::from(position),
                        part,
                        asked,
                        found: None,
                    });
                }
                Some(part) => {
                    trace(|| format!("the reader hands over {part:?}"));
                    let handed = server.hand_over.hand_over(read, part, position);
                    handed.now_or_never().expect("it waits for nobody");
                }
                None => server.read = None,
            },
        }
    }

    /// The next step of a large read. False: there is none.
    pub(super) fn large_read_goes_on(&mut self) -> bool {
        let server = &mut self.server;
        let Some(mut large) = server.large.take() else {
            return false;
        };
        let Some(found) = &large.found else {
            let before = large.read.before();
            large.found = Some(self.database.flush_and_find_rooms(before, &large.asked));
            server.large = Some(large);
            return true;
        };
        trace(|| format!("the reader leaves {found:?} to replays: {:?}", large.part));
        if found.contains(&Room::of_revocations()) {
            let revoked = server.hand_over.revoke(self.database.revocations());
            revoked.now_or_never().expect("it waits for nobody");
        }
        large.asked.pop();
        let position = server.position.as_mut().expect("the reader is connected");
        let left = server.hand_over.leave_to_replays(
            &large.read,
            large.part,
            large.asked,
            found,
            position,
        );
        left.now_or_never().expect("it waits for nobody");
        true
    }

    pub(super) fn replays_go_on(&mut self) {
        while let Some(replay) = StepReplay::requested(&self.server.hub, &mut self.server.behind) {
            self.server.replays.push(Running {
                replay,
                wants: None,
                join: None,
            });
        }
        if self.server.replays.is_empty() {
            return;
        }
        for _ in 0..3 {
            if self.server.replays.is_empty() {
                return;
            }
            let index = self.random.below(self.server.replays.len());
            self.replay_goes_on(index);
        }
    }

    pub(super) fn replay_goes_on(&mut self, index: usize) {
        let limit = 1 + self.random.below(4);
        let running = &mut self.server.replays[index];
        let stepped = match running.wants.take() {
            // The moment after a crash nothing is read, until the reader knows of it.
            Some(wants) if !self.server.connected => {
                running.wants = Some(wants);
                return;
            }
            Some(wants) => running.replay.take_page(&self.database.page(&wants, limit)),
            None => running.replay.advance(),
        };
        trace(|| format!("a replay of {:?}: {stepped:?}", running.join));
        match stepped {
            ReplayStepped::Going | ReplayStepped::Waits => {}
            ReplayStepped::NeedsPage(wants) => running.wants = Some(wants),
            ReplayStepped::Done(outcome) => {
                let running = self.server.replays.swap_remove(index);
                if let (Some(outcome), Some((id, room, begun))) = (outcome, running.join) {
                    self.join_replayed(id, room, begun, outcome);
                }
            }
        }
    }

    pub(super) fn join_replayed(
        &mut self,
        id: u64,
        room: Room,
        begun: JoinBegun,
        outcome: Result<JoinReplayOutcome, JoinError>,
    ) {
        let Some(connection) = self.server.connections.get_mut(&id) else {
            return;
        };
        let lost = match outcome {
            Err(JoinError::Revoked) => return connection.wire.push(Sent::Refused { room }),
            Err(error) => panic!("there is room: {error:?}"),
            Ok(JoinReplayOutcome::Gone) => return,
            Ok(JoinReplayOutcome::Entered { .. } | JoinReplayOutcome::Already) => false,
            Ok(JoinReplayOutcome::Lost) => true,
        };
        if lost {
            match self.server.hub.join_unproven(&connection.subscriber, &room) {
                Err(JoinError::Revoked) => return connection.wire.push(Sent::Refused { room }),
                Ok(Joined::Gone) => return,
                // It would ask again. Here it comes back.
                Ok(Joined::Wait) => {
                    connection.wire.close();
                    return;
                }
                _ => {}
            }
        }
        connection
            .unstored
            .push(Answer::Joined { room, lost, begun });
    }
}
