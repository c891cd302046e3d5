//! The hub's rooms: joins, leaves, and the rooms of a client that comes back.

use std::sync::Arc;

use super::position::{Towards, Turn};
use super::{At, Hub, Members, RoomState, State};
use crate::event::{ContactId, Room};
use crate::gateway::client::{Client, Membership};
use crate::gateway::protocol::Refusal;
use crate::gateway::typing::{Change, Typer};
use crate::metrics::Limit;
use crate::offset::Offset;

/// How a join without a replay ended.
pub(in crate::gateway) enum Entry {
    /// The client is in the room.
    In,
    /// It was already.
    Already,
    /// It has gone meanwhile.
    Gone,
}

/// How near a join with a replay is.
pub(in crate::gateway) enum Approach {
    /// The client is in the room, and nothing is missing.
    In,
    /// It was in the room already; whether it has missed nothing.
    Already(bool),
    /// It has gone meanwhile.
    Gone,
    /// It is behind, and has to come back first.
    Behind,
    /// The client is ahead of the broadcast.
    Wait,
    /// What it has seen can't be compared with what there is.
    Lost,
    Step(Towards),
}

impl Hub {
    /// Enters a room: every later event of it goes to the client.
    pub(in crate::gateway) fn enter(
        &self,
        client: &Arc<Client>,
        room: &Room,
    ) -> Result<Entry, Refusal> {
        let _order = self.typing_order();
        let mut state = self.state();
        if !state.clients.contains_key(&client.id) {
            return Ok(Entry::Gone);
        }
        if client.joined(room).is_some() {
            return Ok(Entry::Already);
        }
        self.check_room(client)?;
        let Some(at) = &state.present else {
            return Err(Refusal::Unavailable);
        };
        self.settle(at, client);
        let here = at.offset.clone();
        self.admit(&mut state, client, Membership::new(room.clone(), here));
        Ok(Entry::In)
    }

    /// Enters a room of which the client has what `have` says, if that is all; else says what is missing. `replayed` is what it
    /// had after the last event that was replayed, if one was.
    pub(in crate::gateway) fn approach(
        &self,
        client: &Arc<Client>,
        room: &Room,
        have: &Offset,
        replayed: Option<&Arc<Offset>>,
    ) -> Result<Approach, Refusal> {
        let _order = self.typing_order();
        let mut state = self.state();
        if !state.clients.contains_key(&client.id) {
            return Ok(Approach::Gone);
        }
        if let Some(at) = client.joined(room) {
            let nothing = have.epoch == at.epoch && have.seen.reaches(&at.seen);
            return Ok(Approach::Already(nothing));
        }
        self.check_room(client)?;
        let Some(at) = &state.present else {
            return Err(Refusal::Unavailable);
        };
        if client.stream().fall().is_some() {
            return Ok(Approach::Behind);
        }
        match at.towards(have, false, |event| event.room == *room) {
            Turn::Live => {}
            Turn::Wait => return Ok(Approach::Wait),
            Turn::Lost(_) => return Ok(Approach::Lost),
            Turn::Step(towards) => return Ok(Approach::Step(towards)),
        }
        self.settle(at, client);
        let joined = match replayed {
            Some(replayed) => Membership {
                room: room.clone(),
                at: replayed.clone(),
                proof: Some(at.offset.clone()),
            },
            None => Membership::new(room.clone(), at.offset.clone()),
        };
        self.admit(&mut state, client, joined);
        Ok(Approach::In)
    }

    fn check_room(&self, client: &Client) -> Result<(), Refusal> {
        if client.rooms().len() >= self.max_rooms {
            self.metrics.limits(Limit::Rooms);
            return Err(Refusal::TooManyRooms(self.max_rooms));
        }
        Ok(())
    }

    /// A live client has everything up to the position: the event that is being broadcast at this moment may not have come
    /// to it, and is sent to it now.
    fn settle(&self, at: &At, client: &Arc<Client>) {
        let mut stream = client.stream();
        if let Some(last) = at.recent.last()
            && stream.awaits(last.number)
            && client.joined(&last.event.room).is_some()
        {
            stream.pass(&client.outlet, last, &last.outgoing());
            if let Some(fall) = stream.fall() {
                return self.fell_behind(client, fall);
            }
        }
        if stream.fall().is_none() {
            stream.reach(at.offset.clone(), at.number);
        }
    }

    /// Makes a connected client a member, and tells it if somebody types in the room.
    fn admit(&self, state: &mut State, client: &Arc<Client>, joined: Membership) {
        let entry: &mut RoomState = state.rooms.entry(joined.room.clone()).or_default();
        Arc::make_mut(&mut entry.members).push(client.clone());
        let greeting = entry.typers.greeting(client.id, &joined.room);
        client.rooms().push(joined);
        if let Some(event) = greeting {
            self.send(client, &event);
        }
    }

    /// Puts a client that comes back into its rooms.
    pub(in crate::gateway) fn restore(&self, client: &Arc<Client>, rooms: Vec<Membership>) {
        let _order = self.typing_order();
        let mut state = self.state();
        if state.clients.contains_key(&client.id) {
            for joined in rooms {
                self.admit(&mut state, client, joined);
            }
        }
    }

    /// Leaves a room. False: the client was not in it, which is no error.
    pub(in crate::gateway) fn leave(&self, client: &Arc<Client>, contact: &ContactId) -> bool {
        let room = contact.room();
        let _order = self.typing_order();
        let (was_in, change) = {
            let mut state = self.state();
            let mut rooms = client.rooms();
            let before = rooms.len();
            rooms.retain(|joined| joined.room != room);
            let was_in = rooms.len() < before;
            drop(rooms);
            // What is on its way to the room's members is not sent to this one any more.
            if let Some(at) = &state.present {
                self.settle(at, client);
            }
            (was_in, state.leave(&room, client))
        };
        self.relay([change]);
        was_in
    }
}

impl State {
    pub(super) fn leave(&mut self, room: &Room, client: &Client) -> (Members, Change, Room) {
        let entry = self.rooms.entry(room.clone()).or_default();
        if let Some(index) = entry
            .members
            .iter()
            .position(|member| member.id == client.id)
        {
            Arc::make_mut(&mut entry.members).swap_remove(index);
        }
        let change = entry.typers.set(Typer::Client(client.id), None);
        let change = (entry.members.clone(), change, room.clone());
        self.forget_if_empty(room);
        change
    }
}
