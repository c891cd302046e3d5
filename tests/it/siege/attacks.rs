//! What an attacker does with what it has: on a WebSocket, by polling, and over HTTP.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::PAGE;
use super::claims::{forged, mallory, mallory_with_nul, wanted};
use super::loot::Loot;
use super::tenants::{TENANTS, contacts};
use crate::harness::api::encoded;
use crate::harness::{Caller, Wire};

/// How long an attacker waits for an answer: a policy that hangs delays some.
const PATIENCE: Duration = Duration::from_secs(30);
/// So much is said at a time, and then an answer awaited: more would be refused for being much.
const AT_A_TIME: usize = 40;

/// Rooms of the servers' own, and what might be taken for one.
const OWN_ROOMS: [&str; 8] = [
    "rowcast:revocations",
    "rowcast:",
    "rowcast:*",
    "Rowcast:revocations",
    " rowcast:revocations",
    "conversation",
    ":",
    "",
];

/// One attacker.
pub(super) struct Attack {
    /// For whoever has to find out who heard something.
    who: String,
    /// What it says with CONNECT, and as a header over HTTP.
    auth: Value,
    headers: Vec<(&'static str, String)>,
    wanted: Vec<Value>,
    /// An offset of the tenant's, to join and to read after.
    after: String,
    etag: String,
}

/// Everybody who tries.
pub(super) fn plan(loot: &Loot) -> Vec<Attack> {
    let attack = |who: &str, auth: Value, headers: Vec<(&'static str, String)>, all: bool| {
        let mut wanted: Vec<Value> = TENANTS
            .into_iter()
            .flat_map(|tenant| wanted(tenant).into_iter().take(if all { 99 } else { 3 }))
            .collect();
        wanted.dedup();
        Attack {
            who: who.to_owned(),
            auth,
            headers,
            wanted,
            after: loot.offset.clone(),
            etag: loot.etag.clone(),
        }
    };
    let session = |pid: &Value, token: Option<&str>| {
        let mut auth = json!({ "pid": pid, "offset": loot.offset });
        if let Some(token) = token {
            auth["token"] = json!(token);
        }
        auth
    };
    let mallory = mallory();
    let pid = json!(loot.pid);
    let mut plan = vec![
        attack("mallory", json!({ "token": mallory }), Vec::new(), true),
        attack(
            "mallory with NUL",
            json!({ "token": mallory_with_nul() }),
            Vec::new(),
            false,
        ),
        attack(
            "mallory with a pid",
            session(&pid, Some(&mallory)),
            Vec::new(),
            false,
        ),
        attack("a pid alone", session(&pid, None), Vec::new(), false),
        attack(
            "a list of pids",
            session(&json!([loot.pid]), Some(&mallory)),
            Vec::new(),
            false,
        ),
        attack(
            "half a pid",
            session(&json!(loot.pid[..8]), Some(&mallory)),
            Vec::new(),
            false,
        ),
        attack(
            "revoked",
            json!({ "token": loot.revoked }),
            Vec::new(),
            false,
        ),
        attack(
            "revoked, to resume",
            session(&json!(loot.revoked_pid), Some(&loot.revoked)),
            Vec::new(),
            false,
        ),
        attack(
            "revoked, with another's pid",
            session(&pid, Some(&loot.revoked)),
            Vec::new(),
            false,
        ),
    ];
    for (what, token) in forged("amber", &loot.good) {
        plan.push(attack(
            &format!("a token {what}"),
            session(&pid, Some(&token)),
            Vec::new(),
            false,
        ));
    }
    // A page of evil.example, in the browser of somebody who may read everything of the tenant.
    let cookie = ("cookie", format!("rowcast={}", loot.good));
    let evil = |origin: &str| ("origin", origin.to_owned());
    for origin in [
        "https://evil.example",
        "null",
        "https://app.example.evil.example",
        "http://app.example",
        "file://",
    ] {
        let headers = vec![cookie.clone(), evil(origin)];
        plan.push(attack(
            &format!("a page of {origin} with the cookie"),
            json!({}),
            headers,
            false,
        ));
        plan.push(attack(
            &format!("a page of {origin}"),
            session(&pid, Some(&loot.good)),
            vec![evil(origin)],
            false,
        ));
    }
    plan.push(attack(
        "a page that hides its origin",
        json!({}),
        vec![cookie.clone()],
        false,
    ));
    plan.push(attack(
        "a forged Fetch Metadata",
        json!({}),
        vec![cookie.clone(), ("sec-fetch-site", "cross-site".to_owned())],
        false,
    ));
    // The name of a stranger's page points here, so that the browser takes us for its own site.
    for host in [
        "evil.example",
        "evil.example:3001",
        "app.example.evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
    ] {
        let host = ("host", host.to_owned());
        let forwarded = ("x-forwarded-host", "localhost".to_owned());
        let browser = ("user-agent", "Mozilla/5.0".to_owned());
        let origin = ("origin", format!("http://{}", host.1));
        let rebound = vec![host.clone(), origin, cookie.clone(), forwarded];
        plan.push(attack(
            &format!("rebound to {}", host.1),
            session(&pid, Some(&loot.good)),
            rebound,
            false,
        ));
        let quiet = vec![host.clone(), ("origin", PAGE.to_owned()), browser];
        plan.push(attack(
            &format!("rebound to {}, as our page", host.1),
            session(&pid, Some(&loot.good)),
            quiet,
            false,
        ));
    }
    plan
}

/// Carries it out at this address. Returns the sockets that are still open.
pub(super) async fn run(plan: &[Attack], address: &str) -> Vec<Wire> {
    let mut open = Vec::new();
    for attack in plan {
        open.extend(attack.by_websocket(address).await);
        attack.by_polling(address).await;
        attack.over_http(address).await;
    }
    open
}

impl Attack {
    /// Everything that it says, CONNECT first: in parts, each with how the answer to its last packet begins. What is said before CONNECT
    /// is answered may end the session, so that nothing would be tried.
    fn parts(&self) -> Vec<(Vec<String>, String)> {
        let mut said = Vec::new();
        let mut say = |event: &str, argument: &Value| said.push(json!([event, argument]));
        for wanted in &self.wanted {
            say("join:conversation", wanted);
            if wanted.is_string() {
                let after = json!({ "contactId": wanted, "after": self.after });
                say("join:conversation", &after);
            }
            if let Some(contact) = wanted.as_str() {
                let room = format!("conversation:{contact}");
                say("join:room", &json!({ "room": room, "after": self.after }));
            }
        }
        for tenant in TENANTS {
            let room = json!(format!("conversation:{tenant}"));
            say("join:conversation", &room);
            say("leave:room", &room);
            say("join:room", &json!(tenant));
            say("typing:start", &json!(tenant));
            say(
                "auth:refresh",
                &json!(format!("{tenant}.{tenant}.{tenant}")),
            );
            say("leave:conversation", &json!(tenant));
        }
        for room in OWN_ROOMS {
            say("join:room", &json!({ "room": room, "after": self.after }));
            say("join:room", &json!(room));
        }
        let mut parts = vec![(vec![format!("40{}", self.auth)], "40{".to_owned())];
        for (number, said) in said.chunks(AT_A_TIME).enumerate() {
            let first = number * AT_A_TIME;
            let packets = (first..).zip(said);
            let packets = packets.map(|(ack, packet)| format!("42{ack}{packet}"));
            let last = format!("43{}[", first + said.len() - 1);
            parts.push((packets.collect(), last));
        }
        parts
    }

    /// Was it refused?
    fn is_refusal(text: &str) -> bool {
        text.split('\u{1e}').any(|packet| packet.starts_with("44"))
    }

    async fn by_websocket(&self, address: &str) -> Option<Wire> {
        let headers: Vec<_> = self.own_headers();
        let mut wire = Wire::dial(address, &headers).await.ok()?;
        for (packets, last) in self.parts() {
            for packet in packets {
                wire.send(&packet).await;
            }
            let answered = timeout(PATIENCE, async {
                while let Some(frame) = wire.frame_whenever().await {
                    if frame.starts_with(&last) {
                        return true;
                    }
                    if Self::is_refusal(&frame) {
                        return false;
                    }
                }
                false
            });
            let is_open = answered.await;
            assert!(is_open.is_ok(), "{} waits for {last}", self.who);
            if is_open == Ok(false) {
                return None;
            }
        }
        Some(wire)
    }

    fn own_headers(&self) -> Vec<(&str, &str)> {
        let headers = self.headers.iter();
        headers.map(|(name, value)| (*name, &**value)).collect()
    }

    /// One connection, on which each header of its own is said as it is.
    async fn caller(&self, address: &str) -> (Caller, Vec<(&str, &str)>) {
        let mut headers = self.own_headers();
        if !self.headers.iter().any(|(name, _)| *name == "host") {
            headers.push(("host", "127.0.0.1"));
        }
        (Caller::from("127.0.0.1", address).await, headers)
    }

    async fn by_polling(&self, address: &str) {
        let (mut caller, headers) = self.caller(address).await;
        let path = "/socket.io/?EIO=4&transport=polling";
        let open = caller.get(path, &headers).await;
        let session: Option<Value> = open
            .body
            .strip_prefix('0')
            .and_then(|body| serde_json::from_str(body).ok());
        let Some(session) = session.as_ref().and_then(|open| open["sid"].as_str()) else {
            return;
        };
        let path = format!("{path}&sid={session}");
        for (packets, last) in self.parts() {
            let body = packets.join("\u{1e}");
            caller.request("POST", &path, &headers, &body).await;
            let answered = timeout(PATIENCE, async {
                loop {
                    let answer = caller.get(&path, &headers).await;
                    if answer.status != 200 || Self::is_refusal(&answer.body) {
                        return false;
                    }
                    if answer.body.contains(&last) {
                        return true;
                    }
                }
            });
            let is_open = answered.await;
            assert!(is_open.is_ok(), "{} polls for {last}", self.who);
            if is_open == Ok(false) {
                return;
            }
        }
    }

    async fn over_http(&self, address: &str) {
        let (mut caller, mut headers) = self.caller(address).await;
        let bearer = format!("Bearer {}", self.auth["token"].as_str().unwrap_or_default());
        if self.auth["token"].is_string() {
            headers.push(("authorization", &bearer));
        }
        let foreign: Vec<Value> = TENANTS
            .into_iter()
            .flat_map(contacts)
            .map(Value::from)
            .collect();
        for wanted in self.wanted.iter().filter_map(Value::as_str) {
            let name = encoded(wanted);
            let after = encoded(&self.after);
            let paths = [
                format!("/api/conversations/{name}/messages"),
                format!("/api/conversations/{name}/events?after={after}"),
                format!("/api/rooms/conversation%3A{name}/messages"),
                format!("/api/rooms/conversation%3A{name}/events?after={after}"),
                format!("/api/conversations/{}/events", encoded(&name)),
            ];
            for path in &paths {
                let asked = [&headers[..], &[("if-none-match", &*self.etag)]].concat();
                let answer = caller.get(path, &asked).await;
                let is_foreign = foreign.iter().any(|contact| contact == wanted);
                assert!(
                    !is_foreign || !matches!(answer.status, 200 | 304) || path.contains("%25"),
                    "{} reads {path}: {answer:?}",
                    self.who
                );
                if answer.header("connection").is_some_and(|it| it == "close") {
                    caller = Caller::from("127.0.0.1", address).await;
                }
            }
        }
        for room in OWN_ROOMS {
            let path = format!(
                "/api/rooms/{}/events?after={}",
                encoded(room),
                encoded(&self.after)
            );
            caller.get(&path, &headers).await;
        }
        // A long-poll, which would be answered soon.
        let path = format!(
            "/api/conversations/{}/events?after={}&wait=1",
            TENANTS[0],
            encoded(&self.after)
        );
        let answer = caller.get(&path, &headers).await;
        assert!(
            answer.status >= 400,
            "{} waits for events: {answer:?}",
            self.who
        );
        let path = format!(
            "{path}&token={}",
            self.auth["token"].as_str().unwrap_or_default()
        );
        headers.retain(|(name, _)| *name != "authorization");
        caller.get(&path, &headers).await;
    }
}
