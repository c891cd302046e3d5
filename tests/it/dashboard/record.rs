//! What a page did besides what a test asked of it, and what of that is wrong.

use serde_json::Value;

use super::view::View;
use crate::harness::Database;
use crate::harness::page::{Record, Request, Said};

/// What Chromium itself says of a network that fails.
const NETWORK: [&str; 2] = ["Failed to load resource: ", "WebSocket connection to "];

impl View {
    /// The record of a test that broke something: nothing odd was shown, nobody else was asked, no script failed.
    pub(super) async fn clean(&self) -> Record {
        self.clean_without(&[]).await
    }

    /// The same where these messages were deleted on the way.
    pub(super) async fn clean_without(&self, deleted: &[String]) -> Record {
        let record = self.page.record().await;
        let odd = record.saw.iter().filter(|saw| {
            let gone = saw.odd.as_deref() == Some("vanished") && deleted.contains(&saw.id);
            saw.odd.is_some() && !gone
        });
        none("the page showed", odd);
        none("nobody caught", &record.errors);
        let network = |said: &&Said| !NETWORK.iter().any(|words| said.text.starts_with(words));
        none("the console has", record.complaints().filter(network));
        let foreign = record
            .requests
            .iter()
            .filter(|each| !self.is_own(&each.url));
        none("not to this server", foreign);
        record
    }

    /// The record of a test that broke nothing: no request failed either.
    pub(super) async fn calm(&self) -> Record {
        let record = self.clean().await;
        let failed = record
            .requests
            .iter()
            .filter(|request| request.status.is_some_and(|status| status >= 400));
        none("refused", failed);
        none("the console has", record.complaints());
        record
    }

    /// The end of a test that broke something: the conversation is as the database has it, nothing odd was shown on the way,
    /// and nobody had to load the history again.
    pub(super) async fn ends_with_one_history(&self, database: &Database, contact: &str) {
        self.settles(database, contact).await;
        let record = self.clean().await;
        let histories = record.reads(contact, "messages").len();
        assert_eq!(histories, 1, "the history once");
    }

    fn is_own(&self, url: &str) -> bool {
        let rest = url.strip_prefix("http://").or(url.strip_prefix("ws://"));
        let path = rest.and_then(|rest| rest.strip_prefix(&self.address));
        url.starts_with("data:") || path.is_some_and(|path| path.starts_with('/'))
    }
}

impl Record {
    /// The requests of the client for one of a conversation's reads: `messages` or `events`.
    pub(super) fn reads(&self, contact: &str, what: &str) -> Vec<&Request> {
        let path = format!("/api/conversations/{contact}/{what}?");
        self.requests
            .iter()
            .filter(|request| request.url.contains(&path))
            .collect()
    }

    /// The joins that were sent: Socket.IO's packets of an event.
    pub(super) fn joins(&self) -> Vec<Value> {
        let packets = self.frames.iter().filter(|frame| frame.starts_with("42"));
        packets
            .filter_map(|frame| frame.find('[').map(|at| &frame[at..]))
            .filter_map(|packet| serde_json::from_str::<Value>(packet).ok())
            .filter(|packet| packet[0] == "join:conversation")
            .map(|mut packet| packet[1].take())
            .collect()
    }

    fn complaints(&self) -> impl Iterator<Item = &Said> {
        let said = self.console.iter();
        said.filter(|said| matches!(said.level.as_str(), "error" | "warning"))
    }
}

fn none<T: std::fmt::Debug>(what: &str, found: impl IntoIterator<Item = T>) {
    let found: Vec<T> = found.into_iter().collect();
    assert!(found.is_empty(), "{what}: {found:#?}");
}
