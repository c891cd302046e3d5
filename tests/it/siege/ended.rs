//! Rights that end while their bearers listen, replay, wait, or are away, on both servers and over a restart: nothing that is written
//! once the end is committed reaches them.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::tap::Tap;
use super::tenants::{claims, enrol};
use super::{Policy, Siege, bearing, start};
use crate::harness::api::encoded;
use crate::harness::wait::within_for;
use crate::harness::{Wire, http};

/// The tenant whose people lose their rights.
const TENANT: &str = "birch";
/// Their rooms: what all are in, what nobody writes into but we, and one with much to be replayed.
const ROOM: &str = "birch-1";
const LONG: &str = "birch-10";
/// So much that it can't be on its way all at once.
const ROWS: usize = 2_000;

/// One whose right ends, on a line of its own.
struct Leaver {
    subject: String,
    token: String,
    tap: Tap,
    wire: Wire,
    pid: Value,
}

impl Siege {
    /// Ends rights in the middle of everything.
    pub(super) async fn end_rights(&mut self, policy: Policy) {
        for server in 0..2 {
            for whole in [false, true] {
                self.while_it_listens(server, whole).await;
                self.while_it_waits(server, whole).await;
            }
            self.while_it_replays(server).await;
            self.while_it_is_away(server).await;
        }
        self.over_a_restart().await;
        self.by_fewer_claims(policy).await;
        if policy == Policy::Owned {
            self.by_the_policy().await;
        }
    }

    /// Somebody new, who has joined the room.
    async fn leaver(&self, what: &str, server: usize) -> Leaver {
        let subject = format!("leaver {what} {server}");
        enrol(&self.database, &subject, TENANT).await;
        let token = bearing(&subject, &claims(TENANT, true));
        let tap = Tap::on(&self.servers[server]).await;
        let auth = json!({ "token": token });
        let (connect, mut wire) = Wire::connect_with(tap.address(), &auth).await;
        let answer = wire.ask("join:conversation", &json!([ROOM]), 1).await;
        assert_eq!(answer["ok"], true, "{answer}");
        Leaver {
            subject,
            token,
            tap,
            wire,
            pid: connect["pid"].clone(),
        }
    }

    /// Its right to the room, or to everything, ends; then something is said in the room.
    async fn revoke(&self, leaver: &Leaver, room: Option<&str>, late: &str) {
        let room = room.map_or("null".to_owned(), |room| format!("'conversation:{room}'"));
        let revoke = format!("select rowcast.revoke('{}', {room})", leaver.subject);
        self.database.run(&revoke).await;
        for room in [ROOM, LONG] {
            self.database.say(room, &format!("{late} for {room}")).await;
        }
    }

    /// Both servers have sent what was said last. What came of it to the leaver came before that.
    async fn passed(&self, number: usize) {
        let auth = json!({ "token": bearing("user-1", &claims(TENANT, true)) });
        let server = self.servers[number].address();
        let (_, mut wire) = Wire::connect_with(server, &auth).await;
        let answer = wire.ask("join:conversation", &json!([ROOM]), 1).await;
        assert_eq!(answer["ok"], true, "{answer}");
        self.database.say(ROOM, "everybody hears this").await;
        wire.find("what was said last", |frame| {
            frame.contains("everybody hears")
        })
        .await;
    }

    async fn while_it_listens(&self, server: usize, whole: bool) {
        let what = format!("listening {whole}");
        let mut leaver = self.leaver(&what, server).await;
        let late = format!("late for {what} {server}");
        self.revoke(&leaver, (!whole).then_some(ROOM), &late).await;
        self.passed(server).await;
        let end = within_for(Duration::from_secs(10), "its right to end", async {
            loop {
                match leaver.wire.frame_whenever().await {
                    Some(frame) if frame.contains("rowcast:left") => return "left",
                    Some(_) => {}
                    None => return "cut",
                }
            }
        });
        assert_eq!(end.await, if whole { "cut" } else { "left" });
        leaver.heard_nothing(&late).await;
    }

    async fn while_it_waits(&self, server: usize, whole: bool) {
        let what = format!("waiting {whole}");
        let mut leaver = self.leaver(&what, server).await;
        let late = format!("late for {what} {server}");
        let bearer = format!("Bearer {}", leaver.token);
        let headers = [("authorization", bearer.as_str())];
        let path = format!("/api/conversations/{}/events", encoded("birch-raise2"));
        // A room in which nothing is said, so that it waits.
        enrol_in(self, &leaver.subject, "birch-raise2").await;
        let now = http::get(leaver.tap.address(), &path, &headers).await;
        assert_eq!(now.status, 200, "{now:?}");
        let offset = now.json()["offset"].as_str().expect("an offset").to_owned();
        let path = format!("{path}?after={}&wait=20", encoded(&offset));
        let poll = http::get(leaver.tap.address(), &path, &headers);
        let end = async {
            self.servers[server]
                .counted("rowcast_long_polls", &[], 1.0)
                .await;
            let room = (!whole).then_some("birch-raise2");
            self.revoke(&leaver, room, &late).await;
            self.database.say("birch-raise2", &late).await;
        };
        let (answer, ()) = tokio::join!(poll, end);
        assert_eq!(answer.status, if whole { 401 } else { 403 }, "{answer:?}");
        if whole {
            leaver.heard_nothing(&late).await;
        } else {
            assert!(!answer.body.contains(&late), "{answer:?}");
        }
    }

    async fn while_it_replays(&self, server: usize) {
        let mut leaver = self.leaver("replaying", server).await;
        let late = format!("late for replaying {server}");
        let offset = leaver
            .wire
            .ask("join:conversation", &json!(["birch_2"]), 2)
            .await["offset"]
            .clone();
        let much = format!(
            "insert into messages (contact_id, body) select '{LONG}', 'much of {LONG} ' || repeat('x', 10000) from generate_series(1, {ROWS})"
        );
        self.database.run(&much).await;
        self.passed(server).await;
        let join = json!([{ "contactId": LONG, "after": offset }]);
        leaver.wire.emit("join:conversation", &join, Some(3)).await;
        leaver
            .wire
            .find("the replay", |frame| frame.contains("much of"))
            .await;
        self.revoke(&leaver, Some(LONG), &late).await;
        self.passed(server).await;
        // What it hears of its other room tells where the revocation has its place among what was sent to it.
        let after = format!("{late} for {ROOM}");
        let (mut replayed, mut answer, mut is_over) = (0, None, false);
        within_for(Duration::from_secs(30), "the answer", async {
            while answer.is_none() || !is_over {
                let frame = leaver.wire.frame().await.expect("the connection stays");
                if frame.contains("much of") {
                    assert!(!is_over, "it went on after {replayed}");
                    replayed += 1;
                }
                is_over |= frame.contains(&after);
                if frame.starts_with("433[") {
                    answer = Some(frame);
                }
            }
        })
        .await;
        let answer = answer.expect("it was waited for");
        assert!(answer.contains("forbidden"), "it went on: {answer}");
        assert!(replayed < ROWS - 10, "it went on to the end: {replayed}");
        let heard = leaver.tap.heard(&format!("{late} for {LONG}"));
        assert_eq!(heard, None, "by {}", leaver.subject);
    }

    async fn while_it_is_away(&self, server: usize) {
        for (whole, transport) in [
            (false, "websocket"),
            (true, "websocket"),
            (false, "polling"),
            (true, "polling"),
        ] {
            let what = format!("away {whole} {transport}");
            let mut leaver = self.leaver(&what, server).await;
            let late = format!("late for {what} {server}");
            let offset = leaver
                .wire
                .ask("join:conversation", &json!(["birch_2"]), 2)
                .await["offset"]
                .clone();
            leaver.wire.end().await;
            self.revoke(&leaver, (!whole).then_some(ROOM), &late).await;
            self.passed(1 - server).await;
            // It comes back to the other server.
            leaver.tap = Tap::on(&self.servers[1 - server]).await;
            let auth = json!({ "token": leaver.token, "pid": leaver.pid, "offset": offset });
            self.comes_back(&leaver, &auth, transport).await;
            assert_eq!(
                leaver.tap.heard(&format!("{late} for {ROOM}")),
                None,
                "by {}",
                leaver.subject
            );
        }
    }

    /// It connects with what it had, and tries to be in the room.
    async fn comes_back(&self, leaver: &Leaver, auth: &Value, transport: &str) {
        let address = leaver.tap.address();
        let join = format!("427{}", json!(["join:conversation", ROOM]));
        if transport == "websocket" {
            let mut wire = Wire::open(address).await;
            wire.send(&format!("40{auth}")).await;
            let is_answer = |frame: &str| frame.starts_with("40") || frame.starts_with("44");
            let mut answer = wire.find("the answer to CONNECT", is_answer).await;
            if answer.starts_with("40") {
                wire.send(&join).await;
                let is_answer = |frame: &str| frame.starts_with("437[");
                answer = wire.find("the answer to a join", is_answer).await;
            }
            assert!(is_no(&answer), "{answer}");
        } else {
            let path = "/socket.io/?EIO=4&transport=polling";
            let open = http::get(address, path, &[]).await;
            let open: Value = serde_json::from_str(&open.body[1..]).expect("an open packet");
            let path = format!("{path}&sid={}", open["sid"].as_str().expect("a sid"));
            http::post(address, &path, &format!("40{auth}")).await;
            let answered = timeout(Duration::from_secs(10), async {
                loop {
                    let answer = http::get(address, &path, &[]).await;
                    if answer.status != 200
                        || answer.body.contains("437[")
                        || answer.body.contains("44{")
                    {
                        return answer.body;
                    }
                    if answer.body.contains("40{") {
                        http::post(address, &path, &join).await;
                    }
                }
            });
            let answer = answered.await.expect("an answer");
            assert!(is_no(&answer), "{answer}");
        }
        let bearer = format!("Bearer {}", leaver.token);
        for what in ["messages", "events"] {
            let path = format!("/api/conversations/{ROOM}/{what}");
            let read = http::get(address, &path, &[("authorization", &bearer)]).await;
            assert!(matches!(read.status, 401 | 403), "{read:?}");
        }
    }

    /// The second server is killed, rights end, and it comes back.
    async fn over_a_restart(&mut self) {
        let mut leavers = Vec::new();
        for whole in [false, true] {
            let mut leaver = self.leaver(&format!("restarted {whole}"), 1).await;
            let offset = leaver
                .wire
                .ask("join:conversation", &json!(["birch_2"]), 2)
                .await["offset"]
                .clone();
            leavers.push((whole, offset, leaver));
        }
        self.servers[1].crash().await;
        for (whole, _, leaver) in &leavers {
            self.revoke(leaver, (!whole).then_some(ROOM), "late for restarted")
                .await;
        }
        let address = self.servers[1].address().to_owned();
        let port = address.rsplit(':').next().expect("a port");
        self.servers[1] = start(&self.database, port).await;
        for transport in ["websocket", "polling"] {
            for (_, offset, leaver) in &leavers {
                let auth = json!({ "token": leaver.token, "pid": leaver.pid, "offset": offset });
                self.comes_back(leaver, &auth, transport).await;
            }
        }
        self.passed(1).await;
        for (_, _, leaver) in &leavers {
            let heard = leaver.tap.heard("late for restarted");
            assert_eq!(heard, None, "by {}", leaver.subject);
        }
    }

    /// Its next token opens less than the one with which it joined.
    async fn by_fewer_claims(&self, policy: Policy) {
        for server in 0..2 {
            let mut leaver = self.leaver("poorer", server).await;
            let late = format!("late for poorer {server}");
            let offset = leaver
                .wire
                .ask("join:conversation", &json!(["birch_2"]), 2)
                .await["offset"]
                .clone();
            leaver.wire.end().await;
            if policy == Policy::Owned {
                let out = format!("delete from member where subject = '{}'", leaver.subject);
                self.database.run(&out).await;
            }
            self.database.say(ROOM, &late).await;
            self.passed(1 - server).await;
            leaver.tap = Tap::on(&self.servers[1 - server]).await;
            leaver.token = bearing(&leaver.subject, &json!({ "conversations": ["birch_3"] }));
            for transport in ["websocket", "polling"] {
                let auth = json!({ "token": leaver.token, "pid": leaver.pid, "offset": offset });
                self.comes_back(&leaver, &auth, transport).await;
            }
            assert_eq!(leaver.tap.heard(&late), None, "by {}", leaver.subject);
        }
    }

    /// The policy lets it in no more, raises or returns null: within the lease, and when it comes back at once.
    async fn by_the_policy(&self) {
        for (number, act) in ["raise", "null", "gone", "hang"].into_iter().enumerate() {
            let server = number % 2;
            let mut leaver = self.leaver(act, server).await;
            let late = format!("late for {act} {server}");
            let offset = leaver
                .wire
                .ask("join:conversation", &json!(["birch_2"]), 2)
                .await["offset"]
                .clone();
            let whose = format!(
                "subject = '{}' and room = 'conversation:{ROOM}'",
                leaver.subject
            );
            let rule = match act {
                "gone" => format!("delete from member where {whose}"),
                act => format!("update member set act = '{act}' where {whose}"),
            };
            self.database.run(&rule).await;
            if act != "hang" {
                // Of a policy that does not answer the right is kept, while the client stays.
                leaver
                    .wire
                    .find("its room to be left", |frame| {
                        frame.contains("rowcast:left")
                    })
                    .await;
                self.database.say(ROOM, &late).await;
                self.passed(server).await;
                leaver.heard_nothing(&late).await;
            }
            leaver.wire.end().await;
            self.database.say(ROOM, &late).await;
            leaver.tap = Tap::on(&self.servers[1 - server]).await;
            let auth = json!({ "token": leaver.token, "pid": leaver.pid, "offset": offset });
            let mut wire = Wire::open(leaver.tap.address()).await;
            wire.send(&format!("40{auth}")).await;
            wire.find("CONNECT", |frame| frame.starts_with("40")).await;
            self.passed(1 - server).await;
            wire.ask("leave:conversation", &json!(["none"]), 9).await;
            assert_eq!(leaver.tap.heard(&late), None, "by {}", leaver.subject);
        }
    }
}

/// Whether a client is told that it may not.
fn is_no(answer: &str) -> bool {
    answer.contains("forbidden") || answer.contains("unauthorized")
}

/// Lets it into one more room, where there is a table for that.
async fn enrol_in(siege: &Siege, subject: &str, contact: &str) {
    let table = "select to_regclass('public.member') is not null";
    if siege.database.value(table).await == "t" {
        let insert = format!("insert into member values ('{subject}', 'conversation:{contact}')");
        siege.database.run(&insert).await;
    }
}

impl Leaver {
    /// Whatever was sent to it has come, if its connection stands, and this is not in it.
    async fn heard_nothing(&mut self, late: &str) {
        self.wire
            .emit("leave:conversation", &json!(["none"]), Some(99))
            .await;
        while let Some(frame) = self.wire.frame().await {
            if frame.starts_with("4399[") {
                break;
            }
        }
        assert_eq!(self.tap.heard(late), None, "by {}", self.subject);
    }
}
