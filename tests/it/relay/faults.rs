//! What breaks of a relay: NATS, the way to it, the leader, and what the leader believes.

use rustix::process::Signal;

use super::{Relayed, becomes, takes_part, trouble};
use crate::harness::Proxy;
use crate::harness::nats::Nats;

#[tokio::test]
async fn without_nats_each_server_reads_by_itself_and_says_so() {
    let mut relayed = Relayed::start().await;
    relayed.nats.crash();
    for server in [&relayed.trial.server, &relayed.leader] {
        becomes(server, "alone").await;
    }
    relayed.trial.flows().await;
    let said = trouble(&relayed.trial.server).await;
    assert!(said.contains("NATS can't be reached"), "{said}");
    relayed.nats.restart();
    // Whoever of the two is first.
    let both = [&relayed.trial.server, &relayed.leader];
    crate::harness::wait::until_for(
        std::time::Duration::from_secs(30),
        "a leader and an edge",
        async || {
            let mut roles = Vec::new();
            for server in both {
                let is_edge = server
                    .metric("rowcast_relay_role", &["role=\"edge\""])
                    .await;
                let leads = server
                    .metric("rowcast_relay_role", &["role=\"leader\""])
                    .await;
                roles.push((is_edge > 0.5, leads > 0.5));
            }
            let edges = roles.iter().filter(|role| role.0).count();
            let leaders = roles.iter().filter(|role| role.1).count();
            (edges == 1 && leaders == 1).then_some(())
        },
    )
    .await;
    relayed.trial.flows().await;
    relayed.trial.complete().await;
}

#[tokio::test]
async fn a_nats_that_hangs_costs_a_second_and_no_event() {
    let relayed = Relayed::start().await;
    for _ in 0..2 {
        relayed.nats.signal(Signal::STOP);
        becomes(&relayed.trial.server, "alone").await;
        relayed.trial.flows().await;
        relayed.nats.signal(Signal::CONT);
        relayed.trial.flows().await;
    }
    relayed.trial.complete().await;
}

#[tokio::test]
async fn a_leader_that_is_cut_off_from_nats_is_replaced() {
    let nats = Nats::start().await;
    let way = Proxy::to(&nats.address()).await;
    let relayed = Relayed::over(nats, Some(&way), None).await;
    way.freeze(true);
    becomes(&relayed.trial.server, "leader").await;
    relayed.trial.flows().await;
    way.freeze(false);
    becomes(&relayed.leader, "edge").await;
    relayed.trial.flows().await;
    relayed.trial.complete().await;
}

#[tokio::test]
async fn an_edge_that_is_cut_off_from_nats_reads_by_itself() {
    let nats = Nats::start().await;
    let way = Proxy::to(&nats.address()).await;
    let relayed = Relayed::over(nats, None, Some(&way)).await;
    for _ in 0..2 {
        way.freeze(true);
        becomes(&relayed.trial.server, "alone").await;
        relayed.trial.flows().await;
        way.freeze(false);
        becomes(&relayed.trial.server, "edge").await;
        relayed.is_told().await;
        way.cut();
        relayed.trial.flows().await;
    }
    becomes(&relayed.trial.server, "edge").await;
    relayed.trial.complete().await;
}

/// NATS ends the connection of a client for which too much waits.
#[tokio::test]
async fn an_edge_that_nats_cuts_for_its_slowness_misses_nothing() {
    let nats = Nats::with("max_pending: 1000000\nmax_payload: 50000\n").await;
    let relayed = Relayed::over(nats, None, None).await;
    relayed.trial.server.freeze().await;
    let many = "insert into messages (contact_id, body) select 'a', repeat('x', 1000) from generate_series(1, 30)";
    for _ in 0..300 {
        relayed.trial.database.run(many).await;
    }
    relayed.trial.server.signal(Signal::CONT);
    relayed.trial.flows().await;
    becomes(&relayed.trial.server, "edge").await;
    relayed.is_told().await;
    relayed.trial.complete().await;
}

#[tokio::test]
async fn a_leader_that_is_killed_is_replaced() {
    let relayed = Relayed::start().await;
    relayed.leader.crash().await;
    relayed.trial.flows().await;
    becomes(&relayed.trial.server, "leader").await;
    let next = relayed.trial.another().await;
    becomes(&next, "edge").await;
    relayed.trial.network.lead(next.address());
    relayed.trial.cut().await;
    relayed.trial.back().await;
    relayed.trial.flows().await;
    relayed.trial.complete().await;
}

/// The first one hangs, loses its lock, and goes on to lead when it is back.
#[tokio::test]
async fn two_leaders_at_once_double_nothing() {
    let relayed = Relayed::start().await;
    let edge = relayed.trial.another().await;
    becomes(&edge, "edge").await;
    for _ in 0..3 {
        relayed.leader.freeze().await;
        relayed.trial.terminate_backends().await;
        relayed.trial.flows().await;
        relayed.leader.signal(Signal::CONT);
        relayed.trial.flows().await;
    }
    relayed.trial.complete().await;
}

#[tokio::test]
async fn the_connections_of_all_to_postgres_may_end_at_any_moment() {
    let relayed = Relayed::start().await;
    for _ in 0..4 {
        relayed.trial.terminate_backends().await;
        relayed.trial.flows().await;
    }
    // Whoever is back first leads, and may not know of its last loss yet.
    takes_part(&relayed.trial.server).await;
    relayed.trial.flows().await;
    relayed.trial.complete().await;
}
