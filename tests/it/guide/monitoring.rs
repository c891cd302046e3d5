//! What watches a server: its metrics' names, the alerts, and the board, each against a real Prometheus that has scraped a real run.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use super::front::free_address;
use super::operate::{has, live_through, series_of};
use super::page::repository;
use super::tools::{Running, ended, folder, program, write};
use crate::harness::wait::until_for;
use crate::harness::{Scene, Scratch, api, http};

fn shipped(file: &str) -> String {
    std::fs::read_to_string(repository(file)).expect(file)
}

/// A Prometheus that has loaded the alerts, and scrapes a server that has lived.
struct Watched {
    scene: Scene,
    address: String,
    _prometheus: Running,
    _folder: Scratch,
}

impl Watched {
    async fn start() -> Self {
        let scene = Scene::with(&[("ROWCAST_MAX_ROOMS", "1")]).await;
        live_through(&scene).await;
        let (folder, address) = (folder(), free_address());
        write(
            &folder,
            "alerts.yaml",
            &shipped("ops/prometheus/alerts.yaml"),
        );
        let config = format!(
            "global: {{ scrape_interval: 250ms, evaluation_interval: 1s }}\nrule_files: [alerts.yaml]\n\
             scrape_configs: [{{ job_name: rowcast, static_configs: [{{ targets: [\"{}\"] }}] }}]\n",
            scene.server.admin()
        );
        write(&folder, "prometheus.yml", &config);
        let mut prometheus = program("prometheus", folder.path());
        prometheus.args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]);
        prometheus.arg(format!("--web.listen-address={address}"));
        let prometheus = Running::start(prometheus);
        prometheus.says("Server is ready").await;
        Self {
            scene,
            address,
            _prometheus: prometheus,
            _folder: folder,
        }
    }

    /// Waits until the query is answered by something, and holds what it names against the page of metrics.
    async fn answers(&self, query: &str) {
        for series in series_of(query) {
            let name = series.split('{').next().unwrap_or_default();
            let name = name.strip_suffix("_bucket").unwrap_or(name);
            assert!(
                has(&self.scene.server, name, "").await,
                "{name} of {query} is in /metrics"
            );
        }
        let path = format!("/api/v1/query?query={}", api::encoded(query));
        until_for(
            Duration::from_secs(30),
            format!("an answer to {query}"),
            async || {
                let answer = http::get(&self.address, &path, &[]).await.json();
                assert_eq!(answer["status"], "success", "{query}: {answer}");
                let found = answer["data"]["result"].as_array().expect("a result").len();
                (found > 0).then_some(())
            },
        )
        .await;
    }
}

/// Every query in a board, its variables filled in.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if let Some(query) = members.get("expr").and_then(Value::as_str) {
                found.push(
                    query
                        .replace("$__rate_interval", "5m")
                        .replace("$job", ".*")
                        .replace("$instance", ".*"),
                );
            }
            members.values().for_each(|value| queries(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| queries(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn each_query_of_the_board_and_of_the_alerts_finds_what_it_asks_for() {
    let watched = Watched::start().await;
    let board: Value = serde_json::from_str(&shipped("ops/grafana/rowcast.json")).expect("JSON");
    let mut asked = Vec::new();
    queries(&board["panels"], &mut asked);
    assert!(asked.len() > 30, "{asked:?}");
    for query in &asked {
        watched.answers(query).await;
    }
    // Where a board is drawn is read by its variables.
    for name in ["job", "instance"] {
        watched
            .answers(&format!("count by ({name}) (rowcast_build_info)"))
            .await;
    }

    let rules = until_for(
        Duration::from_secs(30),
        "the alerts to be evaluated",
        async || {
            let rules = http::get(&watched.address, "/api/v1/rules", &[])
                .await
                .json();
            let rules = rules["data"]["groups"][0]["rules"]
                .as_array()
                .expect("rules")
                .clone();
            rules
                .iter()
                .all(|rule| rule["health"] == "ok")
                .then_some(rules)
        },
    )
    .await;
    for rule in &rules {
        let (name, query) = (
            rule["name"].as_str().expect("a name"),
            rule["query"].as_str().expect("a query"),
        );
        assert_eq!(
            rule["state"], "inactive",
            "{name} tells of a server that is well"
        );
        for word in ["summary", "runbook"] {
            assert!(
                rule["annotations"][word]
                    .as_str()
                    .is_some_and(|text| text.len() > 30),
                "{name} has a {word}"
            );
        }
        assert!(
            ["critical", "warning"]
                .contains(&rule["labels"]["severity"].as_str().unwrap_or_default())
        );
        // It finds nothing while all is well, and so it is asked for the series that it looks at. These come with what they count.
        let rare = ["rowcast_limits_total", "up"];
        for series in super::operate::series_of_any(query)
            .iter()
            .filter(|series| !rare.iter().any(|rare| series.starts_with(rare)))
        {
            watched.answers_series(series).await;
        }
    }
}

impl Watched {
    async fn answers_series(&self, series: &str) {
        self.answers(&format!("count({series})")).await;
    }
}

#[test]
fn no_two_panels_of_the_board_lie_on_each_other() {
    let board: Value = serde_json::from_str(&shipped("ops/grafana/rowcast.json")).expect("JSON");
    let panels = board["panels"].as_array().expect("panels");
    let mut taken = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().expect("a title");
        assert!(
            ids.insert(panel["id"].as_u64().expect("an id")),
            "{title}: its id is taken"
        );
        let of = |name: &str| panel["gridPos"][name].as_u64().expect("a place");
        assert!(of("x") + of("w") <= 24, "{title} is too wide");
        for x in of("x")..of("x") + of("w") {
            for y in of("y")..of("y") + of("h") {
                assert!(taken.insert((x, y)), "{title} lies on another");
            }
        }
    }
    let rows: Vec<_> = panels
        .iter()
        .filter(|panel| panel["type"] == "row")
        .map(|row| row["title"].as_str().expect("a title"))
        .collect();
    assert_eq!(
        rows,
        ["State", "Traffic", "Latency", "Errors", "Saturation"]
    );
}

#[tokio::test]
async fn alerts_fire_when_their_tests_say_and_each_has_one() {
    let folder = folder();
    let (alerts, tests) = (
        shipped("ops/prometheus/alerts.yaml"),
        shipped("ops/prometheus/alerts.test.yaml"),
    );
    write(&folder, "alerts.yaml", &alerts);
    write(&folder, "alerts.test.yaml", &tests);
    for arguments in [
        ["check", "rules", "alerts.yaml"],
        ["test", "rules", "alerts.test.yaml"],
    ] {
        let mut promtool = program("promtool", folder.path());
        promtool.args(arguments);
        let said = ended(promtool)
            .await
            .unwrap_or_else(|said| panic!("{said}"));
        assert!(said.contains("SUCCESS"), "{said}");
    }
    let names: Vec<_> = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(names.len() >= 15);
    for name in names {
        let fires = format!("{{ labels: 'ALERTS{{alertname=\"{name}\", alertstate=\"firing\"");
        let silent = format!(
            "- {{ expr: 'ALERTS{{alertname=\"{name}\", alertstate=\"firing\"}}', eval_time:"
        );
        assert!(tests.contains(&fires), "no test has {name} fire");
        assert!(tests.contains(&silent), "no test has {name} silent");
    }
}

#[tokio::test]
async fn metrics_are_named_by_the_rules_of_prometheus() {
    let scene = Scene::with(&[("ROWCAST_MAX_ROOMS", "1")]).await;
    live_through(&scene).await;
    // The figures of the database come with the probes.
    scene
        .server
        .counted("rowcast_database_bytes", &[], 1.0)
        .await;
    let page = http::get(scene.server.admin(), "/metrics", &[]).await.body;
    let mut kinds = Vec::new();
    // promtool reads the older format, in which a counter's description has its whole name.
    let mut older = String::new();
    for line in page.lines().filter(|line| *line != "# EOF") {
        let mut words = line.split(' ');
        let is_described = matches!(
            (words.next(), words.next()),
            (Some("#"), Some("HELP" | "TYPE"))
        );
        let name = words.next().unwrap_or_default();
        if !is_described {
            older += &format!("{line}\n");
            continue;
        }
        let is_counter = page.contains(&format!("# TYPE {name} counter\n"));
        let whole = if is_counter {
            format!("{name}_total")
        } else {
            name.to_owned()
        };
        older += &format!("{}\n", line.replacen(name, &whole, 1));
        if let Some(kind) = line.strip_prefix(&format!("# TYPE {name} ")) {
            kinds.push((whole, kind.to_owned()));
        }
    }
    let folder = folder();
    write(&folder, "metrics", &older);
    let mut promtool = program("sh", folder.path());
    promtool.args(["-c", "promtool check metrics < metrics 2>&1"]);
    let said = ended(promtool)
        .await
        .unwrap_or_else(|said| panic!("{said}"));
    assert_eq!(said.trim(), "", "promtool has nothing to say");

    assert!(kinds.len() > 50, "{kinds:?}");
    for (name, kind) in &kinds {
        assert!(name.starts_with("rowcast_"), "{name}");
        assert_eq!(
            name.ends_with("_total"),
            kind == "counter",
            "{name} is a {kind}"
        );
        for unit in [
            "_ms",
            "_millis",
            "_milliseconds",
            "_minutes",
            "_kb",
            "_kilobytes",
            "_percent",
        ] {
            assert!(
                !name.trim_end_matches("_total").ends_with(unit),
                "{name} is not in a base unit"
            );
        }
        if kind == "histogram" {
            assert!(name.ends_with("_seconds"), "{name} says no unit");
        }
    }
    // What each server must tell of itself.
    for (name, least) in [
        ("rowcast_build_info", 1.0),
        ("rowcast_process_cpu_seconds_total", 0.01),
        ("rowcast_process_resident_memory_bytes", 5e6),
        ("rowcast_process_open_fds", 10.0),
        ("rowcast_process_max_fds", 100.0),
        ("rowcast_process_start_time_seconds", 1.7e9),
        ("rowcast_database_connections_max", 20.0),
        ("rowcast_database_connections", 1.0),
        ("rowcast_session_bytes", 1.0),
        ("rowcast_outbox_bytes", 1.0),
    ] {
        let value = scene.server.metric(name, &[]).await;
        assert!(value >= least, "{name} is {value}");
    }
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        scene.server.metric("rowcast_build_info", &[&version]).await,
        1.0
    );
    for pool in ["main", "replay", "http", "demo", "policy"] {
        let most = scene
            .server
            .metric(
                "rowcast_database_connections_max",
                &[&format!("\"{pool}\"")],
            )
            .await;
        assert!(most >= 1.0, "{pool}");
    }
}
