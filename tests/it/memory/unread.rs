//! Answers over HTTP that nobody reads: bounded in bytes, for each who asks and together, and in time.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::sleep;

use super::{assert_no_more, peak};
use crate::harness::wait::{until, within};
use crate::harness::{Caller, Scene, bare};

/// The messages of a page, and what one of them says.
const MESSAGES: usize = 200;
const BODY_BYTES: usize = 19_000;
const HISTORY: &str = "/api/conversations/42/messages?limit=200";
const HOST: (&str, &str) = ("host", "localhost");

/// A server with a page of some 4 MB, whose requests are not counted.
async fn with_large_pages(settings: &[(&str, &str)]) -> Scene {
    let uncounted = [
        ("ROWCAST_MAX_HTTP_RATE", "100000"),
        ("ROWCAST_MAX_READ_RATE", "100000"),
    ];
    Scene::with(&[&uncounted[..], settings].concat()).await
}

/// Returns the path that has all of it as events.
async fn fill(scene: &Scene) -> String {
    let after = scene.server.offset("42").await;
    scene
        .database
        .run(&format!(
            "insert into messages (contact_id, body) select '42', repeat('x', {BODY_BYTES}) from generate_series(1, {MESSAGES})"
        ))
        .await;
    format!("/api/conversations/42/events?after={after}&limit=2000")
}

fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
}

/// Reads the status, and nothing else.
async fn status(tcp: &mut TcpStream) -> String {
    let mut line = [0; 12];
    let read = within("a status", tcp.read_exact(&mut line)).await;
    read.expect("an answer");
    String::from_utf8_lossy(&line[9..]).into_owned()
}

async fn limits(scene: &Scene, limit: &str) -> f64 {
    let label = format!("\"{limit}\"");
    scene.server.metric("rowcast_limits_total", &[&label]).await
}

#[tokio::test]
async fn answers_that_nobody_reads_are_bounded_for_who_asks() {
    const CONNECTIONS: usize = 40;
    let scene = with_large_pages(&[]).await;
    let address = scene.server.address();
    let events = fill(&scene).await;
    for path in [HISTORY, &events] {
        let read = async {
            for _ in 0..CONNECTIONS {
                let mut tcp = bare::begin(address, &request(path)).await;
                let mut answer = Vec::new();
                within("an answer", tcp.read_to_end(&mut answer))
                    .await
                    .expect("an orderly end");
                assert!(answer.starts_with(b"HTTP/1.1 200 "));
                assert!(answer.len() > 1_500_000, "{}", answer.len());
            }
        };
        let harmless = peak(&scene.server, read).await;
        let hits = limits(&scene, "unread_answers").await;
        let unread = async {
            let (mut kept, mut answered) = (Vec::new(), Vec::new());
            for _ in 0..CONNECTIONS {
                let mut tcp = narrow(address, path).await;
                answered.push(status(&mut tcp).await);
                kept.push(tcp);
            }
            assert_eq!(answered[0], "200");
            assert_eq!(answered[CONNECTIONS - 1], "429");
            // Another address has its own share.
            let mut other = Caller::from("127.0.0.2", address).await;
            let page = other.get(path, &[HOST]).await;
            assert_eq!(page.status, 200);
            kept
        };
        let hostile = peak(&scene.server, unread).await;
        assert_no_more(harmless, hostile);
        assert!(limits(&scene, "unread_answers").await > hits);
        // Who has gone away holds nothing.
        until("there to be room again", async || {
            let mut tcp = bare::begin(address, &request(path)).await;
            (status(&mut tcp).await == "200").then_some(())
        })
        .await;
    }
}

/// A connection on which the kernel takes little.
async fn narrow(address: &str, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a size");
    let address = address.parse().expect("an address");
    let tcp = within("the server to accept", socket.connect(address)).await;
    let mut tcp = tcp.expect("the server accepts");
    tcp.write_all(request(path).as_bytes())
        .await
        .expect("it reads");
    tcp
}

/// Reads in pieces, with pauses, and returns how many bytes there were until the end.
async fn read_slowly(tcp: &mut TcpStream, piece: usize, pause: Duration) -> usize {
    let (mut bytes, mut all) = (vec![0; piece], 0);
    loop {
        match tcp.read(&mut bytes).await {
            Ok(0) | Err(_) => return all,
            Ok(read) => all += read,
        }
        sleep(pause).await;
    }
}

#[tokio::test]
async fn an_answer_that_is_not_taken_in_time_is_cut() {
    let scene = with_large_pages(&[("ROWCAST_ANSWER_TIMEOUT", "2s")]).await;
    fill(&scene).await;
    let address = scene.server.address();
    // It takes a little all the time.
    let mut tcp = narrow(address, HISTORY).await;
    assert_eq!(status(&mut tcp).await, "200");
    let trickle = read_slowly(&mut tcp, 1_000, Duration::from_millis(50));
    let read = within("the answer to be cut", trickle).await;
    assert!(read < MESSAGES * BODY_BYTES, "{read}");
    assert!((limits(&scene, "answer_time").await - 1.0).abs() < 0.5);
    let mut whole = Caller::from("127.0.0.1", address).await;
    assert_eq!(whole.get(HISTORY, &[HOST]).await.status, 200);
    // Its next request is another one, with a time of its own.
    sleep(Duration::from_millis(2_500)).await;
    assert_eq!(whole.get(HISTORY, &[HOST]).await.status, 200);
}

#[tokio::test]
async fn an_answer_that_is_read_slowly_is_not_cut_as_idle() {
    let scene = with_large_pages(&[("ROWCAST_KEEP_ALIVE", "1s")]).await;
    fill(&scene).await;
    let mut tcp = narrow(scene.server.address(), HISTORY).await;
    let slowly = read_slowly(&mut tcp, 64 * 1024, Duration::from_millis(5));
    let read = within("the answer", slowly).await;
    assert!(read > MESSAGES * BODY_BYTES, "{read} bytes came");
}
