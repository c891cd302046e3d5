//! Whether a client that comes back may still be in its rooms.

use tokio::time::{Instant, sleep};

use super::{Connector, Refused};
use crate::auth::Identity;
use crate::backoff::Backoff;
use crate::db::Verdict;
use crate::delivery::ReplaySource;
use crate::event::{Room, left};
use crate::socketio::session::resume::Resumed;

impl<S: ReplaySource> Connector<S> {
    /// Asks about all rooms of the session at once, and takes those out that the client may not be in any more. Where none can be
    /// asked about, because the database is away, that is waited for until `late`, while the client waits for its CONNECT. Where the
    /// policy does not answer for some of them, the client comes in without those.
    pub(super) async fn ask_rooms(
        &self,
        mut resumed: Resumed,
        identity: &Identity,
        late: Instant,
        has_ended: impl Fn() -> bool,
    ) -> Result<Resumed, Refused> {
        let rooms: Vec<Room> = resumed
            .rooms
            .iter()
            .map(|joined| joined.room.clone())
            .collect();
        let mut backoff = Backoff::default();
        let verdicts = loop {
            let verdicts = self.requests.room_policy.may_join(identity, &rooms).await;
            let is_answered = |verdict: &Verdict| *verdict != Verdict::Unavailable;
            if rooms.is_empty() || verdicts.iter().any(is_answered) {
                break verdicts;
            }
            sleep(backoff.next()).await;
            if has_ended() || Instant::now() > late {
                return Err(Refused::Unavailable);
            }
        };
        let mut verdicts = verdicts.into_iter();
        resumed.rooms.retain(|joined| {
            let reason = match verdicts.next() {
                Some(Verdict::Allowed) => return true,
                Some(Verdict::Denied) => left::FORBIDDEN,
                Some(Verdict::Unavailable) | None => left::UNAVAILABLE,
            };
            resumed.left.push((joined.room.clone(), reason));
            false
        });
        Ok(resumed)
    }
}
