//! Presence after everything that broke: whoever is in a room, and nobody else.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::Soak;
use crate::harness::wait::until_for;
use crate::harness::witness::Phase;

const IN_SQL: &str = "select coalesce(string_agg(concat_ws(' ', room, subject, connections), E'\\n' order by room collate \"C\", subject collate \"C\"), '') from rowcast.presence";
const ROWS: &str = "select count(*) from rowcast.presence_of_servers";

impl Soak {
    /// `rowcast.presence` has who is really there: nobody is missing, nobody is a ghost. Clients still come and go, so both are looked at
    /// until they agree.
    pub(super) async fn presence_is_right(&self) {
        // A client of long polls that is gone is missed by the heartbeat alone, which takes 45 s.
        let patience = Duration::from_secs(75);
        let wrong = RefCell::new(String::new());
        let what = fmt::from_fn(|f| write!(f, "presence to be right: {}", wrong.borrow()));
        let right = until_for(patience, what, async || {
            let there = self.who_is_there();
            let said = self.database.value(IN_SQL).await;
            let said: BTreeSet<String> = said.lines().map(str::to_owned).collect();
            let rows = self.database.value(ROWS).await;
            let ghosts: Vec<_> = said.difference(&there).collect();
            let missing: Vec<_> = there.difference(&said).collect();
            let is_right = said == there && rows == there.len().to_string();
            *wrong.borrow_mut() = format!("ghosts {ghosts:?}, missing {missing:?}, {rows} rows");
            is_right.then_some(there.len())
        });
        let right = right.await;
        eprintln!("presence: {right} are there, 0 ghosts, 0 missing");
        assert!(right > 0);
    }

    /// The rooms of the witnesses, each of which is one connection of its own subject.
    fn who_is_there(&self) -> BTreeSet<String> {
        let mut there = BTreeSet::new();
        for (number, witness) in self.witnesses.iter().enumerate() {
            let view = witness.view();
            let rooms = view
                .rooms
                .iter()
                .filter(|(_, room)| room.phase == Phase::In);
            for (contact, _) in rooms.filter(|_| view.connected) {
                there.insert(format!("conversation:{contact} witness-{number} 1"));
            }
        }
        there
    }
}
