//! TLS by the server itself: every transport and both listeners over it, certificates that are renewed, and handshakes that hang.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::Signal;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::tls::{Files, connect};
use crate::harness::wait::{until, within};
use crate::harness::{Authority, Database, Launch, Scene, Server, Stock, http};

const MONTHS: Duration = Duration::from_secs(90 * 24 * 60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The usual scene, where all is spoken over TLS.
pub(crate) async fn scene_over_tls(authority: &Authority) -> Scene {
    scene_with(authority, &authority.issue("served", MONTHS), &[]).await
}

async fn scene_with(authority: &Authority, files: &Files, more: &[(&str, &str)]) -> Scene {
    let variables = [&files.variables()[..], more].concat();
    let scene = Scene::with(&variables).await;
    authority.speak_to(&scene.server);
    scene
}

#[tokio::test]
async fn stock_clients_hear_join_and_resume_by_every_transport() {
    let authority = Authority::new();
    let scene = scene_over_tls(&authority).await;
    for (contact, transports) in [
        ("1", json!(["websocket"])),
        ("2", json!(["polling"])),
        ("3", json!(["polling", "websocket"])),
    ] {
        let options = json!({"transports": transports});
        let mut client = scene.stock.open(scene.server.address(), &options, &[]).0;
        client.connected().await;
        client.event("rowcast:ready").await;
        client.join(contact).await;
        // More than a record of TLS, and than the kernel takes at once.
        let long = "x".repeat(300_000);
        for body in ["short", &long, "after it"] {
            scene.database.say(contact, body).await;
            assert!(client.event("message:new").await.body() == body);
        }
        client.cut();
        client.disconnected().await;
        scene.database.say(contact, "missed").await;
        assert!(
            client.connected().await,
            "{transports}: it goes on where it was"
        );
        assert_eq!(client.event("message:new").await.body(), "missed");
    }
    let page = scene.server.get("/api/conversations/1/messages").await;
    assert_eq!(
        (
            page.status,
            page.json()["messages"][1]["body"].as_str().map(str::len)
        ),
        (200, Some(300_000))
    );
    assert_eq!(
        page.header("strict-transport-security"),
        None,
        "nobody asked for it"
    );
    let expires = scene
        .server
        .metric("rowcast_tls_certificate_not_after_timestamp_seconds", &[])
        .await;
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    let left = expires - now.as_secs_f64();
    assert!((MONTHS.as_secs_f64() - left).abs() < 600.0, "{left}");
    scene.server.stop().await;
}

#[tokio::test]
async fn both_versions_are_spoken_and_http_1_alone_inside() {
    let authority = Authority::new();
    let scene = scene_over_tls(&authority).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = authority.client(&[version], &["h2", "http/1.1"]);
        let stream = connect(scene.server.address(), client)
            .await
            .expect("it is spoken");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
    }
    let only_2 = authority.client(rustls::DEFAULT_VERSIONS, &["h2"]);
    assert!(connect(scene.server.address(), only_2).await.is_err());
    scene
        .server
        .counted("rowcast_tls_handshake_failures_total", &[], 1.0)
        .await;
}

#[tokio::test]
async fn who_speaks_plain_http_is_told_to_speak_tls() {
    let authority = Authority::new();
    let files = authority.issue("served", MONTHS);
    let scene = Scene::with(&files.variables()).await;
    for address in [scene.server.address(), scene.server.admin()] {
        let answer = http::get(address, "/readyz", &[]).await;
        assert_eq!(answer.status, 400);
        assert!(
            answer.body.contains("this port speaks TLS"),
            "{}",
            answer.body
        );
    }
}

#[tokio::test]
async fn browsers_are_told_to_call_by_https_alone_where_that_is_asked_for() {
    let authority = Authority::new();
    let files = authority.issue("served", MONTHS);
    let scene = scene_with(&authority, &files, &[("ROWCAST_TLS_HSTS", "365d")]).await;
    for path in ["/livez", "/nothing/here"] {
        let answer = scene.server.get(path).await;
        assert_eq!(
            answer.header("strict-transport-security"),
            Some("max-age=31536000"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_page_of_the_servers_own_came_by_https() {
    let authority = Authority::new();
    let scene = scene_over_tls(&authority).await;
    let address = scene.server.address();
    for (scheme, expected) in [("https", 200), ("wss", 200), ("http", 403), ("ws", 403)] {
        let origin = format!("{scheme}://{address}");
        let path = "/api/conversations/1/messages";
        let answer = http::get(address, path, &[("origin", &origin)]).await;
        assert_eq!(answer.status, expected, "{origin}: {}", answer.body);
    }
}

#[tokio::test]
async fn files_that_cant_be_used_stop_the_start_and_the_check() {
    let authority = Authority::new();
    let (one, other) = (
        authority.issue("one", MONTHS),
        authority.issue("other", MONTHS),
    );
    let nothing = Files {
        certificate: one.certificate.with_extension("nothing"),
        key: one.key.clone(),
    };
    let swapped = Files {
        certificate: one.key.clone(),
        key: one.certificate.clone(),
    };
    let mixed = Files {
        certificate: one.certificate.clone(),
        key: other.key.clone(),
    };
    let cases: [(&Files, &[&str]); 3] = [
        (
            &nothing,
            &["ROWCAST_TLS_CERT: ", "one.nothing", "No such file"],
        ),
        (
            &swapped,
            &["ROWCAST_TLS_CERT: ", "no PEM file with a certificate"],
        ),
        (
            &mixed,
            &[
                "ROWCAST_TLS_KEY: ",
                "other.key is not the key of ROWCAST_TLS_CERT",
            ],
        ),
    ];
    for (files, words) in cases {
        for command in ["serve", "check"] {
            let mut launch = Launch::command([command])
                .env("PORT", "0")
                .env("ROWCAST_ADMIN", "");
            launch = launch.database("postgres://127.0.0.1:1/nothing");
            for (name, value) in files.variables() {
                launch = launch.env(name, value);
            }
            launch.refuse(words).await;
        }
    }
    let alone = Launch::command(["check"]).env("ROWCAST_TLS_CERT", "/x.pem");
    alone.refuse(&["ROWCAST_TLS_KEY", "both, or neither"]).await;
    let hsts = Launch::command(["check"]).env("ROWCAST_TLS_HSTS", "1d");
    hsts.refuse(&["ROWCAST_TLS_HSTS", "without ROWCAST_TLS_CERT"])
        .await;
}

/// The certificate that the server serves now.
async fn served(authority: &Authority, server: &Server) -> CertificateDer<'static> {
    let client = authority.client(rustls::DEFAULT_VERSIONS, &[]);
    let stream = within("a handshake", connect(server.address(), client))
        .await
        .expect("TLS");
    stream.get_ref().1.peer_certificates().expect("one")[0]
        .clone()
        .into_owned()
}

fn certificate_of(files: &Files) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(&files.certificate).expect("PEM")
}

#[tokio::test]
async fn a_renewed_certificate_is_served_once_both_files_are_there() {
    let authority = Authority::new();
    let (files, renewed) = (
        authority.issue("served", MONTHS),
        authority.issue("renewed", 2 * MONTHS),
    );
    let scene = scene_with(&authority, &files, &[]).await;
    let (server, before) = (&scene.server, certificate_of(&files));
    let mut client = scene.joined("42").await;

    fs::copy(&renewed.certificate, &files.certificate).expect("copied");
    server
        .counted("rowcast_tls_reloads_total", &["failed"], 1.0)
        .await;
    assert_eq!(
        served(&authority, server).await,
        before,
        "half of it is none"
    );
    let unready = server.readiness(200).await.json();
    let cause = unready["degraded"]["certificate"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(cause.contains("served.key is not the key of"), "{unready}");

    fs::copy(&renewed.key, &files.key).expect("copied");
    server
        .counted("rowcast_tls_reloads_total", &["changed"], 1.0)
        .await;
    assert_eq!(served(&authority, server).await, certificate_of(&renewed));
    until("readiness to be whole", async || {
        (server.readiness(200).await.json()["status"] == "ready").then_some(())
    })
    .await;
    // Who was connected stays, and is sent what comes.
    scene.database.say("42", "after it").await;
    assert_eq!(client.event("message:new").await.body(), "after it");
    let said = server.lines();
    let told = said
        .iter()
        .filter(|line| line.contains("certificate of before is served on"));
    assert_eq!(told.count(), 1, "{said:#?}");
    assert_eq!(
        server
            .metric("rowcast_tls_reloads_total", &["failed"])
            .await,
        1.0
    );

    // A look that was asked for is answered, also where nothing has changed.
    let lines = || {
        server
            .lines()
            .iter()
            .filter(|line| line.contains("the listeners serve"))
            .count()
    };
    let told = lines();
    server.signal(Signal::HUP);
    until("an answer to SIGHUP", async || {
        (lines() > told).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_broken_file_never_takes_the_place_of_a_certificate_that_works() {
    let authority = Authority::new();
    let files = authority.issue("served", MONTHS);
    let scene = scene_with(&authority, &files, &[]).await;
    let (server, before) = (&scene.server, certificate_of(&files));
    fs::write(&files.certificate, "-----BEGIN CERTIFICATE-----\nMIIB").expect("written");
    server.signal(Signal::HUP);
    server
        .counted("rowcast_tls_reloads_total", &["failed"], 1.0)
        .await;
    fs::remove_file(&files.certificate).expect("removed");
    server
        .log("that it is gone", |line| {
            line["message"]
                .as_str()
                .is_some_and(|it| it.contains("ROWCAST_TLS_CERT"))
        })
        .await;
    assert_eq!(served(&authority, server).await, before);
    assert_eq!(
        server.metric("rowcast_ready", &["\"certificate\""]).await,
        0.0
    );
}

#[tokio::test]
async fn a_certificate_that_ends_soon_is_said_everywhere() {
    let authority = Authority::new();
    let soon = authority.issue("soon", 3 * DAY);
    let ended = authority.issue_until("ended", SystemTime::now() - DAY);
    for (files, words, code) in [(&soon, "expires on", 1), (&ended, "expired on", 2)] {
        let database = Database::chat().await;
        let server = Server::with(&database, &files.variables()).await;
        let (_, port) = server.address().rsplit_once(':').expect("a port");
        let launch = |command| {
            let mut launch = Launch::command([command])
                .database(&database.url)
                .env("PORT", port);
            for (name, value) in files.variables() {
                launch = launch.env(name, value);
            }
            launch
        };
        // It asks whether the server is ready, and takes any certificate.
        let health = launch("healthcheck").succeed().await.stdout;
        assert!(
            health.contains("degraded") && health.contains(words),
            "{health}"
        );
        let check = launch("check").succeed().await.stderr;
        assert!(check.contains(words), "{check}");
        let doctor = launch("doctor").arg("--json").end().await;
        let report: serde_json::Value = serde_json::from_str(&doctor.stdout).expect("JSON");
        let findings = report["findings"].as_array().expect("findings").iter();
        let finding = findings
            .clone()
            .find(|finding| finding["check"] == "certificate")
            .expect("one");
        assert!(
            finding["said"]
                .as_str()
                .is_some_and(|said| said.contains(words)),
            "{finding}"
        );
        assert!(doctor.code >= Some(code), "{doctor:?}");
        let is_warned = |line: &String| line.contains(words) && line.contains("WARN");
        assert!(server.lines().iter().any(is_warned));
    }
}

#[tokio::test]
async fn a_key_that_everybody_may_read_is_said() {
    let authority = Authority::new();
    let files = authority.issue("served", MONTHS);
    let check = async |mode| {
        fs::set_permissions(&files.key, fs::Permissions::from_mode(mode)).expect("changed");
        let mut launch = Launch::command(["check"]);
        for (name, value) in files.variables() {
            launch = launch.env(name, value);
        }
        launch.succeed().await.stderr
    };
    assert!(
        check(0o644)
            .await
            .contains("every user of this machine may use")
    );
    assert!(!check(0o640).await.contains("ROWCAST_TLS_KEY"));
}

#[tokio::test]
async fn healthcheck_asks_over_tls_where_the_server_speaks_it() {
    let authority = Authority::new();
    let files = authority.issue("served", MONTHS);
    let scene = Scene::with(&files.variables()).await;
    let (_, port) = scene.server.address().rsplit_once(':').expect("a port");
    let mut launch = Launch::command(["healthcheck"]).env("PORT", port);
    for (name, value) in files.variables() {
        launch = launch.env(name, value);
    }
    assert_eq!(launch.succeed().await.stdout.trim(), "ready");
    let plain = Launch::command(["healthcheck"]).env("PORT", port);
    plain.refuse(&["this port speaks TLS"]).await;
}

/// Whether the server ends the connection within this time.
async fn is_ended(stream: &mut TcpStream, patience: Duration) -> bool {
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(patience, stream.read_to_end(&mut rest)).await;
    ended.is_ok()
}

#[tokio::test]
async fn a_handshake_that_hangs_ends_as_a_slow_head_does_and_counts_as_a_connection() {
    let authority = Authority::new();
    let files = authority.issue("served", MONTHS);
    let limits = [
        ("ROWCAST_HANDSHAKE_TIMEOUT", "2s"),
        ("ROWCAST_MAX_CONNECTIONS", "2"),
    ];
    let scene = scene_with(&authority, &files, &limits).await;
    let began = Instant::now();
    let mut silent = TcpStream::connect(scene.server.address())
        .await
        .expect("accepted");
    let mut hanging = TcpStream::connect(scene.server.address())
        .await
        .expect("accepted");
    hanging
        .write_all(&[0x16, 3, 1, 2, 0, 1])
        .await
        .expect("written");
    // Nobody else comes in meanwhile, and is told so by the end of the connection.
    let mut third = TcpStream::connect(scene.server.address())
        .await
        .expect("accepted");
    assert!(is_ended(&mut third, Duration::from_secs(2)).await);
    scene
        .server
        .counted("rowcast_limits_total", &["\"connections\""], 1.0)
        .await;
    assert!(is_ended(&mut silent, Duration::from_secs(8)).await);
    assert!(is_ended(&mut hanging, Duration::from_secs(8)).await);
    assert!(began.elapsed() >= Duration::from_secs(1), "it had its time");
    scene
        .server
        .counted("rowcast_tls_handshake_failures_total", &[], 1.0)
        .await;
    // One that has shaken hands, and asks for nothing, is no better.
    let client = authority.client(rustls::DEFAULT_VERSIONS, &[]);
    let mut idle = connect(scene.server.address(), client).await.expect("TLS");
    let mut rest = Vec::new();
    let ended = within("the end of it", idle.read_to_end(&mut rest)).await;
    assert_eq!(ended.expect("it is told that this is the end"), 0);
}

#[tokio::test]
async fn a_drained_server_ends_well_over_tls() {
    let authority = Authority::new();
    let scene = scene_over_tls(&authority).await;
    let stock = Stock::start();
    let mut clients = Vec::new();
    for transports in [
        json!(["websocket"]),
        json!(["polling"]),
        json!(["polling", "websocket"]),
    ] {
        let options = json!({"transports": transports});
        let mut client = stock.open(scene.server.address(), &options, &[]).0;
        client.connected().await;
        client.join("42").await;
        clients.push(client);
    }
    until("the upgrade", async || {
        (scene.server.metric("rowcast_sockets", &["ebsocket"]).await == 2.0).then_some(())
    })
    .await;
    scene.server.signal(Signal::TERM);
    for client in &mut clients {
        let reason = client.disconnected().await;
        assert!(
            ["transport close", "transport error"].contains(&reason.as_str()),
            "{reason}"
        );
    }
    assert_eq!(scene.server.ended().await.code(), Some(0));
}
