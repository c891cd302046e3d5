//! Which resume session a connecting client has: the one that it asks for, or a new one.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::time::{Instant, sleep};
use tracing::Instrument as _;

use super::{Connector, Refused};
use crate::auth::Identity;
use crate::backoff::Backoff;
use crate::db::{CountedFor, PidHash, ResumeSession};
use crate::delivery::ReplaySource;
use crate::presence::Subject;
use crate::quota::Holder;
use crate::socketio::session::resume::{self, ResumeOutcome, ResumeRequest};
use crate::spans;

impl<S: ReplaySource> Connector<S> {
    /// The resume session of a client, with the pid that CONNECT carries: the session that the client asks for if it can be
    /// resumed, else a new one. It counts for the identity, or for whoever has no token for `address`. `has_ended` says that the connection is gone.
    pub(super) async fn begin_session(
        &self,
        request: Option<ResumeRequest>,
        identity: &Identity,
        address: Option<&Holder>,
        has_ended: impl Fn() -> bool,
    ) -> Result<(String, ResumeSession, ResumeOutcome), Refused> {
        let holder = identity.holder();
        let counted_for = holder.as_ref().or(address).map(CountedFor::of);
        let session = |pid: &str| ResumeSession {
            pid: PidHash::of(pid),
            identity: identity.name(),
            owner: rand::random(),
            counted_for,
        };
        let mut outcome = ResumeOutcome::New;
        if let Some(request) = request {
            let asked_for = session(&request.pid);
            let span = spans::resume();
            let taken_over = self.take_over(&request, &asked_for, identity, has_ended);
            let taken_over = taken_over.instrument(span.clone()).await;
            outcome = taken_over.inspect_err(|refused| spans::fail(&span, refused))?;
            spans::set_outcome(&span, outcome.name());
            spans::set_rooms(&span, outcome.rooms());
            if let ResumeOutcome::Resumed(_) = outcome {
                return Ok((request.pid, asked_for, outcome));
            }
        }
        let pid = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>());
        let session = session(&pid);
        Ok((pid, session, outcome))
    }

    /// Whom a client counts for among those who are in a room, where that is kept.
    pub(super) fn presence_subject(
        &self,
        identity: &Identity,
        session: &ResumeSession,
    ) -> Option<Subject> {
        let subject = || {
            identity
                .subject()
                .unwrap_or_else(|| session.pid.stand_in().into())
        };
        self.hub().presence.is_kept().then(subject)
    }

    /// Takes over the resume session that a client asks for, and decides whether it can be resumed. A database that is away is waited
    /// for, while the client waits for its CONNECT: the engine ends the connection at its time limit, and the client tries
    /// again.
    async fn take_over(
        &self,
        request: &ResumeRequest,
        session: &ResumeSession,
        identity: &Identity,
        has_ended: impl Fn() -> bool,
    ) -> Result<ResumeOutcome, Refused> {
        let sessions = &self.requests.sessions;
        let (begun, mut backoff) = (Instant::now(), Backoff::default());
        let late = self.limits.handshake_timeout + Duration::from_secs(1);
        loop {
            match sessions.take_over(session.clone()).await {
                Ok(takeover) => {
                    return match resume::evaluate(takeover, request) {
                        ResumeOutcome::Resumed(resumed) => {
                            let late = begun + late;
                            let asked = self.ask_rooms(resumed, identity, late, has_ended).await;
                            asked.map(ResumeOutcome::Resumed)
                        }
                        outcome => {
                            if let ResumeOutcome::Lost { .. } = outcome {
                                sessions.forget_or_log(session).await;
                            }
                            Ok(outcome)
                        }
                    };
                }
                // `Sessions` has told the checks, which log it once for all clients.
                Err(error) => tracing::debug!("a client that comes back waits: {error}"),
            }
            sleep(backoff.next()).await;
            // Taking a resume session over for a connection that has ended would get in the way of the client's next one.
            if has_ended() || begun.elapsed() > late {
                return Err(Refused::Unavailable);
            }
        }
    }
}
