//! The hub's part in typing: who types is kept with the room, and told to its members.

use tokio::time::Instant;

use super::{Hub, Members};
use crate::event::{ContactId, Room};
use crate::gateway::client::Client;
use crate::gateway::protocol::Refusal;
use crate::gateway::typing::{Change, Typer};

impl Hub {
    /// A client says that it types, or that it stopped. Refused where it is not in the room.
    pub(in crate::gateway) fn client_types(
        &self,
        client: &Client,
        contact: &ContactId,
        typing: bool,
    ) -> Result<(), Refusal> {
        let room = contact.room();
        if client.joined(&room).is_none() {
            return Err(Refusal::Forbidden("join the conversation first"));
        }
        self.types(&room, Typer::Client(client.id), typing);
        Ok(())
    }

    /// SQL says that someone types, or stopped (`rowcast.typing`).
    pub(in crate::gateway) fn sql_types(&self, contact: &ContactId, typing: bool) {
        self.types(&contact.room(), Typer::Sql, typing);
    }

    fn types(&self, room: &Room, typer: Typer, typing: bool) {
        let _order = self.typing_order();
        let change = {
            let mut state = self.state();
            let entry = state.rooms.entry(room.clone()).or_default();
            let change = entry.typers.set(typer, typing.then(Instant::now));
            let change = (entry.members.clone(), change, room.clone());
            state.forget_if_empty(room);
            change
        };
        self.relay([change]);
    }

    /// Ends what nobody renewed, and says when to look again.
    pub(in crate::gateway) fn expire_typing(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut next = None;
        let _order = self.typing_order();
        let changes: Vec<_> = {
            let mut state = self.state();
            let typing: Vec<Room> = state
                .rooms
                .iter()
                .filter(|(_, room)| !room.typers.is_empty())
                .map(|(name, _)| name.clone())
                .collect();
            typing
                .into_iter()
                .filter_map(|name| {
                    let room = state.rooms.get_mut(&name)?;
                    let change = room.typers.expire(now);
                    next = next.into_iter().chain(room.typers.next_expiry()).min();
                    let change = (room.members.clone(), change, name.clone());
                    state.forget_if_empty(&name);
                    Some(change)
                })
                .collect()
        };
        self.relay(changes);
        next
    }

    /// Tells members whose view of who types has changed.
    pub(super) fn relay(&self, changes: impl IntoIterator<Item = (Members, Change, Room)>) {
        for (members, change, room) in changes {
            for client in &*members {
                if let Some(event) = change.seen_by(client.id, &room) {
                    self.send(client, event);
                    self.metrics.typing.inc();
                }
            }
        }
    }
}
