//! What the endpoints answer, held against what there is.

use serde_json::{Value, json};

use super::{Stage, ask, post, refused};
use crate::harness::token;
use crate::harness::wait::until;
use crate::harness::{Database, Launch, Proxy, Server, Wire};

#[tokio::test]
async fn the_overview_has_the_figures_of_the_metrics() {
    let stage = Stage::new().await;
    let mut ana = stage.client("ana", &["1"]).await;
    let mut ben = stage.client("ben", &["1", "2"]).await;
    for body in ["one", "two", "three"] {
        stage.database.say("1", body).await;
        ana.event("message:new").await;
        ben.event("message:new").await;
    }
    let overview = stage
        .get_until("six deliveries", "overview", |seen| {
            seen["deliveries"] == 6 && seen["sockets"]["total"] == 2
        })
        .await;
    let sockets = json!({
        "total": 2, "looked": 2, "websocket": 2, "polling": 0, "behind": 0, "waitingBytes": 0, "rooms": 2,
    });
    assert_eq!(overview["sockets"], sockets);
    let checks = overview["checks"].as_array().expect("checks");
    assert!(
        checks.len() > 15 && checks.iter().all(|check| check["state"] == "ok"),
        "{checks:?}"
    );
    // The page has a name and a remedy for each, in both languages.
    for texts in [
        include_str!("../../../inspector/src/texts/en.ts"),
        include_str!("../../../inspector/src/texts/es.ts"),
    ] {
        let names = checks.iter().filter_map(|check| check["check"].as_str());
        let unknown: Vec<_> = names
            .filter(|name| !texts.contains(&format!("\n    {name}: {{")))
            .collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
    assert_eq!(overview["servers"].as_array().map(Vec::len), Some(1));
    for (name, shown) in [
        ("rowcast_deliveries_total", &overview["deliveries"]),
        ("rowcast_events_read_total", &overview["eventsRead"]),
        ("rowcast_sockets", &overview["sockets"]["total"]),
    ] {
        assert_eq!(
            shown.as_f64(),
            Some(stage.server.metric(name, &[]).await),
            "{name}"
        );
    }
    let latency = &overview["commitToBroadcast"];
    let counts = latency["counts"].as_array().expect("counts");
    assert_eq!(latency["count"], 3, "{latency}");
    assert_eq!(
        counts.len(),
        latency["boundsMs"].as_array().map_or(0, Vec::len)
    );
    assert_eq!(counts.last(), Some(&json!(3)), "within minutes: {latency}");
}

#[tokio::test]
async fn a_check_that_fails_says_why() {
    let stage = Stage::new().await;
    let drop = "drop trigger wake on rowcast.events";
    stage.database.run(drop).await;
    let is_degraded = |check: &Value| check["check"] == "wake" && check["state"] == "degraded";
    let overview = stage
        .get_until("the check wake to say so", "overview", |seen| {
            let checks = seen["checks"].as_array().expect("checks");
            checks.iter().any(is_degraded)
        })
        .await;
    let checks = overview["checks"].as_array().expect("checks");
    let wake = checks.iter().find(|check| is_degraded(check));
    let cause = wake.expect("it is there")["causes"][0].as_str();
    assert!(
        cause.is_some_and(|cause| cause.contains("trigger wake")),
        "{wake:?}"
    );
}

#[tokio::test]
async fn a_source_has_its_rooms_rules_pace_and_what_mends_it() {
    let stage = Stage::new().await;
    for body in ["one", "two", "three"] {
        stage.database.say("1", body).await;
    }
    let sources = stage.get("sources").await;
    let source = &sources["sources"][0];
    assert_eq!(source["source"], "public.messages", "{sources}");
    assert_eq!(source["rooms"], json!(["conversation:{contact_id}"]));
    assert!(
        source["events"].to_string().contains("message:status"),
        "{source}"
    );
    assert_eq!(source["problems"], json!([]));
    assert_eq!(source["eventsPerSecond"], 0.05, "three in a minute");

    stage
        .database
        .run("alter table messages rename to letters")
        .await;
    let broken = stage
        .get_until("the problem", "sources", |seen| {
            seen["sources"][0]["problems"] != json!([])
        })
        .await;
    let problem = &broken["sources"][0]["problems"][0];
    let listed = "select problems[1] from rowcast.sources";
    assert_eq!(problem["said"], stage.database.value(listed).await.as_str());
    let paste = problem["paste"].as_str().expect("what to paste");
    assert!(paste.contains("rowcast.attach('public.letters'"), "{paste}");

    // The command says the same.
    let command = Launch::command(["sources", "--json"]).database(&stage.database.url);
    let listed: Value = serde_json::from_str(&command.end().await.stdout).expect("JSON");
    assert_eq!(listed[0]["problems"][0], problem["said"], "{listed}");
    assert_eq!(listed[0]["events_per_second"], 0.05);
}

#[tokio::test]
async fn rooms_have_members_and_last_events() {
    let stage = Stage::new().await;
    let mut ana = stage.client("ana", &["1", "2"]).await;
    let _ben = stage.client("ben", &["1"]).await;
    stage.database.say("1", "hello").await;
    ana.event("message:new").await;
    stage
        .database
        .run("select rowcast.emit('inbox:7', 'note', '{\"a\":1}')")
        .await;

    let rooms = stage
        .get_until("both rooms", "rooms", |seen| seen["found"] == 2)
        .await;
    let listed = json!([
        { "room": "conversation:1", "members": 2 },
        { "room": "conversation:2", "members": 1 },
    ]);
    assert_eq!(rooms["rooms"], listed);
    assert_eq!(rooms["isSample"], false);
    let found = stage.get("rooms?search=SATION%3A2").await;
    assert_eq!(found["found"], 1, "{found}");

    let room = stage.get("room?room=conversation:1").await;
    assert_eq!(room["found"], 2);
    let subjects: Vec<_> = room["members"]
        .as_array()
        .expect("members")
        .iter()
        .map(|member| member["identity"]["subject"].clone())
        .collect();
    assert_eq!(subjects, ["ana", "ben"]);
    let event = &room["events"][0];
    assert_eq!(
        (&event["event"], &event["source"]),
        (&json!("message:new"), &json!("public.messages"))
    );
    assert!(
        event["data"].is_null() && event["id"].is_string(),
        "{event}"
    );
    let payload = stage
        .get(&format!("events/{}", event["id"].as_str().expect("an id")))
        .await;
    let data = payload["data"].as_str().expect("a payload as text");
    let data: Value = serde_json::from_str(data).expect("JSON");
    assert_eq!(data["message"]["body"], "hello");

    // Nobody is in this one.
    let inbox = stage.get("room?room=inbox:7").await;
    assert_eq!(
        (&inbox["found"], &inbox["events"][0]["event"]),
        (&json!(0), &json!("note"))
    );
    for (path, status) in [
        ("room?room=rowcast:revocations", 400),
        ("room", 400),
        ("rooms?serach=x", 400),
        ("events/0", 404),
        ("events/x", 404),
        ("sockets/99", 404),
    ] {
        refused(&ask(&stage.server, path).await, status);
    }
}

#[tokio::test]
async fn a_socket_is_shown_without_its_secrets() {
    let stage = Stage::new().await;
    let _ana = stage.client("ana", &["1", "2"]).await;
    let token = token::token(
        "cleo",
        &json!({ "conversations": "*", "claim": "of nobody" }),
    );
    let address = stage.server.address();
    let (connected, mut cleo) = Wire::connect_with(address, &json!({ "token": token })).await;
    cleo.ask("join:conversation", &json!(["1"]), 7).await;
    let socket = stage.socket_of("ana").await;
    assert_eq!(
        socket["identity"],
        json!({ "issuer": "desk", "subject": "ana" })
    );
    assert_eq!(socket["address"], "127.0.0.1");
    assert_eq!(
        (&socket["transport"], &socket["state"]),
        (&json!("websocket"), &json!("live"))
    );
    assert_eq!(socket["rooms"], 2);
    let number = &socket["socket"];
    let one = stage.get(&format!("sockets/{number}")).await;
    assert_eq!(
        one["roomNames"],
        json!(["conversation:1", "conversation:2"])
    );

    // Everything that is answered, searched for what is nobody's but the client's.
    let mut told = String::new();
    for path in [
        "overview",
        "sockets",
        "sockets?search=cleo&only=all",
        "rooms",
        "room?room=conversation:1",
        "events",
        "sources",
    ] {
        told += &stage.get(path).await.to_string();
    }
    assert!(told.contains("cleo"), "{told}");
    for secret in [&connected["sid"], &connected["pid"], &json!(token)] {
        let secret = secret.as_str().expect("a secret");
        assert!(!told.contains(secret), "{secret} in {told}");
    }
    assert!(!told.contains("of nobody"), "a claim");
}

#[tokio::test]
async fn the_tail_shows_what_is_broadcast_and_filters_it() {
    let stage = Stage::new().await;
    let first = stage.get("events").await;
    let number = first["number"].as_u64().expect("a number");
    stage
        .database
        .say("1", "for nobody, and shown all the same")
        .await;
    stage
        .database
        .run("select rowcast.emit('inbox:7', 'note', '{}')")
        .await;
    let path = format!("events?after={number}");
    let tail = stage
        .get_until("two events", &path, |seen| {
            seen["events"]
                .as_array()
                .is_some_and(|events| events.len() == 2)
        })
        .await;
    assert_eq!(tail["hasGap"], false);
    let names = |tail: &Value| {
        let events = tail["events"].as_array().expect("events").clone();
        let names = events
            .iter()
            .map(|event| event["event"].as_str().unwrap_or_default().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(&tail), ["note", "message:new"], "the newest first");
    assert!(
        tail["events"]
            .as_array()
            .expect("events")
            .iter()
            .all(|event| event["data"].is_null())
    );
    for (filter, wanted) in [
        ("room=INBOX", vec!["note"]),
        ("name=message", vec!["message:new"]),
        ("name=message&room=inbox", vec![]),
    ] {
        assert_eq!(
            names(&stage.get(&format!("{path}&{filter}")).await),
            wanted,
            "{filter}"
        );
    }
    let later = format!("events?after={}", tail["number"]);
    assert_eq!(names(&stage.get(&later).await), Vec::<String>::new());
}

#[tokio::test]
async fn the_doctor_finds_what_the_command_finds() {
    let stage = Stage::new().await;
    stage
        .database
        .run("alter table messages disable trigger user")
        .await;
    let report = post(&stage.server, "doctor", &json!({})).await.json();
    let command = Launch::command(["doctor", "--json"]).database(&stage.database.url);
    let printed: Value = serde_json::from_str(&command.end().await.stdout).expect("JSON");
    let failures = |report: &Value| {
        let findings = report["findings"].as_array().expect("findings").iter();
        let failures = findings.filter(|finding| finding["level"] == "failure");
        failures
            .map(|finding| finding.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(report["status"], "failure");
    assert!(!failures(&report).is_empty());
    assert_eq!(failures(&report), failures(&printed));
}

/// What waits for a client is counted, and once it is too much a replay serves it.
#[tokio::test]
async fn who_reads_too_slowly_is_shown_so() {
    let database = Database::chat().await;
    let server = Server::on(&database).await;
    let network = Proxy::to(server.address()).await;
    let mut slow = Wire::connect(network.address()).await;
    let joined = slow.ask("join:conversation", &json!(["42"]), 7).await;
    assert_eq!(joined["ok"], true, "{joined}");
    network.stall(true);
    let body = "x".repeat(500_000);
    until("it to be behind", async || {
        database.say("42", &body).await;
        let behind = ask(&server, "sockets?only=behind&sort=backlog")
            .await
            .json();
        (behind["found"] == 1).then_some(())
    })
    .await;
    let waiting = ask(&server, "sockets?only=waiting").await.json();
    let bytes = waiting["sockets"][0]["waitingBytes"].as_u64();
    assert!(bytes.is_some_and(|bytes| bytes > 100_000), "{waiting}");
}
