//! What befalls Postgres as a whole.

use rustix::process::Signal;

use super::fault::{Fault, Plant, Ready};
use super::scene::Scene;
use crate::harness::Postgres;

/// How many are planted here.
pub(super) const FAULTS: usize = 3;

const SAY: &str = "insert into messages (contact_id, body) values ('42', 'BODY')";

const DOWN: Fault = Fault::new(
    Plant::Sql(""),
    Ready::Failing("reader", "the outbox can't be read: "),
    ("connection", "failure", "No such file"),
)
.logged(
    "tried again and again: error communicating with database: No such file",
    "the outbox is read again",
)
.uncaptured();

const FROZEN: Fault = Fault::new(
    Plant::Sql(""),
    Ready::Failing("listener", "no answer within 2 s"),
    ("connection", "failure", "no answer in time"),
)
.logged(
    "the reader polls meanwhile: no answer within 2 s",
    "LISTEN is in force again",
)
.uncaptured();

const STANDBY: Fault = Fault::new(
    Plant::Sql(""),
    Ready::Failing("writes", "this is a standby"),
    ("writes", "failure", "this is a standby"),
)
.uncaptured();

#[tokio::test]
async fn a_postgres_that_is_down_is_named_everywhere_and_nothing_is_lost() {
    let (mut postgres, database) = Postgres::with_chat().await;
    let mut scene = Scene::on(database, "", SAY).await;
    let since = scene.begins().await;
    postgres.down(Signal::INT).await;
    scene.is_named("down", &DOWN, since).await;
    postgres.up().await;
    scene.is_mended("down", &DOWN, since).await;
    scene.ends().await;
}

#[tokio::test]
async fn a_postgres_that_is_silent_is_named_everywhere_and_nothing_is_lost() {
    let (postgres, database) = Postgres::with_chat().await;
    let mut scene = Scene::on(database, "", SAY).await;
    let since = scene.begins().await;
    postgres.kill(&postgres.family(), Signal::STOP);
    scene.is_named("frozen", &FROZEN, since).await;
    postgres.kill(&postgres.family(), Signal::CONT);
    scene.is_mended("frozen", &FROZEN, since).await;
    scene.ends().await;
}

/// As an address leads to after a failover that left it behind.
#[tokio::test]
async fn a_standby_behind_the_address_is_named_everywhere_and_nothing_is_lost() {
    let (mut postgres, database) = Postgres::with_chat().await;
    let mut scene = Scene::on(database, "", SAY).await;
    let since = scene.begins().await;
    let signal = postgres.folder().join("data/standby.signal");
    postgres.down(Signal::INT).await;
    std::fs::write(&signal, "").expect("a file");
    postgres.up().await;
    scene.is_named("standby", &STANDBY, since).await;
    postgres.down(Signal::INT).await;
    std::fs::remove_file(&signal).expect("it is there");
    postgres.up().await;
    scene.is_mended("standby", &STANDBY, since).await;
    scene.ends().await;
}
