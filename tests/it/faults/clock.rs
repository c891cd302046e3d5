//! Time passes while a client is away, or jumps: what was pruned unseen is told, never passed over in silence.

use std::time::Duration;

use crate::harness::wait::until_for;
use crate::harness::{Kind, Trial};

/// Waits until nothing is left of what was written before now.
async fn pruned(trial: &Trial) {
    let latest = trial
        .database
        .value("select coalesce(max(id), 0) from rowcast.events")
        .await;
    let left = format!("select count(*) from rowcast.events where id <= {latest}");
    until_for(
        Duration::from_secs(30),
        "the outbox to be pruned",
        async || (trial.database.value(&left).await == "0").then_some(()),
    )
    .await;
}

/// Everybody has come back, was told, has loaded what was lost, and is complete.
async fn all_were_told(trial: Trial) {
    trial.back().await;
    for witness in &trial.witnesses {
        witness.until("to be told", |view| view.resyncs > 0).await;
    }
    trial.flows().await;
    trial.verdict().await.assert_clean();
}

#[tokio::test]
async fn retention_that_passes_while_clients_are_away_is_told() {
    let trial = Trial::with(&[("ROWCAST_RETENTION", "2s")]).await;
    trial.away().await;
    trial.ledger.more(60).await;
    pruned(&trial).await;
    trial.network.close(false);
    all_were_told(trial).await;
}

#[tokio::test]
async fn a_clock_that_jumps_while_clients_are_away_is_told() {
    let trial = Trial::with(&[("ROWCAST_RETENTION", "4s")]).await;
    trial.away().await;
    trial.ledger.more(60).await;
    // For the pruning it is the same as a clock that went on by two days.
    let jump = "update rowcast.events set at = at - interval '2 days'";
    trial.database.run(jump).await;
    pruned(&trial).await;
    trial.network.close(false);
    all_were_told(trial).await;
}

#[tokio::test]
async fn a_clock_that_jumps_beside_clients_that_listen_changes_nothing_for_them() {
    let trial = Trial::with(&[("ROWCAST_RETENTION", "4s")]).await;
    for _ in 0..3 {
        let jump = "update rowcast.events set at = at - interval '2 days'";
        trial.database.run(jump).await;
        trial.flows().await;
        let jump = "update rowcast.events set at = at + interval '1 day'";
        trial.database.run(jump).await;
        trial.flows().await;
    }
    let tally = trial.complete().await;
    assert_eq!(tally.losses_of_connection, 0, "{tally}");
}

/// The other way round: what the retention still holds is never answered with `resync`.
#[tokio::test]
async fn a_short_absence_beside_pruning_costs_nothing() {
    let trial = Trial::on(
        crate::harness::Database::chat().await,
        &[("ROWCAST_RETENTION", "20s")],
        &Kind::ALL,
    )
    .await;
    let old = "update rowcast.events set at = at - interval '1 hour'";
    trial.database.run(old).await;
    pruned(&trial).await;
    // All of that was seen by everybody; what follows is not pruned.
    trial.flows().await;
    trial.away().await;
    trial.ledger.more(60).await;
    trial.network.close(false);
    trial.back().await;
    trial.flows().await;
    trial.complete().await;
}
