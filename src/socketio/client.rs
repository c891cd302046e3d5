//! One connected client as the Socket.IO side sees it: who it is, its resume session, and the way to answer it.
//!
//! Refuses to know rooms and offsets: those are its subscriber's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::inbox::Inbox;
use super::protocol::Refusal;
use crate::auth::Identity;
use crate::db::{ResumeSession, Sessions, StoreError, StoredSession};
use crate::delivery::{SendOutcome, Subscriber, SubscriberTransport as _};
use crate::quota::{Holder, Pace};
use crate::transport::{Ack, ClientTransport};

/// How often a client may go on with another token, beside some at once: one does so every few minutes.
const REFRESH_PAUSE: Duration = Duration::from_secs(5);

/// A connected client.
pub(super) struct Client {
    /// What it proved last.
    proved: Mutex<Proved>,
    pub(super) session: ResumeSession,
    pub(super) inbox: Arc<Inbox>,
    pub(super) subscriber: Arc<Subscriber>,
    /// The subscriber's transport: answers go the same way as events.
    pub(super) transport: Arc<ClientTransport>,
    /// Whether the database may have a row for the resume session, which it has from the first join on.
    session_stored: AtomicBool,
    /// Whether the client has disconnected on purpose, and so the row is to be gone.
    has_left: AtomicBool,
    /// Whether the connection has ended otherwise, and so the row is to be one that has ended.
    has_ended: AtomicBool,
    /// Whether the row has other rooms than the client is in, because the database was away when they changed.
    session_dirty: AtomicBool,
    refreshes: Pace,
    /// When it connected.
    pub(super) since: Instant,
}

/// Who a client is, and for how long it may be that.
struct Proved {
    identity: Identity,
    /// When it is cut because its token has ended, in seconds since 1970.
    cut_at: Option<i64>,
}

impl Client {
    /// `session_stored` says whether the database has a row for the session: a client that resumed has one.
    pub(super) fn new(
        identity: Identity,
        session: ResumeSession,
        inbox: Arc<Inbox>,
        subscriber: Arc<Subscriber>,
        transport: Arc<ClientTransport>,
        session_stored: bool,
    ) -> Self {
        let now = Instant::now();
        Self {
            proved: Mutex::new(Proved {
                identity,
                cut_at: None,
            }),
            session,
            inbox,
            subscriber,
            transport,
            session_stored: AtomicBool::new(session_stored),
            has_left: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            session_dirty: AtomicBool::new(false),
            refreshes: Pace::new(now),
            since: now,
        }
    }

    /// Our own number for the connection. The Socket.IO id is a secret: never logged, never shown.
    pub(super) fn id(&self) -> u64 {
        self.subscriber.id
    }

    /// Counts a token that it goes on with; false when it is one too many. For each, the policy is asked about all of its rooms.
    pub(super) fn take_refresh(&self) -> bool {
        self.refreshes.take(REFRESH_PAUSE, Instant::now())
    }

    /// Who it is.
    pub(super) fn identity(&self) -> Identity {
        self.proved().identity.clone()
    }

    /// For whom limits count what it asks for: its identity, or without one its address.
    pub(super) fn holder(&self) -> Option<Holder> {
        let identity = self.identity().holder();
        identity.or_else(|| self.transport.address_holder())
    }

    /// It has proved the same with a later token.
    pub(super) fn set_identity(&self, identity: Identity) {
        self.proved().identity = identity;
    }

    /// Sets when it is cut because its token has ended, and returns when it would have been.
    pub(super) fn set_cut_at(&self, at: Option<i64>) -> Option<i64> {
        std::mem::replace(&mut self.proved().cut_at, at)
    }

    fn proved(&self) -> MutexGuard<'_, Proved> {
        self.proved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_stored_session(&self) -> bool {
        self.session_stored.load(Ordering::Relaxed)
    }

    pub(super) fn set_session_stored(&self) {
        self.session_stored.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_left(&self) -> bool {
        self.has_left.load(Ordering::SeqCst)
    }

    pub(super) fn set_left(&self) {
        self.has_left.store(true, Ordering::SeqCst);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::SeqCst)
    }

    pub(super) fn set_ended(&self) {
        self.has_ended.store(true, Ordering::SeqCst);
    }

    /// Whether how far it was served may be stored only together with its rooms: the row may have more of them, of which it was not
    /// served what came since.
    pub(super) fn must_be_stored_whole(&self) -> bool {
        self.is_session_dirty() || self.subscriber.was_taken_out()
    }

    /// Stores all of its session. False: another connection has it by now.
    ///
    /// # Errors
    /// The database's own.
    pub(super) fn write_session(
        &self,
        sessions: &Sessions,
        stored: StoredSession,
    ) -> impl Future<Output = Result<bool, StoreError>> {
        let was_taken_out = self.subscriber.was_taken_out();
        sessions.store_or_forget(self.session.clone(), stored, was_taken_out)
    }

    pub(super) fn is_session_dirty(&self) -> bool {
        self.session_dirty.load(Ordering::Relaxed)
    }

    pub(super) fn set_session_dirty(&self, dirty: bool) {
        self.session_dirty.store(dirty, Ordering::Relaxed);
    }

    /// Tells the client why its event is refused: by the ack, or by an error event if the client asked for no ack.
    pub(super) fn refuse(&self, refusal: &Refusal, ack: Ack) {
        match ack {
            Ack::None => {
                // As with an answer that is not taken: the client would take its event for handled.
                if self.transport.send(&refusal.event()) != SendOutcome::Sent {
                    self.transport.close();
                }
            }
            ack => self.transport.answer(ack, &refusal.ack()),
        }
    }
}
