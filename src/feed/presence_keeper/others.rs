//! What other servers have: looked at by their versions, and read as far as it is watched.
//!
//! Guarantees that whatever a living server has written in a watched room is found: by its version, or, where departures were forgotten
//! that were not read, by reading the rooms again.

use std::collections::{HashMap, HashSet};

use super::PresenceKeeper;
use crate::db::{PresenceError, PresenceTables, RemoteServer};
use crate::event::Room;
use crate::presence::{Interest, RemoteChange};

/// More watched rooms than these are not named to the database at a time: all changes are read.
pub(super) const MAX_NAMED: usize = 1_000;

/// What is known of the other servers, and what is watched.
#[derive(Default)]
pub(super) struct Known {
    /// The version up to which each was read.
    pub(super) servers: HashMap<i64, i64>,
    watched: HashSet<Room>,
}

impl PresenceKeeper {
    /// Looks at the other servers, and reads what those have written that live. Says whether there is any, living or not.
    pub(super) async fn look(
        &self,
        tables: &mut PresenceTables,
        known: &mut Known,
    ) -> Result<bool, PresenceError> {
        let (living, has_others) = look_at_living(tables).await?;
        let lives = |server: &i64| living.iter().any(|other| other.server == *server);
        let before: Vec<i64> = known.servers.keys().copied().collect();
        let ended: Vec<i64> = before.into_iter().filter(|it| !lives(it)).collect();
        if !ended.is_empty() {
            known.servers.retain(|server, _| lives(server));
            self.found(RemoteChange::Ended(ended)).await;
        }
        let (mut since, mut is_behind) = (Vec::new(), false);
        for other in &living {
            let read = known.servers.insert(other.server, other.version);
            let read = read.unwrap_or(0);
            if read < other.version {
                since.push((other.server, read));
                is_behind |= read != 0 && read < other.complete_from;
            }
        }
        if known.watched.is_empty() || since.is_empty() {
            return Ok(has_others);
        }
        if is_behind {
            self.read_rooms(tables, known).await?;
            return Ok(has_others);
        }
        let few = known.watched.len() <= MAX_NAMED;
        let rooms = few.then(|| known.watched.iter().map(Room::as_str).collect());
        let mut changes = tables.changes(&since, rooms).await?;
        changes.rows.retain(|row| known.watched.contains(&row.room));
        self.found(RemoteChange::Changed {
            rows: changes.rows,
            gone: changes.gone,
        })
        .await;
        Ok(has_others)
    }

    /// Reads rooms that are watched from now on.
    pub(super) async fn read_watched(
        &self,
        tables: &mut PresenceTables,
        known: &mut Known,
        interests: impl Iterator<Item = Interest>,
    ) -> Result<(), PresenceError> {
        let mut begun = HashSet::new();
        for interest in interests {
            match interest {
                Interest::Begins(room) => {
                    known.watched.insert(room.clone());
                    begun.insert(room);
                }
                Interest::Ends(room) => {
                    known.watched.remove(&room);
                    begun.remove(&room);
                }
            }
        }
        self.read_some(tables, known, begun.into_iter().collect())
            .await
    }

    /// Reads all that others have in the rooms that are watched.
    pub(super) async fn read_everything(
        &self,
        tables: &mut PresenceTables,
        known: &mut Known,
    ) -> Result<(), PresenceError> {
        let (living, _) = look_at_living(tables).await?;
        known.servers = living
            .iter()
            .map(|other| (other.server, other.version))
            .collect();
        self.read_rooms(tables, known).await
    }

    async fn read_rooms(
        &self,
        tables: &mut PresenceTables,
        known: &Known,
    ) -> Result<(), PresenceError> {
        let rooms: Vec<Room> = known.watched.iter().cloned().collect();
        for some in rooms.chunks(MAX_NAMED) {
            self.read_some(tables, known, some.to_vec()).await?;
        }
        Ok(())
    }

    async fn read_some(
        &self,
        tables: &mut PresenceTables,
        known: &Known,
        rooms: Vec<Room>,
    ) -> Result<(), PresenceError> {
        if rooms.is_empty() {
            return Ok(());
        }
        let servers: Vec<i64> = known.servers.keys().copied().collect();
        let rows = match servers.is_empty() {
            true => Vec::new(),
            false => tables.rooms(&rooms, &servers).await?,
        };
        self.found(RemoteChange::Rooms { rooms, rows }).await;
        Ok(())
    }

    async fn found(&self, change: RemoteChange) {
        // Nobody listens only when the server is ending.
        let _ = self.remote.send(change).await;
    }
}

/// The other servers that live, and whether there is any other, living or not.
async fn look_at_living(
    tables: &mut PresenceTables,
) -> Result<(Vec<RemoteServer>, bool), PresenceError> {
    let mut others = tables.look().await?;
    let has_others = !others.is_empty();
    others.retain(|other| other.lives);
    Ok((others, has_others))
}
