//! What a witness does about its rights: it shows a newer token when one is refused or ends, and asks for its way back into a room
//! that it was put out of.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::super::issuer::in_seconds;
use super::super::Phase;
use super::Actor;

/// Between two looks at the pass, and between two attempts to come back into a room.
const PAUSE: Duration = Duration::from_millis(200);
/// A token is renewed so many seconds before it ends, by whoever does not wait for its end.
const BEFORE_ITS_END: i64 = 2;

impl Actor {
    /// It was told that it is not in a room any more.
    pub(super) fn put_out(&self, payload: &Value) {
        let room = payload["room"].as_str().unwrap_or_default();
        let contact = room.strip_prefix("conversation:").unwrap_or_default();
        let mut view = self.view();
        view.note(&format!("put out: {payload}"));
        match view.rooms.get_mut(contact) {
            // It asks already, or it wants to be out.
            Some(room) if room.phase == Phase::In => room.phase = Phase::PutOut,
            Some(_) => {}
            None => view.odd.push(format!("no room of it: {payload}")),
        }
    }

    /// A join, or a leave before it, was refused.
    pub(super) fn not_let_in(&self, contact: &str) {
        self.room(contact, |room| {
            if room.phase != Phase::Out {
                room.phase = Phase::PutOut;
            }
        });
    }

    /// It must see nothing of a room that it was put out of, until it asks again.
    pub(super) fn check_right(&self, contact: &str, report: &Value) {
        if self.pass.is_some() && self.room_phase(contact) == Some(Phase::PutOut) {
            let odd = format!("seen without a right: {report}");
            self.view().odd.push(odd);
        }
    }

    /// The connection was refused: with a reason that another token mends, or one that passes.
    pub(super) fn not_connected(&mut self, report: &Value) {
        // A stock client that was answered with a refusal does not try again by itself.
        self.refused |= report["message"] == "unauthorized"
            || report["message"] == "token_expired"
            || report["active"] == false;
    }

    /// Now and then: another token, where the present one was refused, ends, or does not open a room.
    pub(super) fn look_after_pass(&mut self) {
        let Some(pass) = self.pass.clone() else {
            return;
        };
        if Instant::now() < self.look {
            return;
        }
        self.look = Instant::now() + PAUSE;
        if std::mem::take(&mut self.refused) {
            self.line.present(&pass.renew(), true);
            return;
        }
        if !self.view().connected {
            return;
        }
        let out: Vec<String> = {
            let view = self.view();
            let rooms = view.rooms.iter();
            let out = rooms.filter(|(_, room)| room.phase == Phase::PutOut);
            out.map(|(contact, _)| contact.clone()).collect()
        };
        let last = pass.last();
        // Half of them wait for the end, and are cut.
        let waits = last.issued % 2 == 0;
        let ends = !waits && last.ends - in_seconds(0) <= BEFORE_ITS_END;
        // A revocation concerns the tokens of its own second, too.
        let old = !out.is_empty() && last.issued < in_seconds(0);
        if ends || old {
            let token = pass.renew();
            self.line.present(&token, false);
            self.acks += 1;
            self.line.emit("auth:refresh", &json!(token), self.acks);
        }
        for contact in out {
            self.enter(&contact);
        }
    }

    fn room_phase(&self, contact: &str) -> Option<Phase> {
        self.view().rooms.get(contact).map(|room| room.phase)
    }
}
