use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::*;
use crate::delivery::fakes::{
    Fake, batch, hub_at, offset_at, pass_batch, replay_page, revocations,
};

/// What a read of the source comes to.
enum Answer {
    Page(ReplayPage),
    Fails,
    Panics,
}

/// A source that answers what a test says.
#[derive(Default)]
struct ScriptedSource(Mutex<VecDeque<Answer>>);

impl ScriptedSource {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self(Mutex::new(answers.into_iter().collect()))
    }
}

impl ReplaySource for ScriptedSource {
    async fn read(&self, _ranges: Vec<RoomRange>) -> Result<Arc<ReplayPage>, ReadFailed> {
        let next = {
            let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            answers.pop_front().expect("nobody reads so often")
        };
        match next {
            Answer::Page(page) => Ok(Arc::new(page)),
            Answer::Fails => Err(ReadFailed),
            Answer::Panics => panic!("as the test says"),
        }
    }
}

/// Waits for a fact that nobody announces.
async fn until(what: &str, fact: impl Fn() -> bool) {
    let polled = async {
        while !fact() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    let within = timeout(Duration::from_secs(10), polled).await;
    within.unwrap_or_else(|_| panic!("waited 10 s for {what}"));
}

/// Replays for whoever is behind, until the set is dropped.
fn run(hub: &Arc<Hub>, source: ScriptedSource, behind: BehindReceiver) -> JoinSet<()> {
    let replay = Arc::new(Replay::new(hub.clone(), source));
    let mut running = JoinSet::new();
    running.spawn(replay.run(behind, CancellationToken::new()));
    running
}

fn is_live(fake: &Fake) -> bool {
    !fake.subscriber.state().is_behind()
}

#[tokio::test]
async fn a_replay_that_panics_cuts_its_client_and_no_other() {
    let (hub, behind) = hub_at(20);
    let [ana, ben, cay] = [1, 2, 3].map(|id| Fake::behind(&hub, id, 10, &["a"]));
    let page = || Answer::Page(replay_page(20, &[(1, 11, "a")], None));
    let source = ScriptedSource::new([page(), Answer::Panics, page()]);
    let _running = run(&hub, source, behind);
    hub.start_replay(&ana.subscriber);
    until("the first replay", || is_live(&ana)).await;
    hub.start_replay(&ben.subscriber);
    until("the cut", || ben.subscriber.transport.is_closed()).await;
    assert_eq!(hub.metrics.panics.get(), 1);
    hub.start_replay(&cay.subscriber);
    until("the last replay", || is_live(&cay)).await;
    for (fake, sent) in [(&ana, vec![1]), (&ben, vec![]), (&cay, vec![1])] {
        assert_eq!(fake.sent_ids(), sent);
    }
    let is_closed = |fake: &Fake| fake.subscriber.transport.is_closed();
    assert!(!is_closed(&ana) && !is_closed(&cay));
    assert_eq!(hub.metrics.panics.get(), 1);
}

#[tokio::test]
async fn a_read_that_fails_is_tried_again() {
    let (hub, behind) = hub_at(20);
    let ana = Fake::behind(&hub, 1, 10, &["a"]);
    let page = Answer::Page(replay_page(20, &[(1, 11, "a")], None));
    let _running = run(
        &hub,
        ScriptedSource::new([Answer::Fails, Answer::Fails, page]),
        behind,
    );
    hub.start_replay(&ana.subscriber);
    until("the replay", || is_live(&ana)).await;
    assert_eq!((ana.sent_ids(), ana.resyncs()), (vec![1], 0));
}

#[tokio::test]
async fn a_client_that_goes_while_reads_fail_is_not_read_for() {
    let (hub, _behind) = hub_at(20);
    let ana = Fake::live(&hub, 1);
    ana.subscriber.transport.close();
    let replay = Replay::new(hub, ScriptedSource::new([Answer::Fails]));
    let joined = replay
        .join_after(&ana.subscriber, &"a".into(), &offset_at(10))
        .await;
    assert_eq!(joined, Ok(JoinReplayOutcome::Gone));
}

#[tokio::test]
async fn a_join_with_an_offset_reads_what_is_missing_and_enters() {
    let (hub, _behind) = hub_at(20);
    let ana = Fake::live(&hub, 1);
    let page = replay_page(20, &[(1, 11, "a"), (2, 12, "b")], None);
    let replay = Replay::new(hub, ScriptedSource::new([Answer::Page(page)]));
    let joined = replay
        .join_after(&ana.subscriber, &"a".into(), &offset_at(10))
        .await;
    assert_eq!(joined, Ok(JoinReplayOutcome::Entered { replayed: 1 }));
    assert_eq!(ana.sent_ids(), [1]);
}

#[tokio::test]
async fn whoever_is_ahead_wakes_the_reader_and_goes_on_with_the_broadcast() {
    let reader_wake = watch::Sender::default();
    let mut woken = reader_wake.subscribe();
    let (hub, behind) = Hub::new(
        3,
        reader_wake,
        revocations(),
        crate::metrics::Metrics::new().0,
    );
    hub.finish_batch((*offset_at(10)).clone());
    let ana = Fake::behind(&hub, 1, 15, &["a"]);
    let _running = run(&hub, ScriptedSource::default(), behind);
    hub.start_replay(&ana.subscriber);
    let wake = timeout(Duration::from_secs(10), woken.changed()).await;
    wake.expect("waited 10 s for a wake")
        .expect("the hub is there");
    assert!(!is_live(&ana));
    pass_batch(&hub, &batch(10, 15, &[(1, 11, "a")]));
    until("the replay", || is_live(&ana)).await;
    assert_eq!((ana.sent_ids(), ana.resyncs()), (vec![], 0));
}

#[tokio::test]
async fn few_replays_are_at_work_at_a_time() {
    let (hub, behind) = hub_at(10);
    let fakes: Vec<_> = (0..3 * AT_WORK as u64)
        .map(|id| Fake::behind(&hub, id, 10, &["a"]))
        .collect();
    let events: Vec<_> = (1..=100).map(|id| (id, 11, "a")).collect();
    pass_batch(&hub, &batch(10, 20, &events));
    let _running = run(&hub, ScriptedSource::default(), behind);
    for fake in &fakes {
        hub.start_replay(&fake.subscriber);
    }
    let begun = |fake: &&Fake| !fake.sent_ids().is_empty();
    let mut most = 0;
    while !fakes.iter().all(is_live) {
        tokio::task::yield_now().await;
        let at_work = fakes.iter().filter(|fake| !is_live(fake));
        most = most.max(at_work.filter(begun).count());
    }
    assert!(most > 0 && most <= AT_WORK, "{most} at a time");
    for fake in &fakes {
        assert_eq!(fake.sent_ids().len(), 100);
        assert_eq!(
            fake.writes(),
            1,
            "what is sent together is written together"
        );
    }
}
