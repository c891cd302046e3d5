//! Dumps of a database, and what is made of them, by Postgres's own tools.

use std::io::Write as _;
use std::process::{Command, Stdio};

use tokio::task::spawn_blocking;

use super::postgres::{binaries, psql};

/// What `pg_dump` with these options writes.
pub(crate) async fn dump(url: &str, options: &[&str]) -> Vec<u8> {
    let mut command = Command::new(binaries().join("pg_dump"));
    command.args(options).arg(url);
    let dumped = spawn_blocking(move || command.output()).await;
    let dumped = dumped.expect("no panic").expect("pg_dump starts");
    let said = String::from_utf8_lossy(&dumped.stderr);
    assert!(dumped.status.success(), "{said}");
    dumped.stdout
}

/// Has `psql` read it, and returns what it complains of.
pub(crate) async fn restore(url: &str, dump: Vec<u8>) -> String {
    let mut command = Command::new(psql().expect("psql is installed"));
    command.args(["-qX", url]);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    command.stderr(Stdio::piped());
    let restored = spawn_blocking(move || {
        let mut psql = command.spawn().expect("psql starts");
        let mut input = psql.stdin.take().expect("it is piped");
        let writing = std::thread::spawn(move || input.write_all(&dump));
        let ended = psql.wait_with_output().expect("psql ends");
        let _it_may_have_ended_early = writing.join().expect("no panic");
        String::from_utf8_lossy(&ended.stderr).into_owned()
    });
    restored.await.expect("no panic")
}
