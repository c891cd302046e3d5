//! The Postgres that Rowcast brings along: made once, kept, stopped with it, guarded against a second user.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::harness::postgres::binaries;
use crate::harness::wait::{until, until_for};
use crate::harness::{Database, Launch, Scratch, Server, Stock};

/// A server with a Postgres of its own in this folder.
pub(crate) fn launch(folder: &Path) -> Launch {
    let binaries = binaries();
    Launch::serve()
        .env("ROWCAST_DATA_DIR", folder.to_str().expect("a text"))
        .env("ROWCAST_PG_BINDIR", binaries.to_str().expect("a text"))
}

/// What the server prints for the person at the terminal: the line that has this in it, from there to its end.
pub(crate) async fn printed(server: &Server, start: &str) -> String {
    until(format!("a line with {start}"), async || {
        let lines = server.lines();
        let line = lines
            .iter()
            .find_map(|line| Some(&line[line.find(start)?..]))?;
        Some(line.trim_end().to_owned())
    })
    .await
}

/// The database of the running server.
async fn database(server: &Server) -> Database {
    Database::at(printed(server, "postgres://").await)
}

/// The processes whose working folder is in there: Postgres's is its data folder.
fn processes(folder: &Path) -> usize {
    let all = fs::read_dir("/proc").expect("a list of processes");
    all.flatten()
        .filter(|process| {
            fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder))
        })
        .count()
}

async fn gone(folder: &Path) {
    until("Postgres to end with the server", async || {
        (processes(folder) == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_first_start_makes_a_database_and_a_second_keeps_it() {
    let folder = Scratch::folder();
    let stock = Stock::start();
    for start in 0..3 {
        let server = launch(folder.path()).start().await;
        let database = database(&server).await;
        assert_eq!(
            database.value("select count(*) from messages").await,
            start.to_string()
        );
        let mut client = stock.joined(&server, "42").await;
        database.say("42", &format!("start {start}")).await;
        assert_eq!(client.next().await.body(), format!("start {start}"));
        assert_eq!(database.value("show fsync").await, "on");
        assert_eq!(database.value("show listen_addresses").await, "");
        server.stop().await;
        gone(folder.path()).await;
    }
}

#[tokio::test]
async fn the_printed_line_makes_an_event_appear() {
    let folder = Scratch::folder();
    let server = launch(folder.path()).start().await;
    let paste = printed(&server, "psql 'postgres://").await;
    let stock = Stock::start();
    let told = "in the room conversation:";
    let room = printed(&server, told).await;
    let contact = room[told.len()..].trim_end_matches([':', '.']);
    let mut client = stock.joined(&server, contact).await;
    let pasted = Command::new("sh")
        .args(["-c", &paste])
        .output()
        .expect("a shell");
    assert!(
        pasted.status.success(),
        "{paste}: {}",
        String::from_utf8_lossy(&pasted.stderr)
    );
    assert_eq!(
        client.event("message:new").await.payload()["contactId"],
        contact
    );
}

#[tokio::test]
async fn a_crashed_server_leaves_no_postgres_and_no_trouble() {
    let folder = Scratch::folder();
    for start in 0..3 {
        let server = launch(folder.path()).start().await;
        let database = database(&server).await;
        assert_eq!(
            database.value("select count(*) from messages").await,
            start.to_string()
        );
        database.say("42", "kept").await;
        server.crash().await;
        // At once: the next start meets what the crash left.
        if start == 1 {
            gone(folder.path()).await;
        }
    }
    launch(folder.path()).start().await.stop().await;
    gone(folder.path()).await;
}

#[tokio::test]
async fn the_folder_of_a_development_version_is_refused_and_can_be_removed() {
    let scratch = Scratch::folder();
    let folder = scratch.path().join("data");
    let server = launch(&folder).start().await;
    let database = database(&server).await;
    database
        .run("update rowcast.migrations set checksum = '\\x00' where version = 1")
        .await;
    server.stop().await;
    let text = folder.to_str().expect("a text");
    launch(&folder)
        .refuse(&["development version", "remove the folder", text])
        .await;
    gone(&folder).await;
    fs::remove_dir_all(&folder).expect("removed");
    launch(&folder).start().await.stop().await;
    gone(&folder).await;
}

#[tokio::test]
async fn a_second_process_on_the_same_folder_is_refused() {
    let folder = Scratch::folder();
    let first = launch(folder.path()).start().await;
    let text = folder.path().to_str().expect("a text");
    launch(folder.path()).refuse(&[text, "in use"]).await;
    // The first is unharmed.
    assert_eq!(first.get("/livez").await.status, 200);
    assert_eq!(database(&first).await.value("select 1").await, "1");
}

#[tokio::test]
async fn a_killed_postgres_is_noticed() {
    let folder = Scratch::folder();
    let server = launch(folder.path()).start().await;
    let postmaster = until("a postmaster", async || {
        let paths = [
            folder.path().join("data/postmaster.pid"),
            folder.path().join("postmaster.pid"),
        ];
        let text = paths
            .iter()
            .find_map(|path| fs::read_to_string(path).ok())?;
        rustix::process::Pid::from_raw(text.lines().next()?.parse().ok()?)
    })
    .await;
    rustix::process::kill_process(postmaster, rustix::process::Signal::KILL).expect("it runs");
    let (_, port) = server.address().rsplit_once(':').expect("a port");
    // It says so, and either mends it or ends: what it must not do is to stand there without a word.
    server
        .log("a word about the end of Postgres", |line| {
            line["level"] == "ERROR" || line["level"] == "WARN"
        })
        .await;
    until_for(
        Duration::from_secs(20),
        "the server to end, or to be ready again",
        async || {
            if server.exited().is_some_and(|status| !status.success()) {
                return Some(());
            }
            let check = Launch::command(["healthcheck"])
                .env("PORT", port)
                .end()
                .await;
            let ready = check.code == Some(0);
            ready.then_some(())
        },
    )
    .await;
    drop(server);
    launch(folder.path()).start().await.stop().await;
}

#[tokio::test]
async fn a_data_folder_of_another_major_is_refused() {
    let folder = Scratch::folder();
    launch(folder.path()).start().await.stop().await;
    let version = ["data/PG_VERSION", "PG_VERSION"]
        .map(|name| folder.path().join(name))
        .into_iter()
        .find(|path| path.exists());
    fs::write(version.expect("a data folder"), "9.6\n").expect("written");
    launch(folder.path()).refuse(&["9.6"]).await;
}

#[tokio::test]
async fn missing_binaries_are_told_with_their_remedies() {
    let folder = Scratch::folder();
    let launch = Launch::serve()
        .env("ROWCAST_DATA_DIR", folder.path().to_str().expect("a text"))
        .env("ROWCAST_PG_BINDIR", "/nowhere/bin");
    launch.refuse(&["ROWCAST_PG_BINDIR", "/nowhere/bin"]).await;
}
