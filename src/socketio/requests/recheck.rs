//! Asks the policy again about the rooms that a client is in, and puts it out of those that it may not be in any more.

use std::sync::Arc;

use super::Requests;
use crate::db::Verdict;
use crate::delivery::ReplaySource;
use crate::event::{Room, left};
use crate::socketio::client::Client;

impl<S: ReplaySource> Requests<S> {
    /// Asks about every room that the client is in. A room that is refused is left, the client is told, and its resume session is
    /// stored without the room. One that can't be asked about stays. False: there is such a room.
    ///
    /// To be called in the client's turn only, as the handling of its inbox is: a join that is under way would not be asked about.
    pub(in crate::socketio) async fn recheck_rooms(&self, client: &Arc<Client>) -> bool {
        let rooms = self.rooms_of(client);
        let verdicts = self.room_policy.may_join(&client.identity(), &rooms).await;
        let mut has_left = false;
        for (room, verdict) in rooms.iter().zip(&verdicts) {
            if *verdict == Verdict::Denied {
                has_left |= self.hub.put_out(&client.subscriber, room, left::FORBIDDEN);
            }
        }
        if has_left {
            // A row that can't be stored has the room still. Whoever comes back by it is asked about again.
            let stored = self.store_session(client).await;
            client.set_session_dirty(stored.is_err());
        }
        !verdicts.contains(&Verdict::Unavailable)
    }

    /// The rooms that the client is in; none once it is gone.
    pub(in crate::socketio) fn rooms_of(&self, client: &Client) -> Vec<Room> {
        let joined = self.hub.rooms_and_progress(&client.subscriber);
        let rooms = joined.into_iter().flat_map(|(rooms, _)| rooms);
        rooms.map(|joined| joined.room).collect()
    }
}
