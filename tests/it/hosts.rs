//! DNS rebinding: a stranger's page that had its own name point here reads nothing, and everybody else comes in.

use crate::harness::{Caller, Polling, Scene, Wire};

const OPEN: &str = "/socket.io/?EIO=4&transport=polling";
const EVIL: (&str, &str) = ("host", "evil.example:3001");

/// What browsers send with a page's own GET over plain HTTP to a name: no `Origin`, and no `Sec-Fetch-*`.
const BROWSER: [(&str, &str); 2] = [
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64)"),
    ("accept-language", "en-US,en;q=0.5"),
];

fn with<'a>(
    headers: &[(&'a str, &'a str)],
    more: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    [headers, more].concat()
}

#[tokio::test]
async fn a_page_that_had_its_name_point_here_reads_nothing() {
    let scene = Scene::with(&[("ROWCAST_DEMO", "on")]).await;
    scene.database.say("42", "a secret").await;
    let (public, admin) = (scene.server.address(), scene.server.admin());
    for (address, path) in [
        (public, "/"),
        (public, "/livez"),
        (public, "/readyz"),
        (public, "/api/conversations/42/messages"),
        (public, "/api/conversations/42/events"),
        (public, "/api/rooms/inbox:all/messages"),
        (public, "/demo/about"),
        (public, "/nothing"),
        (admin, "/metrics"),
        (admin, "/nothing"),
    ] {
        for signs in [
            &BROWSER[..],
            // What a page may change of these, it may not remove.
            &[("user-agent", "curl/8.0"), ("accept-language", "*")],
            &[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")],
            &[("origin", "http://evil.example:3001")],
        ] {
            let mut page = Caller::from("127.0.0.1", address).await;
            let answer = page.get(path, &with(signs, &[EVIL])).await;
            assert_eq!(answer.status, 403, "{path} {signs:?}: {answer:?}");
            let error = &answer.json()["error"];
            assert_eq!(error["code"], "host_not_allowed", "{path}: {answer:?}");
            let message = error["message"].as_str().expect("a message");
            assert!(message.contains("ROWCAST_ALLOWED_HOSTS"), "{message}");
            let cors = answer.header("access-control-allow-origin");
            assert_eq!(cors, None, "{path}: {answer:?}");
        }
    }
    let line = scene.server.log("the refusal in the log", |line| {
        line["message"]
            .as_str()
            .is_some_and(|text| text.contains("ROWCAST_ALLOWED_HOSTS"))
    });
    assert_eq!(line.await["host"], "evil.example:3001");

    // It writes nothing, either.
    let mut page = Caller::from("127.0.0.1", public).await;
    let headers = with(&BROWSER, &[EVIL, ("content-type", "application/json")]);
    let path = "/demo/conversations/42/messages";
    let answer = page
        .request("POST", path, &headers, r#"{"body":"x"}"#)
        .await;
    assert_eq!(answer.status, 403, "{answer:?}");
    // The same page by a name of ours is served.
    let mut page = Caller::from("127.0.0.1", public).await;
    for host in ["localhost:3001", public] {
        let answer = page.get("/livez", &with(&BROWSER, &[("host", host)])).await;
        assert_eq!(answer.status, 200, "{host}: {answer:?}");
    }
}

#[tokio::test]
async fn a_socket_by_a_strangers_name_is_told_why_on_both_transports() {
    let scene = Scene::new().await;
    let address = scene.server.address();

    let origin = ("origin", "http://evil.example:3001");
    let mut websocket = Wire::dial(address, &[EVIL, origin])
        .await
        .expect("a handshake");
    websocket.send("40").await;
    let is_answer = |frame: &str| frame.starts_with("40") || frame.starts_with("44");
    let refused = websocket.find("CONNECT or an error", is_answer).await;
    assert!(refused.starts_with("44"), "{refused}");
    assert!(refused.contains("host_not_allowed"), "{refused}");

    let mut page = Caller::from("127.0.0.1", address).await;
    let headers = with(&BROWSER, &[EVIL]);
    let open = page.get(OPEN, &headers).await;
    assert_eq!(open.status, 200, "{open:?}");
    let open: serde_json::Value =
        serde_json::from_str(open.body.trim_start_matches('0')).expect("an open packet");
    let path = format!("{OPEN}&sid={}", open["sid"].as_str().expect("a session id"));
    let posted = page.request("POST", &path, &headers, "40").await;
    assert_eq!(posted.status, 200, "{posted:?}");
    let mut refused = page.get(&path, &headers).await;
    // The first ping may come before it.
    if refused.body == "2" {
        refused = page.get(&path, &headers).await;
    }
    let mut packets = refused.body.split('\u{1e}');
    let error = packets.find(|packet| packet.starts_with("44"));
    assert!(
        error.is_some_and(|error| error.contains("host_not_allowed")),
        "{refused:?}"
    );
    // It goes no further.
    page.request("POST", &path, &headers, r#"42["join:conversation","42"]"#)
        .await;
    scene.database.say("42", "a secret").await;
    let sockets = scene.server.metric("rowcast_sockets", &[]).await;
    assert_eq!(sockets, 0.0);
}

#[tokio::test]
async fn a_session_of_somebody_else_is_not_to_be_had_by_a_strangers_name() {
    let scene = Scene::new().await;
    let polling = Polling::ready(scene.server.address()).await;
    let mut page = Caller::from("127.0.0.1", scene.server.address()).await;
    let answer = page.get(polling.path(), &with(&BROWSER, &[EVIL])).await;
    assert_eq!(answer.status, 403, "{answer:?}");
    assert_eq!(answer.json()["error"]["code"], "host_not_allowed");
}

#[tokio::test]
async fn the_names_that_were_given_are_the_servers() {
    let scene = Scene::with(&[
        (
            "FRONTEND_URL",
            "https://app.example.com,https://*.preview.example",
        ),
        (
            "ROWCAST_ALLOWED_HOSTS",
            "chat.example.com, *.internal.example",
        ),
    ])
    .await;
    for address in [scene.server.address(), scene.server.admin()] {
        let path = if address == scene.server.admin() {
            "/metrics"
        } else {
            "/livez"
        };
        let mut page = Caller::from("127.0.0.1", address).await;
        for (host, expected) in [
            ("app.example.com", 200),
            ("APP.example.com:8443", 200),
            ("a.preview.example", 200),
            ("chat.example.com", 200),
            ("a.internal.example", 200),
            ("localhost", 200),
            ("203.0.113.7", 200),
            ("[2001:db8::7]:3001", 200),
            ("internal.example", 403),
            ("chat.example.com.evil.example", 403),
            ("127.0.0.1.evil.example", 403),
        ] {
            let answer = page.get(path, &with(&BROWSER, &[("host", host)])).await;
            assert_eq!(answer.status, expected, "{host}: {answer:?}");
        }
    }
}

/// A health check, a back end or Prometheus in the same network: they choose the name that they connect to.
#[tokio::test]
async fn whoever_is_no_browser_may_call_by_any_name() {
    let scene = Scene::new().await;
    for signs in [
        &[][..],
        &[("user-agent", "kube-probe/1.31"), ("accept", "*/*")],
        &[
            ("user-agent", "Prometheus/3.1.0"),
            ("accept-encoding", "gzip"),
        ],
        // Node's fetch.
        &[
            ("user-agent", "node"),
            ("accept-language", "*"),
            ("sec-fetch-mode", "cors"),
        ],
    ] {
        for (address, path) in [
            (scene.server.address(), "/livez"),
            (scene.server.admin(), "/metrics"),
        ] {
            let mut caller = Caller::from("127.0.0.1", address).await;
            let answer = caller
                .get(path, &with(signs, &[("host", "rowcast:3001")]))
                .await;
            assert_eq!(answer.status, 200, "{signs:?}: {answer:?}");
        }
    }
    let named = [("host", "rowcast:3001")];
    let mut wire = Wire::dial(scene.server.address(), &named)
        .await
        .expect("a handshake");
    wire.send("40").await;
    wire.find("rowcast:ready", |frame| frame.contains("rowcast:ready"))
        .await;
}
