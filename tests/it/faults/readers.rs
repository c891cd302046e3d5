//! Clients that read nothing, or next to nothing, beside clients that read: cut or served, never with a hole.

use std::time::Duration;

use crate::harness::wait::until_for;
use crate::harness::witness::Witness;
use crate::harness::writers::Habit;
use crate::harness::{Database, Kind, Proxy, Trial};

/// More than any bound of the server's, were it to keep what a client doesn't read.
const TOO_MUCH_BYTES: u64 = 64 << 20;

#[tokio::test]
async fn a_client_that_reads_nothing_and_one_that_reads_a_kilobyte_a_second_lose_nothing() {
    let habit = Habit {
        body_bytes: 6_000,
        ..Habit::of(&["a", "b", "c"])
    };
    let kinds = [
        Kind::Websocket,
        Kind::Polling,
        Kind::Raw,
        Kind::Raw,
        Kind::Raw,
        Kind::Raw,
    ];
    let mut trial = Trial::written(Database::chat().await, &[], &kinds, &habit).await;
    let before = trial.server.peak_memory_bytes();

    let (deaf, trickle) = (
        Proxy::to(trial.server.address()).await,
        Proxy::to(trial.server.address()).await,
    );
    let mut slow = Vec::new();
    for kind in Kind::ALL {
        for network in [&deaf, &trickle] {
            let witness = Witness::open(&trial.stock, network.address(), kind, &[]).await;
            // In the middle of the stream, so from the history.
            witness.reload("a");
            witness
                .until("to be in", |view| {
                    view.rooms.values().any(|room| room.joins == 1)
                })
                .await;
            slow.push(witness);
        }
    }
    deaf.stall(true);
    trickle.limit(Some(1_024));
    for _ in 0..8 {
        trial.ledger.more(200).await;
        // Everybody who reads is served meanwhile.
        trial.flows().await;
    }
    let grown = trial.server.peak_memory_bytes().saturating_sub(before);
    assert!(grown < TOO_MUCH_BYTES, "it took {} MB", grown >> 20);
    deaf.stall(false);
    trickle.limit(None);
    trial.witnesses.append(&mut slow);
    trial.flows().await;
    trial.complete().await;
}

/// The stream is more than the client's network carries, and its connection is all right: served or cut, it gets on.
#[tokio::test]
async fn a_client_that_is_always_behind_gets_on() {
    let habit = Habit {
        body_bytes: 4_000,
        ..Habit::of(&["a", "b", "c"])
    };
    let trial = Trial::written(Database::chat().await, &[], &Kind::ALL, &habit).await;
    trial.network.limit(Some(300_000));
    trial.ledger.more(1_500).await;
    for witness in &trial.witnesses {
        let so_far = witness.read(|view| view.events);
        until_for(
            Duration::from_secs(60),
            "a slow consumer to get on",
            async || (witness.read(|view| view.events) >= so_far + 50).then_some(()),
        )
        .await;
    }
    trial.network.limit(None);
    trial.flows().await;
    trial.complete().await;
}
