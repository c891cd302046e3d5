use std::future::Future;
use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;

use super::*;
use crate::delivery::Affected;
use crate::feed::fakes::{
    Call, FakeDatabase, FakeSink, Handed, Outbox, Transaction, delivered_ids,
};
use crate::revocations::Revocation;

mod failures;
mod large;
mod revocations;
mod sleeping;

/// What no test waits for.
const NEVER: Duration = Duration::from_secs(3_600);

/// Waits for a fact.
async fn wait_for<T>(what: &str, fact: impl Future<Output = T>) -> T {
    let within = timeout(Duration::from_secs(10), fact).await;
    within.unwrap_or_else(|_| panic!("waited 10 s for {what}"))
}

/// A reader at work on a fake database.
struct Running {
    database: FakeDatabase,
    sink: FakeSink,
    status: watch::Receiver<ReaderStatus>,
    stop: CancellationToken,
    reader: JoinSet<()>,
}

impl Running {
    fn start(database: &FakeDatabase, poll: Duration) -> Self {
        Self::start_with(database, FakeSink::default(), poll)
    }

    fn start_with(database: &FakeDatabase, sink: FakeSink, poll: Duration) -> Self {
        let stop = CancellationToken::new();
        let (sender, status) = watch::channel(ReaderStatus::default());
        let reader = Reader::new(
            database.clone(),
            sink.clone(),
            database.wakes(),
            poll,
            sender,
            Metrics::new().0,
        );
        let mut running = JoinSet::new();
        running.spawn(reader.run(stop.clone()));
        Self {
            database: database.clone(),
            sink,
            status,
            stop,
            reader: running,
        }
    }

    /// One that has nothing to do.
    async fn asleep(database: &FakeDatabase, poll: Duration) -> Self {
        let running = Self::start(database, poll);
        running
            .until("the reader to sleep", Outbox::is_asleep)
            .await;
        running
    }

    async fn until(&self, what: &str, fact: impl FnMut(&Outbox) -> bool) {
        let mut outbox = self.database.outbox.subscribe();
        wait_for(what, async { drop(outbox.wait_for(fact).await) }).await;
    }

    async fn until_delivered(&self, events: usize) {
        let mut handed = self.sink.handed.subscribe();
        let fact = handed.wait_for(|handed| delivered_ids(handed).len() >= events);
        wait_for(&format!("{events} events"), async { drop(fact.await) }).await;
    }

    /// Commits one more event, waits until that is delivered, and ends the reader: what it handed over until then, and
    /// last of all that event.
    async fn end(mut self) -> Vec<Handed> {
        self.until("the reader to sleep", Outbox::is_asleep).await;
        self.database.at_once(|outbox| outbox.write("last"));
        let mut handed = self.sink.handed.subscribe();
        let is_last = |handed: &Handed| matches!(handed, Handed::Batch(batch) if batch.events.iter().any(|event| event.event.room.as_str() == "last"));
        let fact = handed.wait_for(|handed| handed.iter().any(is_last));
        wait_for("the last event", async { drop(fact.await) }).await;
        self.stop.cancel();
        let ended = wait_for("the reader's end", self.reader.join_next()).await;
        ended.expect("it ran").expect("it does not panic");
        assert_eq!(self.database.outbox.borrow().count(Call::Close), 1);
        self.sink.handed.borrow().clone()
    }
}
