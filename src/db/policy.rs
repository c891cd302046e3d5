//! Asks the database who may join which room: the policy, `rowcast.may_join`, which its owner may have replaced by any SQL.
//!
//! Owns the way to ask, and what becomes of a policy that does not answer. All rooms of a client are asked in one statement, and
//! clients that ask at the same moment share one. A statement that fails says nothing: then each client is asked about alone,
//! and each room of it under a savepoint, so that a room for which the policy raises or hangs takes nothing from the others.
//! Refuses to take anything but `true` for yes. Refuses to let anybody wait for ever: the questions that wait are bounded in
//! number and in time, and what could not be asked is [`Verdict::Unavailable`].
//! Guarantees that a policy changes nothing and keeps nothing (`transaction`), and that it has connections of its own: one that
//! hangs holds up other questions to the policy at most, and no event.
//! Relies on the caller to ask again where the answer matters later: an answer holds for the moment.

mod complaints;
mod role;
mod transaction;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::pools::{POLICY_CONNECTIONS, Pool};
use super::query_batcher::QueryBatcher;
use crate::event::Room;
use crate::metrics::Metrics;
use complaints::Complaints;
pub(super) use role::MAY_BECOME;
use role::Role;
use transaction::{Asking, Failure};

/// Clients of one statement at most.
const MAX_TOGETHER: usize = 20;
/// A statement for several clients is given up after this time: they are asked about one by one then, each with all of its time.
const TOGETHER_TIMEOUT: Duration = Duration::from_millis(500);
/// After a statement for several clients has failed, no two share one for this time.
const ALONE_FOR: Duration = Duration::from_secs(5);
/// Questions that may wait.
const MAX_WAITING: usize = 5_000;
/// How long a question may wait for its turn.
const QUEUE_PATIENCE: Duration = Duration::from_secs(5);

/// What the policy says of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It said true.
    Allowed,
    /// It said anything else, or raised an error.
    Denied,
    /// It did not answer in time, or could not be asked: the same question may be answered a moment later.
    Unavailable,
}

/// One client's question.
struct Question {
    claims: Box<str>,
    rooms: Vec<Room>,
}

/// Asks `rowcast.may_join`.
pub(crate) struct Policy {
    pool: Pool,
    /// How long the policy may take for a question: `ROWCAST_POLICY_TIMEOUT`.
    timeout: Duration,
    role: Role,
    /// Answers `None` to a question that is to be asked alone.
    together: QueryBatcher<Arc<Question>, Option<Vec<Verdict>>>,
    /// Until when no two clients share a statement.
    alone_until: Mutex<Option<Instant>>,
    waiting: AtomicUsize,
    complaints: Complaints,
    metrics: Metrics,
}

impl Policy {
    /// Over the pool that is there for this. The policy may take `timeout` for a question.
    pub(crate) fn new(pool: Pool, timeout: Duration, metrics: Metrics) -> Self {
        Self {
            pool,
            timeout,
            role: Role::default(),
            together: QueryBatcher::new(POLICY_CONNECTIONS, MAX_TOGETHER),
            alone_until: Mutex::default(),
            waiting: AtomicUsize::new(0),
            complaints: Complaints::default(),
            metrics,
        }
    }

    /// Which of the rooms whoever has these claims, a JSON object, may join: a verdict for each, in their order.
    pub(crate) async fn ask(&self, claims: &str, rooms: &[Room]) -> Vec<Verdict> {
        if rooms.is_empty() {
            return Vec::new();
        }
        let begun = Instant::now();
        self.metrics.policy_calls.inc();
        let question = Arc::new(Question {
            claims: claims.into(),
            rooms: rooms.to_vec(),
        });
        let verdicts = match Place::take(&self.waiting) {
            Some(_place) => {
                let patience = QUEUE_PATIENCE + 4 * self.timeout;
                timeout(patience, self.answer(&question)).await.ok()
            }
            None => None,
        };
        let verdicts = verdicts.unwrap_or_else(|| {
            self.complaints
                .log("can't be asked", "too many questions wait for it");
            question.unavailable()
        });
        self.count(&verdicts, begun.elapsed());
        verdicts
    }

    fn count(&self, verdicts: &[Verdict], took: Duration) {
        let of = |kind| verdicts.iter().filter(|verdict| **verdict == kind).count() as u64;
        self.metrics.policy_denials.inc_by(of(Verdict::Denied));
        if of(Verdict::Unavailable) > 0 {
            self.metrics.policy_unavailable.inc();
        }
        self.metrics.policy_seconds.observe(took.as_secs_f64());
    }

    async fn answer(&self, question: &Arc<Question>) -> Vec<Verdict> {
        if !self.must_ask_alone() {
            let together = async |questions| self.ask_together(questions).await;
            if let Some(verdicts) = self.together.ask(question.clone(), together).await {
                return verdicts;
            }
        }
        self.ask_alone(question).await
    }

    fn must_ask_alone(&self) -> bool {
        let until = *self.alone_until();
        until.is_some_and(|until| Instant::now() < until)
    }

    fn alone_until(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.alone_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for several clients by one statement. `None`: it says nothing of this one.
    async fn ask_together(&self, questions: Vec<Arc<Question>>) -> Vec<Option<Vec<Verdict>>> {
        if let [question] = questions.as_slice() {
            return vec![Some(self.ask_alone(question).await)];
        }
        let asked = self
            .ask_at_once(&questions, TOGETHER_TIMEOUT.min(self.timeout))
            .await;
        match asked {
            Ok(verdicts) => verdicts.into_iter().map(Some).collect(),
            Err(Failure::Away(cause)) => {
                self.complaints.log("can't be asked", &cause);
                let unavailable = questions.iter().map(|question| question.unavailable());
                unavailable.map(Some).collect()
            }
            Err(Failure::Raised(_) | Failure::TimedOut) => {
                *self.alone_until() = Some(Instant::now() + ALONE_FOR);
                questions.iter().map(|_| None).collect()
            }
        }
    }

    /// Asks for one client.
    async fn ask_alone(&self, question: &Arc<Question>) -> Vec<Verdict> {
        let asked = self
            .ask_at_once(std::slice::from_ref(question), self.timeout)
            .await;
        match asked {
            Ok(mut verdicts) => verdicts.pop().unwrap_or_default(),
            Err(Failure::Away(cause)) => {
                self.complaints.log("can't be asked", &cause);
                question.unavailable()
            }
            Err(failure) if question.rooms.len() == 1 => vec![self.failed(failure)],
            Err(Failure::TimedOut) => self.ask_room_by_room(question, self.timeout / 4).await,
            Err(Failure::Raised(_)) => self.ask_room_by_room(question, self.timeout).await,
        }
    }

    async fn ask_at_once(
        &self,
        questions: &[Arc<Question>],
        limit: Duration,
    ) -> Result<Vec<Vec<Verdict>>, Failure> {
        self.metrics.policy_statements.inc();
        let mut asking = Asking::begin(&self.pool, &self.role, limit).await?;
        let questions: Vec<_> = questions.iter().map(|question| &**question).collect();
        let answers = asking.ask(&questions).await?;
        asking.end().await;
        Ok(answers)
    }

    /// Asks about each room by itself, of which each may take `limit`. What is not asked about after twice the policy's time is
    /// unavailable.
    async fn ask_room_by_room(&self, question: &Question, limit: Duration) -> Vec<Verdict> {
        let deadline = Instant::now() + 2 * self.timeout;
        let mut verdicts = Vec::with_capacity(question.rooms.len());
        let mut asking = None;
        for room in &question.rooms {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let limit = limit.min(left);
            match self.ask_room(&mut asking, question, room, limit).await {
                Ok(verdict) => verdicts.push(verdict),
                Err(Failure::Away(cause)) => {
                    self.complaints.log("can't be asked", &cause);
                    break;
                }
                Err(failure) => verdicts.push(self.failed(failure)),
            }
        }
        if let Some(asking) = asking {
            asking.end().await;
        }
        verdicts.resize(question.rooms.len(), Verdict::Unavailable);
        verdicts
    }

    /// Asks about one room under a savepoint of a transaction, which is begun if there is none.
    async fn ask_room(
        &self,
        transaction: &mut Option<Asking>,
        question: &Question,
        room: &Room,
        limit: Duration,
    ) -> Result<Verdict, Failure> {
        let mut asking = match transaction.take() {
            Some(asking) => asking,
            None => Asking::begin(&self.pool, &self.role, self.timeout).await?,
        };
        self.metrics.policy_statements.inc();
        let answer = match timeout(limit, asking.ask_room(&question.claims, room)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::TimedOut),
        };
        if !matches!(answer, Err(Failure::TimedOut | Failure::Away(_))) {
            *transaction = Some(asking);
        }
        answer
    }

    /// What a policy that raised or hung has said, which is logged now and then.
    fn failed(&self, failure: Failure) -> Verdict {
        match failure {
            Failure::Raised(cause) => {
                // It may be a right that was taken away.
                self.role.forget();
                self.metrics.policy_errors.inc();
                self.complaints
                    .log("raised an error, and the room was refused", &cause);
                Verdict::Denied
            }
            Failure::TimedOut => {
                self.metrics.policy_timeouts.inc();
                let limit = format!(
                    "no answer within ROWCAST_POLICY_TIMEOUT ({:?})",
                    self.timeout
                );
                self.complaints.log("did not answer", &limit);
                Verdict::Unavailable
            }
            Failure::Away(cause) => {
                self.complaints.log("can't be asked", &cause);
                Verdict::Unavailable
            }
        }
    }
}

impl Question {
    fn unavailable(&self) -> Vec<Verdict> {
        vec![Verdict::Unavailable; self.rooms.len()]
    }
}

/// A place among the questions that wait.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    /// `None`: there are too many.
    fn take(waiting: &'a AtomicUsize) -> Option<Self> {
        let place = Self(waiting);
        let before = waiting.fetch_add(1, Ordering::Relaxed);
        (before < MAX_WAITING).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
