//! What the attackers have got hold of: of an honest client, everything but a token that is good.

use serde_json::{Value, json};

use super::tenants::{claims, contacts, enrol};
use super::{Server, bearing};
use crate::harness::api::encoded;
use crate::harness::{Database, Wire, http};

/// Of a client of the first tenant.
pub(super) struct Loot {
    /// Its resume session.
    pub(super) pid: String,
    pub(super) offset: String,
    /// The tag of an answer to it.
    pub(super) etag: String,
    /// Its token, which is good, and shown by a page or under a name that may not show it.
    pub(super) good: String,
    /// A token of somebody else of its tenant, who was revoked since, and that one's resume session.
    pub(super) revoked: String,
    pub(super) revoked_pid: String,
}

pub(super) async fn gather(server: &Server, database: &Database) -> Loot {
    let tenant = "amber";
    for subject in ["looted", "revoked"] {
        enrol(database, subject, tenant).await;
    }
    let good = bearing("looted", &claims(tenant, true));
    let revoked = bearing("revoked", &claims(tenant, false));
    let (pid, offset) = session(server, tenant, &good).await;
    let (revoked_pid, _) = session(server, tenant, &revoked).await;
    database.run("select rowcast.revoke('revoked')").await;
    let bearer = format!("Bearer {good}");
    let path = format!("/api/conversations/{}/messages", encoded(tenant));
    let read = http::get(
        server.address(),
        &path,
        &[("authorization", bearer.as_str())],
    )
    .await;
    assert!(read.body.contains(tenant), "its owner reads it: {read:?}");
    Loot {
        pid,
        offset,
        etag: read.header("etag").expect("a tag").to_owned(),
        good,
        revoked,
        revoked_pid,
    }
}

/// The resume session of a client that was in all rooms of its tenant, and has gone.
async fn session(server: &Server, tenant: &str, token: &str) -> (String, String) {
    let (connect, mut wire) =
        Wire::connect_with(server.address(), &json!({ "token": token })).await;
    let mut offset = Value::Null;
    for (number, contact) in (1..).zip(contacts(tenant)) {
        let answer = wire
            .ask("join:conversation", &json!([contact]), number)
            .await;
        assert_eq!(answer["ok"], true, "{answer}");
        offset = answer["offset"].clone();
    }
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (text(&connect["pid"]), text(&offset))
}
