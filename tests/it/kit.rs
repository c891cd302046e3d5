//! The client kit with tokens, on the real server: what a page shows when they are renewed, end, are revoked or refused.

use std::time::Duration;

use serde_json::{Value, json};

use crate::guide::tools::{Running, build_client, program};
use crate::harness::issuer::in_seconds;
use crate::harness::token::{JWT, SECRET};
use crate::harness::{Database, Launch, Scene, Server};

/// A page with the kit: `tests/interop/kit.mjs`.
pub(crate) struct Page {
    pub(crate) page: Running,
}

impl Page {
    pub(crate) async fn open(address: &str, more: &Value) -> Self {
        build_client().await;
        let mut arguments = json!({ "url": format!("ws://{address}"), "secret": SECRET });
        for (name, value) in more.as_object().expect("an object") {
            arguments[name] = value.clone();
        }
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
        let mut node = program("node", &folder);
        node.arg("kit.mjs").arg(arguments.to_string());
        node.stdin(std::process::Stdio::piped());
        Self {
            page: Running::start(node),
        }
    }

    /// A page of user-7 on this server whose tokens are good for so many seconds.
    async fn of_user(server: &Server, life: u64) -> Self {
        let page = Self::open(server.address(), &json!({})).await;
        page.gives(&json!({ "sub": "user-7", "conversations": "*" }), life);
        page
    }

    pub(crate) fn tell(&self, command: &Value) {
        self.page.writes(&command.to_string());
    }

    /// From now on its token function gives tokens of these claims.
    pub(crate) fn gives(&self, claims: &Value, life: u64) {
        self.tell(&json!({ "op": "source", "claims": claims, "life": life }));
    }

    /// From now on its token function throws.
    fn fails(&self) {
        self.tell(&json!({ "op": "source", "fails": true }));
    }

    pub(crate) fn join(&self, contact: &str) {
        self.tell(&json!({ "op": "join", "contact": contact }));
    }

    /// Waits until it shows this anew.
    async fn shows(&self, what: &str) {
        let before = self.page.lines().len();
        self.shows_since(before, what).await;
    }

    /// The same, from this line on.
    pub(crate) async fn shows_since(&self, before: usize, what: &str) {
        crate::harness::wait::until_for(
            Duration::from_secs(60),
            format!("a line {what:?}"),
            async || {
                let lines = self.page.lines();
                lines
                    .get(before..)?
                    .iter()
                    .any(|line| line == what)
                    .then_some(())
            },
        )
        .await;
    }

    pub(crate) fn lines(&self) -> usize {
        self.page.lines().len()
    }

    /// How often its token function was asked.
    fn asked(&self) -> usize {
        let lines = self.page.lines();
        lines
            .iter()
            .filter(|line| line.starts_with("asked "))
            .count()
    }
}

async fn connects(server: &Server) -> f64 {
    server.metric("rowcast_connects_total", &[]).await
}

#[tokio::test]
async fn tokens_are_renewed_at_half_their_life_over_one_connection() {
    let scene = exact(&[]).await;
    let page = Page::of_user(&scene.server, 4).await;
    page.join("42");
    page.page.says("42 connected null []").await;
    // At 0, 2, 4 and 6 s: the third is beyond the first one's end.
    page.page.says("asked 4").await;
    scene.database.say("42", "later").await;
    page.page.says(r#"42 connected null ["later"]"#).await;
    assert!((connects(&scene.server).await - 1.0).abs() < 0.5);
    let expired = scene
        .server
        .metric("rowcast_expired_tokens_total", &[])
        .await;
    assert!(expired < 0.5, "{expired}");
}

/// Without a tolerance for clocks that differ, so that a token ends when it says.
async fn exact(more: &[(&str, &str)]) -> Scene {
    let all: Vec<_> = JWT
        .into_iter()
        .chain([("ROWCAST_JWT_LEEWAY", "0s")])
        .chain(more.iter().copied())
        .collect();
    Scene::with(&all).await
}

#[tokio::test]
async fn a_page_whose_token_ends_says_why_and_comes_back_with_the_next_one() {
    let scene = exact(&[]).await;
    scene.database.say("42", "before").await;
    let page = Page::of_user(&scene.server, 4).await;
    page.join("42");
    page.page.says(r#"42 connected null ["before"]"#).await;
    page.fails();
    page.page.says(r#"42 offline no_token ["before"]"#).await;
    let count = connects(&scene.server).await;
    scene.database.say("42", "meanwhile").await;
    // Nothing was sent that the server would have had to refuse.
    assert!((connects(&scene.server).await - count).abs() < 0.5);
    assert!(count < 1.5, "{count}");
    page.gives(&json!({ "sub": "user-7", "conversations": "*" }), 600);
    page.shows(r#"42 connected null ["before","meanwhile"]"#)
        .await;
    scene.database.say("42", "after").await;
    page.page
        .says(r#"42 connected null ["before","meanwhile","after"]"#)
        .await;
}

#[tokio::test]
async fn a_value_that_has_expired_is_named_and_the_next_one_brings_the_page_back() {
    let scene = exact(&[]).await;
    let page = Page::open(scene.server.address(), &json!({})).await;
    let claims = json!({ "sub": "user-7", "conversations": ["42"] });
    page.tell(&json!({ "op": "token", "claims": claims, "life": 3 }));
    page.join("42");
    page.page.says("42 connected null []").await;
    page.page.says("42 offline token_expired []").await;
    scene.database.say("42", "meanwhile").await;
    let before = page.lines();
    page.tell(&json!({ "op": "token", "claims": claims, "life": 600 }));
    page.shows_since(before, r#"42 connected null ["meanwhile"]"#)
        .await;
}

#[tokio::test]
async fn whoever_is_revoked_is_told_tries_seldom_and_comes_back_with_a_newer_token() {
    let scene = exact(&[]).await;
    let page = Page::open(scene.server.address(), &json!({})).await;
    let stolen = json!({ "sub": "user-7", "conversations": "*", "iat": in_seconds(-60) });
    page.gives(&stolen, 600);
    page.join("42");
    page.page.says("42 connected null []").await;
    page.join("43");
    page.page.says("43 connected null []").await;
    scene.database.run("select rowcast.revoke('user-7')").await;
    page.page.says("42 offline unauthorized []").await;
    page.page.says("43 offline unauthorized []").await;
    // It polls each 200 ms, with two tokens at once and then in half a minute. A fresh one is for the next connection.
    page.page.says("asked 3").await;
    scene
        .server
        .counted("rowcast_connects_total", &[r#"outcome="refused""#], 1.0)
        .await;
    let (asked, refused) = (page.asked(), unauthorized(&scene.server).await);
    assert!(asked <= 6, "{asked}");
    assert!(refused <= 12.0, "{refused}");
    scene.database.say("42", "meanwhile").await;
    page.gives(&json!({ "sub": "user-7", "conversations": "*" }), 600);
    page.page.says(r#"42 connected null ["meanwhile"]"#).await;
}

/// Waits until a token that is issued now is newer than that second.
async fn until_it_is_past(second: i64) {
    let is_past = async || (in_seconds(0) > second).then_some(());
    crate::harness::wait::until("the second of the revocation to be over", is_past).await;
}

/// Requests over HTTP that were refused for their token.
async fn unauthorized(server: &Server) -> f64 {
    server
        .metric("rowcast_http_requests_total", &[r#"status="401""#])
        .await
}

#[tokio::test]
async fn a_room_that_is_revoked_is_emptied_and_a_newer_token_brings_it_back_over_the_same_connection()
 {
    let scene = exact(&[]).await;
    for contact in ["42", "43"] {
        scene.database.say(contact, "before").await;
    }
    let page = Page::open(scene.server.address(), &json!({})).await;
    let (claims, old) = (
        json!({ "sub": "user-7", "conversations": "*" }),
        json!({ "sub": "user-7", "conversations": "*", "iat": in_seconds(-60) }),
    );
    page.tell(&json!({ "op": "token", "claims": old, "life": 600 }));
    page.join("42");
    page.join("43");
    page.page.says(r#"42 connected null ["before"]"#).await;
    page.page.says(r#"43 connected null ["before"]"#).await;
    let revoke = "select rowcast.revoke('user-7', room => 'conversation:42', reason => 'moved on')";
    scene.database.run(revoke).await;
    let revoked = in_seconds(0);
    page.page.says("42 offline forbidden []").await;
    page.page
        .says(r#"told rowcast:left {"reason":"moved on","room":"conversation:42"}"#)
        .await;
    scene.database.say("42", "not for it").await;
    scene.database.say("43", "for it").await;
    page.page
        .says(r#"43 connected null ["before","for it"]"#)
        .await;
    let lines = page.page.lines();
    assert!(!lines.iter().any(|line| line.contains("not for it")));
    until_it_is_past(revoked).await;
    page.tell(&json!({ "op": "token", "claims": claims, "life": 600 }));
    page.page
        .says(r#"42 connected null ["before","not for it"]"#)
        .await;
    assert!((connects(&scene.server).await - 1.0).abs() < 0.5);
}

#[tokio::test]
async fn a_right_that_ends_in_the_database_empties_the_page_and_one_that_comes_back_fills_it() {
    let scene = exact(&[("ROWCAST_POLICY_LEASE", "1s")]).await;
    scene
        .database
        .run(
            "create table member (subject text, room text);
             grant select on member to rowcast_policy;
             create or replace function rowcast.may_join(claims jsonb, room text) returns boolean language sql stable
             return exists (select from public.member m where m.subject = claims ->> 'sub' and m.room = may_join.room);
             insert into member values ('user-7', 'conversation:42')",
        )
        .await;
    scene.database.say("42", "before").await;
    let page = Page::of_user(&scene.server, 600).await;
    page.join("42");
    page.page.says(r#"42 connected null ["before"]"#).await;
    page.join("43");
    page.page.says("43 offline forbidden []").await;
    scene.database.run("delete from member").await;
    page.page.says("42 offline forbidden []").await;
    scene
        .database
        .run("insert into member values ('user-7', 'conversation:42'), ('user-7', 'conversation:43')")
        .await;
    page.shows(r#"42 connected null ["before"]"#).await;
    page.page.says("43 connected null []").await;
    assert!((connects(&scene.server).await - 1.0).abs() < 0.5);
}

#[tokio::test]
async fn each_refusal_has_its_word() {
    let scene = exact(&[]).await;
    let elsewhere = "https://elsewhere.example";
    let strange = json!({ "host": "elsewhere.example", "origin": "http://localhost:3000" });
    for (page, life, word) in [
        (json!({}), -60, "token_expired"),
        (
            json!({ "page": { "origin": elsewhere } }),
            60,
            "origin_not_allowed",
        ),
        (json!({ "page": strange }), 60, "host_not_allowed"),
        (
            json!({ "secret": "another secret, and long enough for HS256" }),
            60,
            "unauthorized",
        ),
    ] {
        let page = Page::open(scene.server.address(), &page).await;
        let claims = json!({ "sub": "user-7", "conversations": "*" });
        page.tell(&json!({ "op": "source", "claims": claims, "life": life }));
        page.join("42");
        // Node's requests can't have another Host, so they go on.
        page.page.says(&format!(" {word} []")).await;
    }
}

#[tokio::test]
async fn no_place_and_no_keys_are_told_and_tried_again() {
    let database = Database::chat().await;
    // Else this machine's connections are a proxy's, and are not counted.
    let few = [
        ("ROWCAST_MAX_CONNECTIONS_PER_ADDRESS", "1"),
        ("ROWCAST_TRUSTED_PROXIES", "none"),
    ];
    let server = Server::with(&database, &[&JWT[..], &few].concat()).await;
    let crowd = tokio::net::TcpStream::connect(server.address())
        .await
        .expect("it listens");
    let page = Page::of_user(&server, 600).await;
    page.join("42");
    page.page.says("42 offline too_many_connections []").await;
    drop(page);
    drop(crowd);

    let mut launch = Launch::serve().database(&database.url);
    for (name, value) in [
        ("ROWCAST_AUTH", "jwt"),
        ("ROWCAST_JWT_JWKS", "http://127.0.0.1:1/keys"),
        ("ROWCAST_JWT_AUDIENCE", "rowcast"),
    ] {
        launch = launch.env(name, value);
    }
    let server = launch.start().await;
    let page = Page::of_user(&server, 600).await;
    page.join("42");
    page.page.says("42 offline unavailable []").await;
    server
        .counted("rowcast_connects_total", &[r#"outcome="refused""#], 2.0)
        .await;
}
