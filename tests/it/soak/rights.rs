//! Rights that end and come back: revocations, a policy that denies a room for a while, and tokens that live for seconds.
//!
//! Each witness is a subject of its own. It renews its token as a page would, and asks for its way back by itself, so that in the end it
//! has everything. What it saw meanwhile is judged here: nothing that was written while it had no right.

use std::collections::HashMap;
use std::time::Duration;

use rand::RngExt as _;
use serde_json::json;
use tokio::time::Instant;

use super::Soak;
use crate::harness::Database;
use crate::harness::issuer::in_seconds;
use crate::harness::ledger::{Key, Mark};
use crate::harness::token::JWT;
use crate::harness::witness::{Pass, Witness};

/// How long a token is good, and for how much longer it is taken, in seconds.
const LIFE: i64 = 15;
const LEEWAY: i64 = 1;
/// What the servers are told.
pub(super) const SETTINGS: [(&str, &str); 5] = [
    JWT[0],
    JWT[1],
    ("ROWCAST_JWT_LEEWAY", "1s"),
    ("ROWCAST_POLICY_LEASE", "1s"),
    ("ROWCAST_PRESENCE", "on"),
];
/// From a revocation's commit on, what is written later than this must not be seen.
const GRACE: Duration = Duration::from_secs(1);
/// The same of a policy's change: a lease, the time that the policy has, and that grace.
const POLICY_GRACE: Duration = Duration::from_secs(4);
/// A client is cut within a tenth of its token's life, a look at the clock, and that grace.
const END_GRACE: Duration = Duration::from_secs(LIFE.unsigned_abs() / 10 + 3);

/// What was done, and when. A dump that is restored has all of it: no right ends while one is made.
#[derive(Default)]
pub(super) struct Rights {
    ends: Vec<End>,
}

/// The end of a right.
struct End {
    what: What,
    /// When it was committed for sure.
    from: Instant,
}

enum What {
    /// Of a subject, to a room or to all; its tokens of this second, or earlier, are refused.
    Revoked {
        subject: String,
        contact: Option<String>,
        second: i64,
    },
    /// Of everybody, to a room, until that is taken back.
    Denied {
        contact: String,
        until: Option<Instant>,
    },
}

/// The pass of a witness.
pub(super) fn pass(number: usize) -> Pass {
    let claims = json!({ "conversations": ["a", "b", "c", "d"] });
    Pass::new(&format!("witness-{number}"), &claims, LIFE)
}

/// An owner's policy: the claims, but for one room.
async fn replace_policy(database: &Database, denied: Option<&str>) {
    let but = denied.map_or(String::new(), |contact| {
        format!("and room <> 'conversation:{contact}'")
    });
    let policy = format!(
        "create or replace function rowcast.may_join(claims jsonb, room text) returns boolean language sql stable parallel safe \
         return rowcast.claims_allow(claims, room) {but}"
    );
    database.run(&policy).await;
}

impl Soak {
    /// Ends a right, or gives one back.
    pub(super) async fn end_right(&mut self) {
        let number = self.random.random_range(0..self.witnesses.len());
        match self.random.random_range(0..10) {
            0..3 => self.revoke(number, None).await,
            3..6 => {
                let rooms: Vec<String> = self.witnesses[number].view().rooms.into_keys().collect();
                let contact = rooms[self.random.random_range(0..rooms.len())].clone();
                self.revoke(number, Some(contact)).await;
            }
            _ if self.is_denied() => self.allow().await,
            _ => self.deny().await,
        }
    }

    async fn revoke(&mut self, number: usize, contact: Option<String>) {
        let subject = format!("witness-{number}");
        // Not later than the database's word for it.
        let second = in_seconds(0);
        let room = contact.as_ref();
        let room = room.map_or("null".to_owned(), |contact| {
            format!("'conversation:{contact}'")
        });
        let revoke = format!("select rowcast.revoke('{subject}', {room})");
        self.database.run(&revoke).await;
        self.rights.ends.push(End {
            what: What::Revoked {
                subject,
                contact,
                second,
            },
            from: Instant::now(),
        });
    }

    async fn deny(&mut self) {
        let contact = ["a", "b", "c"][self.random.random_range(0..3)].to_owned();
        replace_policy(&self.database, Some(&contact)).await;
        self.rights.ends.push(End {
            what: What::Denied {
                contact,
                until: None,
            },
            from: Instant::now(),
        });
    }

    fn is_denied(&self) -> bool {
        let mut ends = self.rights.ends.iter();
        ends.any(|end| matches!(end.what, What::Denied { until: None, .. }))
    }

    /// Everybody may be in every room of theirs again.
    pub(super) async fn allow(&mut self) {
        self.rights.close();
        replace_policy(&self.database, None).await;
    }

    /// Nobody saw what was written while it had no right.
    pub(super) fn rights_were_kept(&self) {
        let marks = self.ledger.all();
        let mut faults = Vec::new();
        let mut seen = 0;
        for witness in &self.witnesses {
            faults.extend(self.rights.faults(witness, &marks));
            let rooms = witness.view().rooms;
            seen += rooms.values().map(|room| room.seen.len()).sum::<usize>();
        }
        let of =
            |is: fn(&What) -> bool| self.rights.ends.iter().filter(|end| is(&end.what)).count();
        let passes = self.witnesses.iter().filter_map(|it| it.pass.as_ref());
        eprintln!(
            "rights: {} revoked, {} of them wholly, {} denied by the policy, {} tokens renewed; {seen} events seen, {} by who may not",
            of(|what| matches!(what, What::Revoked { .. })),
            of(|what| matches!(what, What::Revoked { contact: None, .. })),
            of(|what| matches!(what, What::Denied { .. })),
            passes.map(|pass| pass.made().len() - 1).sum::<usize>(),
            faults.len()
        );
        faults.truncate(20);
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

impl Rights {
    /// What is denied now is so no longer.
    fn close(&mut self) {
        let now = Instant::now();
        for end in &mut self.ends {
            if let What::Denied { until, .. } = &mut end.what {
                until.get_or_insert(now);
            }
        }
    }

    /// What this witness saw, and should not have.
    fn faults(&self, witness: &Witness, marks: &HashMap<Key, Mark>) -> Vec<String> {
        let Some(pass) = &witness.pass else {
            return Vec::new();
        };
        let mut faults = Vec::new();
        for (contact, room) in witness.view().rooms {
            for (key, seen) in &room.seen {
                let Some(mark) = marks.get(key) else {
                    continue;
                };
                let began = Instant::from_std(mark.began);
                if let Some(why) = self.fault(pass, &contact, began, *seen) {
                    let who = &pass.subject;
                    let late = seen.duration_since(began);
                    faults.push(format!(
                        "{who} saw {key:?} of {contact}, {late:?} after it was begun: {why}"
                    ));
                }
            }
        }
        faults
    }

    /// Why something that was begun then, and seen then, may not have been seen.
    fn fault(&self, pass: &Pass, contact: &str, began: Instant, seen: Instant) -> Option<String> {
        for end in &self.ends {
            let (grace, until) = match &end.what {
                What::Revoked {
                    subject,
                    contact: room,
                    second,
                } if *subject == pass.subject
                    && room.as_deref().is_none_or(|room| room == contact) =>
                {
                    let made = pass.made();
                    let newer = made.iter().find(|made| made.issued > *second);
                    (GRACE, newer.map(|made| made.at))
                }
                What::Denied {
                    contact: denied,
                    until,
                } if denied == contact => (POLICY_GRACE, *until),
                _ => continue,
            };
            let is_late = began > end.from + grace && until.is_none_or(|until| seen < until);
            if is_late {
                let what = match &end.what {
                    What::Revoked { contact: None, .. } => "it was revoked",
                    What::Revoked { .. } => "it was revoked for the room",
                    What::Denied { .. } => "the policy denied the room",
                };
                return Some(format!(
                    "{what} {:?} before that was begun",
                    began - end.from
                ));
            }
        }
        let made = pass.made();
        let shown = made.iter().rev().find(|made| made.at <= seen)?;
        let good = u64::try_from(LIFE + LEEWAY).expect("some seconds");
        let end = shown.at + Duration::from_secs(good) + END_GRACE;
        // What was sent in time may be seen late: the network is slow at times, and so is the client.
        (began > end).then(|| {
            format!(
                "its token had ended {:?} before that was begun",
                began - end
            )
        })
    }
}
