//! The task that asks the policy again about clients that stay in their rooms.
//!
//! A right to be in a room is a lease. [`Leases`] asks about all rooms of a client within `ROWCAST_POLICY_LEASE`, each client at a
//! moment of its own, so that clients which came together are not asked about together.
//! Asks outside the client's turn, where it is in nobody's way. Only if a room is refused does it take the client's turn, which asks
//! once more and acts on that: a join that is handled meanwhile is not undone by an older answer.
//! Guarantees that a database which is away puts nobody out: the lease stays, is counted, and is asked about again soon. Meanwhile the
//! reader is to look at the database: a server that can't reach it broadcasts nothing, also where a relay would tell it of events.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::requests::Requests;
use crate::auth::RoomPolicy;
use crate::db::Verdict;
use crate::delivery::ReplaySource;

/// Clients that are asked about at a time.
const AT_A_TIME: usize = 4;
/// The longest pause before a lease that could not be asked about is asked about again.
const RETRY: Duration = Duration::from_secs(10);

/// Asks the policy again, for as long as clients stay.
pub(crate) struct Leases<S> {
    requests: Arc<Requests<S>>,
    lease: Duration,
}

impl<S: ReplaySource> Leases<S> {
    /// Asks again within `lease` of the last answer.
    pub(super) fn new(requests: Arc<Requests<S>>, lease: Duration) -> Self {
        Self { requests, lease }
    }

    /// Runs until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let pause = (self.lease / 20).clamp(Duration::from_millis(20), Duration::from_secs(5));
        let mut round = interval(pause);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut due = HashMap::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = round.tick() => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.renew_due(&mut due) => {}
            }
        }
    }

    /// Asks about every client whose time has come. `due` has the time of each.
    async fn renew_due(&self, due: &mut HashMap<u64, Instant>) {
        let now = Instant::now();
        let clients: HashMap<u64, Arc<Client>> = self
            .requests
            .clients
            .all()
            .into_iter()
            .filter(|client| RoomPolicy::may_change(&client.identity()))
            .map(|client| (client.id(), client))
            .collect();
        due.retain(|id, _| clients.contains_key(id));
        for id in clients.keys() {
            due.entry(*id).or_insert_with(|| now + self.next());
        }
        let mut come: Vec<_> = clients.into_values().collect();
        come.retain(|client| due[&client.id()] <= now);
        let mut asked = stream::iter(come)
            .map(|client| self.renew(client))
            .buffer_unordered(AT_A_TIME);
        while let Some((id, is_answered)) = asked.next().await {
            let pause = if is_answered {
                self.next()
            } else {
                self.requests.hub.metrics.policy_leases_kept.inc();
                self.requests.hub.wake_reader();
                RETRY.min(self.lease / 10)
            };
            due.insert(id, Instant::now() + pause);
            if !is_answered {
                // Nobody else will get an answer at this moment.
                return;
            }
        }
    }

    /// The pause until a client is asked about again: a random one, so that it comes with others by chance only.
    fn next(&self) -> Duration {
        self.lease.mul_f64(rand::random_range(0.5..0.85))
    }

    /// Asks about a client's rooms. Says whether all of them could be asked about.
    async fn renew(&self, client: Arc<Client>) -> (u64, bool) {
        let rooms = self.requests.rooms_of(&client);
        let verdicts = self
            .requests
            .room_policy
            .may_join(&client.identity(), &rooms)
            .await;
        if verdicts.contains(&Verdict::Denied) && client.inbox.push_recheck() {
            self.requests.handle_inbox_or_cut(&client).await;
        }
        (client.id(), !verdicts.contains(&Verdict::Unavailable))
    }
}
