//! The way to one client, as delivery needs it: the seam to `transport`, and to a test's fake.

use super::outgoing::Outgoing;

/// What became of an event for one subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendOutcome {
    /// The transport has taken it, and sends it or ends.
    Sent,
    /// The transport has ended.
    Closed,
    /// Not taken: too much waits for the client already.
    Full,
}

/// What waits in a transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backlog {
    /// Bytes that wait for the client.
    pub waiting_bytes: usize,
    /// Bytes that the client has taken, ever: whether it makes progress.
    pub taken_bytes: u64,
    /// A replay pauses when so many bytes wait.
    pub pause_at_bytes: usize,
}

/// The way to one client. Implemented by the server's transport, and by a test's fake.
pub(crate) trait SubscriberTransport: Send + Sync {
    /// Takes an event, whole and in order, or says why not. Never blocks.
    fn send(&self, event: &Outgoing) -> SendOutcome;
    /// Takes events in their order, as far as it can, and writes them together. Says how many it has taken and, where that is not all,
    /// why not the next one. Never blocks.
    fn send_together(&self, events: &[&Outgoing]) -> (usize, SendOutcome) {
        for (taken, event) in events.iter().enumerate() {
            match self.send(event) {
                SendOutcome::Sent => {}
                refused => return (taken, refused),
            }
        }
        (events.len(), SendOutcome::Sent)
    }
    /// What waits for the client.
    fn backlog(&self) -> Backlog;
    /// Whether nothing can be sent any more.
    fn is_closed(&self) -> bool;
    /// Ends the connection in a way that a stock client reconnects from. True for the first call.
    fn close(&self) -> bool;
}
