//! Many sockets: what is shown of them, page by page, and what it costs.
//!
//! `CROWD=10000` makes it ten thousand, as docs/inspector.md has the figures of.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::ask;
use crate::harness::wait::until;
use crate::harness::{Database, Server, Wire};

const AT_ONCE: usize = 64;

/// How many sockets the test opens.
#[expect(
    clippy::disallowed_methods,
    reason = "how many is for who runs the test to say"
)]
pub(super) fn size() -> usize {
    let said = std::env::var("CROWD").ok();
    said.map_or(1_000, |said| said.parse().expect("CROWD is a number"))
}

/// A server that takes so many from this machine.
pub(super) async fn server(database: &Database) -> Server {
    let variables = [
        ("ROWCAST_MAX_CONNECTIONS_PER_ADDRESS", "20000"),
        ("ROWCAST_MAX_HANDSHAKE_RATE", "20000"),
        ("ROWCAST_MAX_SOCKETIO_RATE", "20000"),
    ];
    Server::with(database, &variables).await
}

/// So many sockets, each in one of a hundred rooms.
pub(super) async fn gather(server: &Server, count: usize) -> Vec<Wire> {
    let address = server.address().to_owned();
    stream::iter(0..count)
        .map(|number| {
            let address = address.clone();
            async move {
                let mut socket = Wire::connect(&address).await;
                let room = json!([format!("crowd-{}", number % 100)]);
                let joined = socket.ask("join:conversation", &room, 7).await;
                assert_eq!(joined["ok"], true, "{joined}");
                socket
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}

/// Processor time that the server has used.
fn cpu(server: &Server) -> Duration {
    let stat = format!("/proc/{}/stat", server.pid().as_raw_nonzero());
    let stat = std::fs::read_to_string(stat).expect("it runs");
    let fields = stat.rsplit_once(") ").expect("a name").1;
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks: u64 = ticks
        .map(|ticks| ticks.parse::<u64>().expect("ticks"))
        .sum();
    // The kernel counts hundredths of a second for user space, everywhere that Linux runs this.
    Duration::from_millis(ticks * 10)
}

fn resident(server: &Server) -> u64 {
    let status = format!("/proc/{}/status", server.pid().as_raw_nonzero());
    let status = std::fs::read_to_string(status).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    kilobytes.and_then(|text| text.parse().ok()).expect("VmRSS")
}

#[tokio::test]
async fn a_crowd_is_shown_page_by_page_at_a_bounded_cost() {
    let count = size();
    let database = Database::chat().await;
    let server = server(&database).await;
    let begun = Instant::now();
    let crowd = gather(&server, count).await;
    println!("{count} sockets after {:?}", begun.elapsed());
    let list = until("all of them to be listed", async || {
        let list = ask(&server, "sockets").await.json();
        (list["found"] == count).then_some(list)
    })
    .await;
    assert_eq!(list["sockets"].as_array().map(Vec::len), Some(50));
    let last = ask(&server, &format!("sockets?from={}", count - 7))
        .await
        .json();
    assert_eq!(last["sockets"].as_array().map(Vec::len), Some(7));
    let rooms = ask(&server, "rooms").await.json();
    assert_eq!(
        (&rooms["found"], &rooms["rooms"][0]["members"]),
        (&json!(100), &json!(count / 100))
    );

    // Five look at once, each at the list and at the overview: one look at the crowd a second is for all of them.
    let seconds: u64 = if count > 1_000 { 20 } else { 3 };
    let (idle, memory) = (usage(&server, seconds, 0).await, resident(&server));
    server.forget_peak_memory();
    let looked = usage(&server, seconds, 5).await;
    let peak = server.peak_memory_bytes() / 1024;
    println!(
        "{count} sockets, {seconds} s: {idle:?} of the processor while nobody looks, {looked:?} with five who look; \
         {memory} KB, {} KB more at the peak",
        peak.saturating_sub(memory)
    );
    let added = looked.saturating_sub(idle);
    assert!(
        added < Duration::from_secs(seconds) / 2,
        "half a core: {added:?}"
    );
    assert!(
        peak < memory + 64 * 1024,
        "{memory} KB, {peak} KB at the peak"
    );
    drop(crowd);
}

/// Processor time of the server within so many seconds, while so many look.
async fn usage(server: &Server, seconds: u64, lookers: usize) -> Duration {
    let (before, deadline) = (cpu(server), Instant::now() + Duration::from_secs(seconds));
    let look = async || {
        while Instant::now() < deadline {
            let overview = ask(server, "overview").await;
            let list = ask(server, "sockets?sort=backlog&search=127").await;
            assert!(overview.status == 200 && list.json()["found"] != Value::Null);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let looks = (0..lookers).map(|_| look());
    futures_util::future::join_all(looks).await;
    tokio::time::sleep(deadline.saturating_duration_since(Instant::now())).await;
    cpu(server) - before
}
