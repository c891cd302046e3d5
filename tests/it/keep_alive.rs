//! A connection without a request is kept for longer than a proxy in front keeps it, and for longer than a request's head may take.

use std::time::{Duration, Instant};

use crate::harness::wait::within;
use crate::harness::{Caller, Scene};

const HOST: (&str, &str) = ("host", "localhost");
const HEAD: Duration = Duration::from_millis(300);

#[tokio::test]
async fn an_idle_connection_outlives_the_time_of_a_head() {
    let scene = Scene::with(&[("ROWCAST_HANDSHAKE_TIMEOUT", "300ms")]).await;
    let mut idle = Caller::from("127.0.0.1", scene.server.address()).await;
    assert_eq!(idle.get("/livez", &[HOST]).await.status, 200);
    // Another one begins a head after that, and is cut when its time is over: so the idle one had more than that.
    for _ in 0..3 {
        let mut slow = Caller::from("127.0.0.1", scene.server.address()).await;
        assert_eq!(slow.get("/livez", &[HOST]).await.status, 200);
        let begun = Instant::now();
        slow.send("GET /livez HTTP/1.1\r\nhost:").await;
        within("the half head to be cut", slow.ended()).await;
        assert!(begun.elapsed() >= HEAD, "{:?}", begun.elapsed());
    }
    assert_eq!(idle.get("/livez", &[HOST]).await.status, 200);
}

#[tokio::test]
async fn an_idle_connection_is_kept_for_so_long() {
    let scene = Scene::with(&[("ROWCAST_KEEP_ALIVE", "1s")]).await;
    let mut idle = Caller::from("127.0.0.1", scene.server.address()).await;
    for _ in 0..2 {
        assert_eq!(idle.get("/livez", &[HOST]).await.status, 200);
    }
    let begun = Instant::now();
    within("the idle connection to end", idle.ended()).await;
    assert!(
        begun.elapsed() >= Duration::from_millis(900),
        "{:?}",
        begun.elapsed()
    );
    // A long-poll is no idle connection.
    let path = "/api/conversations/42/events";
    let mut waits = Caller::from("127.0.0.1", scene.server.address()).await;
    let offset = waits.get(path, &[HOST]).await.json()["offset"].clone();
    let wait = format!(
        "{path}?wait=3&after={}",
        offset.as_str().expect("an offset")
    );
    assert_eq!(waits.get(&wait, &[HOST]).await.status, 200);
}
