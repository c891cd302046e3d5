//! What the guide says about a server that runs: what to measure, and what to look at when something is amiss.

use std::time::Duration;

use serde_json::json;

use super::front::free_address;
use super::page::{block, quoted, rows};
use super::tools::{Running, ended, folder, program, write};
use crate::harness::http;
use crate::harness::wait::until_for;
use crate::harness::{Scene, Server};

#[tokio::test]
async fn prometheus_answers_what_the_guide_asks() {
    let scene = Scene::with(&[("ROWCAST_MAX_ROOMS", "1")]).await;
    live_through(&scene).await;

    let folder = folder();
    let config = block("Monitoring", "yaml").replace("127.0.0.1:3002", scene.server.admin());
    write(
        &folder,
        "prometheus.yml",
        &format!("global:\n  scrape_interval: 250ms\n{config}"),
    );
    let address = free_address();
    let mut prometheus = program("prometheus", folder.path());
    prometheus.args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]);
    prometheus.arg(format!("--web.listen-address={address}"));
    let prometheus = Running::start(prometheus);
    prometheus.says("Server is ready").await;

    let queries: Vec<_> = rows("Monitoring")
        .iter()
        .flat_map(|row| quoted(&row[1]))
        .collect();
    for query in queries {
        for series in series_of(&query) {
            let (name, labels) = series.split_once('{').unwrap_or((&series, ""));
            let name = name.strip_suffix("_bucket").unwrap_or(name);
            let label = labels.trim_end_matches('}');
            assert!(
                has(&scene.server, name, label).await,
                "{series} is in /metrics"
            );
        }
        let path = format!(
            "/api/v1/query?query={}",
            crate::harness::api::encoded(&query)
        );
        let found = until_for(
            Duration::from_secs(30),
            format!("an answer to {query}"),
            async || {
                let answer = http::get(&address, &path, &[]).await.json();
                assert_eq!(answer["status"], "success", "{query}: {answer}");
                let found = answer["data"]["result"]
                    .as_array()
                    .expect("a result")
                    .clone();
                (!found.is_empty()).then_some(found)
            },
        )
        .await;
        if let Some(labels) = query
            .strip_prefix("sum by (")
            .and_then(|rest| rest.split(')').next())
        {
            for label in labels.split(", ") {
                assert!(
                    found.iter().all(|each| each["metric"][label].is_string()),
                    "{query}: {found:?}"
                );
            }
        }
    }
}

/// Makes what happens to a server now and then happen to this one.
pub(super) async fn live_through(scene: &Scene) {
    let mut client = scene.joined("42").await;
    client.cut();
    assert!(client.connected().await, "resumed");
    let stale = json!([{"contactId": "42", "after": "nothing of ours"}]);
    let resync = scene
        .joined("42")
        .await
        .ask("join:conversation", stale)
        .await;
    assert_eq!(resync["resync"], true, "{resync}");
    let refused = client.ask("join:conversation", json!(["43"])).await;
    assert_eq!(refused["error"]["code"], "too_many_rooms", "{refused}");
    let strange = json!({"transports": ["websocket"], "extraHeaders": {"origin": "https://elsewhere.example"}});
    scene
        .stock
        .open(scene.server.address(), &strange, &[])
        .0
        .refused()
        .await;
    scene.database.say("42", "here").await;
    client.event("message:new").await;
    scene.server.read("42", "messages").await;
}

/// The series that a query names, with their labels.
pub(super) fn series_of(query: &str) -> Vec<String> {
    let found = series_of_any(query);
    assert!(!found.is_empty(), "{query} is about a metric of ours");
    found
}

/// The same of a query that may be about others' metrics alone.
pub(super) fn series_of_any(query: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in query.match_indices("rowcast_") {
        let rest = &query[at..];
        let name = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        let labels = match rest[name..].starts_with('{') {
            true => rest.find('}').expect("labels end") + 1,
            false => name,
        };
        found.push(rest[..labels].to_owned());
    }
    found
}

/// Does the page of metrics have a metric of that name with this label?
pub(super) async fn has(server: &Server, name: &str, label: &str) -> bool {
    let page = http::get(server.admin(), "/metrics", &[]).await.body;
    page.lines().any(|line| {
        let series = line.split([' ', '{']).next().unwrap_or_default();
        series.strip_suffix("_bucket").unwrap_or(series) == name && line.contains(label)
    })
}

#[tokio::test]
async fn what_to_look_at_shows_what_the_guide_says() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    scene.database.say("42", "here").await;
    client.event("message:new").await;
    for sql in [
        "select rowcast.typing('42')",
        "select rowcast.typing('42', false)",
    ] {
        scene.database.run(sql).await;
    }
    client.event("typing:stop").await;

    // Those of pages are looked at in the test of Next.js.
    let commands: Vec<_> = rows("Troubleshooting")
        .iter()
        .filter_map(|row| Some((quoted(&row[1]).into_iter().next()?, quoted(&row[2]).pop()?)))
        .filter(|(command, _)| !command.starts_with("grep"))
        .collect();
    assert_eq!(commands.len(), 7, "{commands:?}");
    for (command, shows) in &commands {
        let said = look(&scene, command).await;
        assert!(said.contains(shows), "{command}: {said}");
    }
    // And where something is amiss.
    let amiss = Scene::with(&[("FRONTEND_URL", "https://elsewhere.example")]).await;
    for (command, shows) in &commands {
        let said = look(&amiss, command).await;
        let ready = command.contains("readyz");
        assert_eq!(said.contains(shows), ready, "{command}: {said}");
    }
    let attached = "select source, problems from rowcast.sources";
    let advised = rows("Troubleshooting")
        .iter()
        .any(|row| row[3].contains(attached));
    assert!(advised, "what to do when there is no row");
    assert_eq!(scene.database.value(attached).await, "public.messages");
}

/// What a command prints, whether it ends well or not.
async fn look(scene: &Scene, command: &str) -> String {
    let command = command
        .replace("localhost:3001", scene.server.address())
        .replace("localhost:3002", scene.server.admin());
    let folder = folder();
    let mut bash = program("bash", folder.path());
    bash.args(["-c", &command])
        .env("DATABASE_URL", &scene.database.url);
    match ended(bash).await {
        Ok(said) | Err(said) => said,
    }
}
