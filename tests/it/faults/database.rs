//! Postgres stops, restarts, throws us out, or has no room for us.

use std::time::Duration;

use rustix::process::Signal;

use crate::harness::wait::{until, until_for};
use crate::harness::{Kind, Postgres, Trial};

#[tokio::test]
async fn backends_that_are_terminated_again_and_again_are_noticed_by_no_client() {
    let trial = Trial::new().await;
    for _ in 0..12 {
        trial.terminate_backends().await;
        trial.ledger.more(25).await;
    }
    trial.flows().await;
    let tally = trial.complete().await;
    assert_eq!(tally.losses_of_connection, 0, "a client noticed: {tally}");
}

#[tokio::test]
async fn clients_that_come_back_while_backends_are_terminated_lose_nothing() {
    let trial = Trial::new().await;
    for _ in 0..4 {
        trial.away().await;
        trial.ledger.more(60).await;
        trial.network.close(false);
        // Their resumes meet connections that are gone.
        for _ in 0..4 {
            trial.terminate_backends().await;
            trial.ledger.more(5).await;
        }
        trial.back().await;
    }
    trial.flows().await;
    trial.complete().await;
}

#[tokio::test]
async fn a_postgres_that_restarts_fast_loses_nothing() {
    a_postgres_that_restarts_loses_nothing(Signal::INT).await;
}

#[tokio::test]
async fn a_postgres_that_restarts_without_a_checkpoint_loses_nothing() {
    a_postgres_that_restarts_loses_nothing(Signal::QUIT).await;
}

async fn a_postgres_that_restarts_loses_nothing(signal: Signal) {
    let (mut postgres, database) = Postgres::with_chat().await;
    let trial = Trial::on(database, &[], &Kind::ALL).await;
    for _ in 0..2 {
        postgres.down(signal).await;
        let failed = trial.ledger.failed();
        trial.server.readiness(503).await;
        assert_eq!(
            trial.server.get("/livez").await.status,
            200,
            "alive, if not ready"
        );
        until("the writers to notice", async || {
            (trial.ledger.failed() > failed).then_some(())
        })
        .await;
        postgres.up().await;
        trial.flows().await;
        ready_again(&trial).await;
    }
    let tally = trial.complete().await;
    assert_eq!(tally.losses_of_connection, 0, "sockets stay: {tally}");
}

#[tokio::test]
async fn a_postgres_that_restarts_fast_while_clients_are_away_loses_nothing() {
    let (trial, _postgres) = restarted_while_clients_are_away(Signal::INT).await;
    trial.complete().await;
}

#[tokio::test]
async fn a_postgres_that_restarts_without_a_checkpoint_while_clients_are_away_loses_nothing_unsaid()
{
    let (trial, _postgres) = restarted_while_clients_are_away(Signal::QUIT).await;
    // What they saw last may have been undone, for all that the next server can know: then they are told.
    trial.verdict().await.assert_clean();
}

async fn restarted_while_clients_are_away(signal: Signal) -> (Trial, Postgres) {
    let (mut postgres, database) = Postgres::with_chat().await;
    let mut trial = Trial::on(database, &[], &Kind::ALL).await;
    trial.away().await;
    trial.ledger.more(60).await;
    postgres.down(signal).await;
    // They come back to a server that can't look anything up, and that is killed in that state.
    trial.network.close(false);
    trial.server.readiness(503).await;
    trial.server.crash().await;
    postgres.up().await;
    trial.ledger.more(60).await;
    trial.replace().await;
    trial.back().await;
    trial.flows().await;
    (trial, postgres)
}

#[tokio::test]
async fn clients_that_come_back_to_a_server_without_a_database_are_resumed_when_it_returns() {
    let (mut postgres, database) = Postgres::with_chat().await;
    let trial = Trial::on(database, &[], &Kind::ALL).await;
    postgres.down(Signal::INT).await;
    trial.server.readiness(503).await;
    trial.cut().await;
    // A time in which they try.
    tokio::time::sleep(Duration::from_secs(1)).await;
    postgres.up().await;
    trial.back().await;
    trial.flows().await;
    ready_again(&trial).await;
    trial.complete().await;
}

#[tokio::test]
async fn a_postgres_that_hangs_loses_nothing() {
    let (postgres, database) = Postgres::with_chat().await;
    let trial = Trial::on(database, &[], &Kind::ALL).await;
    // Alive and silent, as a machine that swaps.
    let ours = "application_name like 'rowcast%'";
    for _ in 0..2 {
        let ours = postgres.processes(&trial.database, ours).await;
        postgres.kill(&ours, Signal::STOP);
        trial.ledger.more(150).await;
        postgres.kill(&ours, Signal::CONT);
        trial.flows().await;
    }
    ready_again(&trial).await;
    let tally = trial.complete().await;
    assert_eq!(tally.losses_of_connection, 0, "sockets stay: {tally}");
}

async fn ready_again(trial: &Trial) {
    until_for(
        Duration::from_secs(30),
        "/readyz to be 200 again",
        async || (trial.server.get("/readyz").await.status == 200).then_some(()),
    )
    .await;
}
