//! What a service manager is told, over a socket as systemd has one.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::wait::until_for;
use crate::harness::{Database, Launch, Scratch, Server, http};

/// The socket, and every line that came by it.
struct Manager {
    socket: UnixDatagram,
    lines: Vec<String>,
    folder: Scratch,
}

impl Manager {
    fn new() -> Self {
        let folder = Scratch::folder();
        let socket = UnixDatagram::bind(folder.path().join("notify")).expect("a socket");
        socket.set_nonblocking(true).expect("it can be");
        Self {
            socket,
            lines: Vec::new(),
            folder,
        }
    }

    fn start(&self, launch: Launch) -> Server {
        let path = self.folder.path().join("notify");
        launch
            .env("NOTIFY_SOCKET", path.to_str().expect("text"))
            .spawn()
    }

    /// Waits for a line that begins so, after those that were waited for before.
    async fn told(&mut self, wanted: &str) -> String {
        until_for(
            Duration::from_secs(20),
            format!("{wanted} after {:?}", self.lines),
            async || {
                let mut datagram = [0; 4096];
                while let Ok(length) = self.socket.recv(&mut datagram) {
                    let text = str::from_utf8(&datagram[..length]).expect("text");
                    self.lines.extend(text.lines().map(str::to_owned));
                }
                let found = self
                    .lines
                    .iter()
                    .position(|line| line.starts_with(wanted))?;
                Some(
                    self.lines
                        .drain(..=found)
                        .next_back()
                        .expect("it was found"),
                )
            },
        )
        .await
    }
}

#[tokio::test]
async fn a_service_manager_hears_of_the_start_the_watchdog_and_the_stop() {
    let database = Database::chat().await;
    let mut manager = Manager::new();
    let launch = Launch::serve().database(&database.url);
    let server = manager.start(launch.env("WATCHDOG_USEC", "300000"));
    manager.told("STATUS=starts: ").await;
    manager.told("READY=1").await;
    server.ready().await;
    assert_eq!(server.get("/readyz").await.status, 200);
    manager
        .told(&format!("STATUS=serves {}", server.address()))
        .await;
    for _ in 0..3 {
        manager.told("WATCHDOG=1").await;
    }
    // A reload, where there is nothing to read again.
    server.signal(Signal::HUP);
    server
        .log("the reload", |line| {
            line["message"].to_string().contains("SIGHUP")
        })
        .await;
    server.signal(Signal::TERM);
    manager.told("STOPPING=1").await;
    manager.told("STATUS=draining").await;
    server.ended().await;
    assert!(
        !manager.lines.iter().any(|line| line.starts_with("STATUS=")),
        "{:?}",
        manager.lines
    );
}

#[tokio::test]
async fn a_unit_whose_database_is_away_is_started_and_says_so() {
    let mut manager = Manager::new();
    let nowhere = Launch::serve().database("postgres://u@127.0.0.1:1/d");
    let server = manager.start(nowhere);
    let status = manager.told("STATUS=waits: database").await;
    assert!(status.contains("can't be reached"), "{status}");
    manager.told("READY=1").await;
    let (address, _) = server.listening().await;
    assert_eq!(http::get(&address, "/livez", &[]).await.status, 200);
    assert_eq!(http::get(&address, "/readyz", &[]).await.status, 503);
    server.signal(Signal::TERM);
    manager.told("STOPPING=1").await;
    server.ended().await;
}
