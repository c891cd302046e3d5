//! Who waits for the next revocation of a subject: requests over HTTP that wait long.
//!
//! Carries no revocation: whoever is woken looks at what is kept. Guarantees that a revocation which is added after a watch began wakes
//! it, whenever it begins to wait. A watch costs memory only, and wakes for its own subject alone. A leaf among the locks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{Bearer, Revocations};

/// Those who wait, by subject.
#[derive(Debug, Default)]
pub(super) struct Watches(Mutex<HashMap<u64, watch::Sender<()>>>);

/// A wait for the next revocation that may concern a bearer, from its making on.
pub(crate) struct RevocationWatch {
    revocations: Arc<Revocations>,
    subject: u64,
    /// `None` only while it is dropped.
    receiver: Option<watch::Receiver<()>>,
}

impl Watches {
    fn by_subject(&self) -> MutexGuard<'_, HashMap<u64, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes who waits for one of these subjects.
    pub(super) fn wake(&self, subjects: impl Iterator<Item = u64>) {
        let by_subject = self.by_subject();
        if by_subject.is_empty() {
            return;
        }
        for subject in subjects {
            if let Some(sender) = by_subject.get(&subject) {
                sender.send_replace(());
            }
        }
    }

    /// Wakes everybody.
    pub(super) fn wake_all(&self) {
        for sender in self.by_subject().values() {
            sender.send_replace(());
        }
    }
}

impl Revocations {
    /// Begins to wait for the next revocation that may concern the bearer.
    pub(crate) fn watch(self: &Arc<Self>, bearer: &Bearer) -> RevocationWatch {
        let mut by_subject = self.watches.by_subject();
        let sender = by_subject
            .entry(bearer.subject)
            .or_insert_with(|| watch::channel(()).0);
        RevocationWatch {
            subject: bearer.subject,
            receiver: Some(sender.subscribe()),
            revocations: self.clone(),
        }
    }
}

impl RevocationWatch {
    /// Returns once there was a revocation since the last return, or since the beginning.
    pub(crate) async fn next(&mut self) {
        let receiver = self.receiver.as_mut().expect("it is not dropped");
        let changed = receiver.changed().await;
        changed.expect("the sender stays while it has a receiver");
    }
}

impl Drop for RevocationWatch {
    fn drop(&mut self) {
        let mut by_subject = self.revocations.watches.by_subject();
        self.receiver = None;
        let sender = by_subject.get(&self.subject);
        if sender.is_some_and(|sender| sender.receiver_count() == 0) {
            by_subject.remove(&self.subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::revocations::Revocation;

    fn woken(watch: &mut RevocationWatch) -> bool {
        watch.next().now_or_never().is_some()
    }

    fn revocation(subject: &str, issuer: Option<&str>, room: Option<&str>) -> Revocation {
        Revocation {
            subject: subject.to_owned(),
            issuer: issuer.map(Into::into),
            room: room.map(Into::into),
            at: 1,
            reason: None,
        }
    }

    #[test]
    fn a_revocation_wakes_its_subject_and_nobody_else() {
        let revocations = Revocations::new(Duration::from_secs(3600));
        let bearer = |subject| revocations.bearer(Some("issuer"), subject, Some(7));
        let mut watches = [bearer("a"), bearer("a"), bearer("b")].map(|it| revocations.watch(&it));
        for (issuer, room) in [(None, None), (Some("issuer"), None), (None, Some("r:1"))] {
            revocations.add(&[revocation("a", issuer, room)]);
            assert_eq!(watches.each_mut().map(woken), [true, true, false]);
        }
        assert_eq!(watches.each_mut().map(woken), [false; 3], "once each");
        drop(watches);
        assert!(revocations.watches.by_subject().is_empty());
    }

    #[test]
    fn what_refuses_everybody_wakes_everybody() {
        let revocations = Arc::new(Revocations::with_room_for(2, Duration::from_secs(3600)));
        let mut watch = revocations.watch(&revocations.bearer(None, "other", Some(1)));
        let many: Vec<_> = ["a", "b", "c"]
            .map(|subject| revocation(subject, None, None))
            .into();
        revocations.add(&many);
        assert!(woken(&mut watch));
    }
}
