//! Requests over HTTP that wait while a right ends: they are told so at once, and not when their wait is over.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::{everything, guarded, status};
use crate::harness::http::Response;
use crate::harness::token::{JWT, token};
use crate::harness::wait::until;
use crate::harness::{Scene, Server};

/// Much shorter than the wait, and long enough for a machine that is busy.
const AT_ONCE: Duration = Duration::from_secs(4);

/// A long-poll of a conversation from now on, and when it was answered.
async fn poll(server: &Server, contact: &str, token: &str, seconds: u8) -> (Response, Instant) {
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let now = server.ask(contact, "events", &headers).await.json();
    let after = now["offset"].as_str().expect("an offset");
    let what = format!("events?after={after}&wait={seconds}");
    let answer = server.ask(contact, &what, &headers).await;
    (answer, Instant::now())
}

async fn waiting(server: &Server, count: f64) {
    until(format!("{count} requests to wait"), async || {
        let waiting = server.metric("rowcast_long_polls", &[]).await;
        (waiting == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_revocation_ends_the_long_polls_of_its_subject_on_every_server_and_no_other() {
    let scene = guarded().await;
    let other = Server::with(&scene.database, &JWT).await;
    let (theirs, bystander) = (
        token("user-7", &everything()),
        token("user-8", &everything()),
    );
    let end = async {
        waiting(&scene.server, 2.0).await;
        waiting(&other, 1.0).await;
        scene.database.run("select rowcast.revoke('user-7')").await;
        let revoked = Instant::now();
        waiting(&scene.server, 1.0).await;
        scene.database.say("42", "after").await;
        revoked
    };
    let (here, there, goes_on, revoked) = tokio::join!(
        poll(&scene.server, "42", &theirs, 25),
        poll(&other, "42", &theirs, 25),
        poll(&scene.server, "42", &bystander, 25),
        end
    );
    for (answer, at) in [here, there] {
        assert_eq!(answer.status, 401, "{answer:?}");
        assert_eq!(answer.json()["error"]["code"], "unauthorized");
        let took = at.saturating_duration_since(revoked);
        println!("answered {took:?} after the revocation");
        assert!(took < AT_ONCE, "{took:?}");
    }
    assert_eq!(goes_on.0.status, 200, "{:?}", goes_on.0);
    assert_eq!(goes_on.0.json()["events"][0]["event"], "message:new");
}

#[tokio::test]
async fn a_room_that_is_closed_ends_the_long_polls_of_it_alone() {
    let scene = guarded().await;
    let theirs = token("user-7", &everything());
    let end = async {
        waiting(&scene.server, 2.0).await;
        scene
            .database
            .run("select rowcast.revoke('user-7', room => 'conversation:42')")
            .await;
        let revoked = Instant::now();
        waiting(&scene.server, 1.0).await;
        scene.database.say("42", "not theirs").await;
        scene.database.say("43", "theirs").await;
        revoked
    };
    let ((closed, at), (open, _), revoked) = tokio::join!(
        poll(&scene.server, "42", &theirs, 25),
        poll(&scene.server, "43", &theirs, 25),
        end
    );
    assert_eq!(closed.status, 403, "{closed:?}");
    assert_eq!(closed.json()["error"]["code"], "forbidden");
    let took = at.saturating_duration_since(revoked);
    assert!(took < AT_ONCE, "{took:?}");
    assert_eq!(open.status, 200, "{open:?}");
    assert_eq!(open.json()["events"].as_array().map(Vec::len), Some(1));
    assert_eq!(status(&scene.server, "42", &theirs).await, 403);
}

#[tokio::test]
async fn a_long_poll_lasts_no_longer_than_its_token() {
    let settings: Vec<_> = JWT
        .into_iter()
        .chain([("ROWCAST_JWT_LEEWAY", "0s")])
        .collect();
    let scene = Scene::with(&settings).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let ends = now.expect("after 1970").as_secs() + 6;
    let short = token("user-7", &json!({ "conversations": "*", "exp": ends }));
    let (answer, _) = poll(&scene.server, "42", &short, 25).await;
    let end = UNIX_EPOCH + Duration::from_secs(ends);
    let late = SystemTime::now().duration_since(end).expect("not before");
    assert_eq!(answer.status, 401, "{answer:?}");
    assert!(answer.body.contains("expired"), "{answer:?}");
    assert!(late < AT_ONCE, "{late:?}");
    waiting(&scene.server, 0.0).await;
}
