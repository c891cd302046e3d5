//! The relay: one server reads for the others. Whatever breaks of it, each client has each event once.
//!
//! The clients are at an edge. What each of them got is compared with the tables, row by row, as where there is no relay.

mod faults;
mod rights;

use std::time::Duration;

use crate::harness::line::Kind;
use crate::harness::nats::Nats;
use crate::harness::wait::until_for;
use crate::harness::{Database, Launch, Proxy, Server, Trial};

/// A relay that leads its servers at once, and a trial on an edge of it. Fields end in this order.
struct Relayed {
    trial: Trial,
    leader: Server,
    nats: Nats,
}

impl Relayed {
    async fn start() -> Self {
        Self::over(Nats::start().await, None, None).await
    }

    /// With these ways to NATS, of the leader and of the edge.
    async fn over(nats: Nats, leaders: Option<&Proxy>, edges: Option<&Proxy>) -> Self {
        let database = Database::chat().await;
        let url = |way: Option<&Proxy>| match way {
            Some(way) => format!("nats://{}", way.address()),
            None => nats.url(),
        };
        let leader = Server::with(&database, &[("ROWCAST_RELAY", &url(leaders))]).await;
        becomes(&leader, "leader").await;
        let trial = Trial::on(database, &[("ROWCAST_RELAY", &url(edges))], &Kind::ALL).await;
        becomes(&trial.server, "edge").await;
        let relayed = Self {
            trial,
            leader,
            nats,
        };
        relayed.is_told().await;
        relayed
    }

    /// The edge delivers what it is told.
    async fn is_told(&self) {
        let applied = &["applied"];
        let messages = "rowcast_relay_messages_total";
        let before = self.trial.server.metric(messages, applied).await;
        self.trial.flows().await;
        let server = &self.trial.server;
        // One that was cut off connects anew first.
        until_for(Duration::from_secs(30), "an edge to be told", async || {
            let told = server.metric(messages, applied).await;
            (told >= before + 10.0).then_some(())
        })
        .await;
    }
}

/// Waits until a server is that.
async fn becomes(server: &Server, role: &str) {
    let what = format!("a server to be {role}");
    until_for(Duration::from_secs(30), what, async || {
        is(server, role).await.then_some(())
    })
    .await;
}

/// Waits until a server leads or is led.
async fn takes_part(server: &Server) {
    let what = "a server to be on the relay";
    until_for(Duration::from_secs(30), what, async || {
        let takes_part = is(server, "edge").await || is(server, "leader").await;
        takes_part.then_some(())
    })
    .await;
}

async fn is(server: &Server, role: &str) -> bool {
    let label = format!("role=\"{role}\"");
    server.metric("rowcast_relay_role", &[&label]).await > 0.5
}

/// Waits until a server that is ready says that the relay is not well, and returns how.
async fn trouble(server: &Server) -> String {
    until_for(
        Duration::from_secs(20),
        "readiness to tell of the relay",
        async || {
            let answer = server.get("/readyz").await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            let body: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
            body["degraded"]["relay"].as_str().map(str::to_owned)
        },
    )
    .await
}

#[tokio::test]
async fn an_edge_delivers_what_it_is_told_and_reads_nothing() {
    let relayed = Relayed::start().await;
    let holders = "select count(*) from pg_locks where locktype = 'advisory' and classid = 1919903602 \
                   and objid = 1 and database = (select oid from pg_database where datname = current_database())";
    relayed.is_told().await;
    let gaps = relayed
        .trial
        .server
        .metric("rowcast_relay_messages_total", &["gap"])
        .await;
    assert!(gaps <= 2.0, "{gaps} gaps");
    let held: i64 = relayed
        .trial
        .database
        .value(holders)
        .await
        .parse()
        .expect("a number");
    assert!(held <= 1, "the leader alone makes writers notify");
    relayed.trial.complete().await;
}

#[tokio::test]
async fn a_stop_of_the_leader_is_told_and_another_leads_at_once() {
    let relayed = Relayed::start().await;
    relayed.leader.stop().await;
    becomes(&relayed.trial.server, "leader").await;
    let next = relayed.trial.another().await;
    becomes(&next, "edge").await;
    relayed.trial.flows().await;
    relayed.trial.complete().await;
}

#[tokio::test]
async fn a_commit_too_large_for_a_message_is_announced_and_delivered() {
    let nats = Nats::with("max_payload: 20000\n").await;
    let relayed = Relayed::over(nats, None, None).await;
    let many = "insert into messages (contact_id, body) select 'a', repeat('x', 300) from generate_series(1, 400)";
    relayed.trial.database.run(many).await;
    relayed
        .leader
        .counted("rowcast_relay_messages_total", &["announced"], 1.0)
        .await;
    relayed.trial.flows().await;
    let tally = relayed.trial.complete().await;
    assert!(tally.written > 400);
}

/// Whoever has the password of NATS can listen there, and say what was said again; who has not the database's secret can say nothing.
#[tokio::test]
async fn what_others_say_on_nats_is_not_heard() {
    use futures_util::StreamExt as _;
    let relayed = Relayed::start().await;
    let stranger = async_nats::connect(relayed.nats.url())
        .await
        .expect("NATS is up");
    let mut heard = stranger.subscribe(">").await.expect("all of it");
    relayed.trial.ledger.more(60).await;
    let mut kept = Vec::new();
    while kept.len() < 60 {
        kept.push(heard.next().await.expect("a message"));
    }
    for (number, message) in kept.iter().enumerate() {
        let mut forged = message.payload.to_vec();
        let place = number * 7_919 % forged.len();
        forged[place] ^= 1;
        for payload in [message.payload.clone(), forged.into()] {
            let subject = message.subject.clone();
            stranger
                .publish(subject, payload)
                .await
                .expect("it is connected");
        }
    }
    stranger.flush().await.expect("it is connected");
    let (server, messages) = (&relayed.trial.server, "rowcast_relay_messages_total");
    server.counted(messages, &["refused"], 60.0).await;
    relayed.is_told().await;
    relayed.trial.complete().await;
}

#[tokio::test]
async fn what_is_wrong_with_nats_is_said_and_its_password_is_not() {
    let nats = Nats::with("authorization { user: rowcast, password: right-one }\n").await;
    let database = Database::chat().await;
    let url = |password: &str| format!("nats://rowcast:{password}@{}", nats.address());
    let launch = |url: &str| {
        let launch = Launch::serve()
            .database(&database.url)
            .env("ROWCAST_RELAY", url);
        launch.env("ROWCAST_LOG", "debug")
    };
    let refused = launch(&url("wrong-secret")).start().await;
    let said = trouble(&refused).await;
    assert!(
        said.contains("NATS can't be reached") && said.contains("authoriz"),
        "{said}"
    );
    let taken = launch(&url("right-one")).start().await;
    becomes(&taken, "leader").await;
    for (server, secret) in [(&refused, "wrong-secret"), (&taken, "right-one")] {
        let told = server
            .lines()
            .into_iter()
            .find(|line| line.contains(secret));
        assert_eq!(told, None);
    }
    let lines = refused.lines();
    let told = lines
        .iter()
        .filter(|line| line.contains("NATS can't be reached"));
    assert_eq!(told.count(), 1, "once");
}

/// What the doctor says of a relay: the level, and the words.
async fn examined(database: &Database, url: &str) -> (String, String) {
    let doctor = Launch::command(["doctor", "--json"]).database(&database.url);
    let ended = doctor.env("ROWCAST_RELAY", url).end().await;
    assert!(!ended.stdout.contains("right-one"), "no password");
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let findings = report["findings"].as_array().expect("a list");
    let of_relay = |finding: &&serde_json::Value| finding["check"] == "relay";
    let finding = findings.iter().find(of_relay).expect("it looks at NATS");
    let level = finding["level"].as_str().expect("a text");
    (level.to_owned(), finding.to_string())
}

#[tokio::test]
async fn the_doctor_says_whether_servers_would_hear_each_other() {
    let settings = "authorization { users: [\
        { user: rowcast, password: right-one }, \
        { user: mute, password: right-one, permissions: { publish: \"rowcast.relay.>\", subscribe: \"elsewhere\" } } ] }\n";
    let mut nats = Nats::with(settings).await;
    let database = Database::chat().await;
    let url = |login: &str| format!("nats://{login}@{}", nats.address());
    let [right, wrong, mute] = ["rowcast:right-one", "rowcast:wrong", "mute:right-one"].map(url);
    let (level, said) = examined(&database, &right).await;
    assert!(level == "ok" && said.contains("brings back"), "{said}");
    for (url, words) in [
        (&wrong, ["can't be reached", "authorization"]),
        (&mute, ["does not come back", "permissions: {"]),
    ] {
        let (level, said) = examined(&database, url).await;
        let is_said = words.iter().all(|word| said.contains(word));
        assert!(level == "warning" && is_said, "{said}");
    }
    nats.crash();
    let (level, said) = examined(&database, &right).await;
    assert!(
        level == "warning" && said.contains("can't be reached"),
        "{said}"
    );
}
