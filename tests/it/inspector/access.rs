//! To whom the inspector may be shown.

use super::{MARK, Stage, TOKEN, ask, refused};
use crate::harness::http::{self, Response};
use crate::harness::{Database, Launch, Scratch, Server};

/// Everything that the inspector answers, as a path of the admin listener.
const ANSWERS: [&str; 9] = [
    "/api/session",
    "/api/overview",
    "/api/sources",
    "/api/rooms",
    "/api/room?room=a:1",
    "/api/sockets",
    "/api/sockets/1",
    "/api/events",
    "/api/events/1",
];
const POSTS: [&str; 4] = ["/api/doctor", "/api/emit", "/api/disconnect", "/api/revoke"];

async fn get(server: &Server, path: &str, token: Option<&str>) -> Response {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let headers: Vec<_> = bearer
        .iter()
        .map(|bearer| ("authorization", bearer.as_str()))
        .collect();
    http::get(server.admin(), path, &headers).await
}

#[tokio::test]
async fn with_a_token_everything_but_the_page_asks_for_it() {
    let database = Database::chat().await;
    let server = Server::with(&database, &[("ROWCAST_ADMIN_TOKEN", TOKEN)]).await;
    for path in ANSWERS.into_iter().chain(["/metrics"]) {
        for token in [
            None,
            Some("another one, which nobody has ever told"),
            Some(""),
        ] {
            let answer = get(&server, path, token).await;
            let message = refused(&answer, 401);
            assert!(message.contains("ROWCAST_ADMIN_TOKEN"), "{path}: {message}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{path}");
        }
        let answer = get(&server, path, Some(TOKEN)).await;
        assert!([200, 404].contains(&answer.status), "{path}: {answer:?}");
    }
    for path in POSTS {
        let answer = http::request(server.admin(), "POST", path, &[MARK], "{}").await;
        refused(&answer, 401);
    }
    // There is nothing in the page, and who is to sign in needs it.
    let page = get(&server, "/", None).await;
    assert!([200, 503].contains(&page.status), "{page:?}");
    let session = get(&server, "/api/session", Some(TOKEN)).await.json();
    let name = session["token"].as_str().expect("a name");
    assert!(
        name.starts_with("sha256:") && !name.contains(TOKEN),
        "{name}"
    );
    server
        .log("the refused token to be told", |line| {
            line["message"]
                .as_str()
                .is_some_and(|said| said.contains("refused a token"))
        })
        .await;
    let log = server.lines().join("\n");
    assert!(
        !log.contains(TOKEN) && !log.contains("another one"),
        "no token in the log"
    );
}

#[tokio::test]
async fn a_token_may_come_from_a_file() {
    let database = Database::chat().await;
    let folder = Scratch::folder();
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).expect("a file");
    let file = file.to_str().expect("a path");
    let server = Server::with(&database, &[("ROWCAST_ADMIN_TOKEN_FILE", file)]).await;
    refused(&ask(&server, "session").await, 401);
    assert_eq!(get(&server, "/api/session", Some(TOKEN)).await.status, 200);
    let short = Launch::serve()
        .database(&database.url)
        .env("ROWCAST_ADMIN_TOKEN", "short");
    short.refuse(&["ROWCAST_ADMIN_TOKEN", "32 bytes"]).await;
}

#[tokio::test]
async fn other_machines_are_told_the_remedy_and_prometheus_is_not_disturbed() {
    let database = Database::chat().await;
    let open = Server::with(&database, &[("ROWCAST_ADMIN", "0.0.0.0:0")]).await;
    let port = open.admin().rsplit_once(':').expect("a port").1;
    let address = format!("127.0.0.1:{port}");
    for path in ANSWERS.into_iter().chain(["/"]) {
        let answer = http::get(&address, path, &[]).await;
        assert_eq!(answer.status, 403, "{path}: {answer:?}");
        assert!(
            answer.body.contains("set ROWCAST_ADMIN_TOKEN"),
            "{path}: {answer:?}"
        );
    }
    let post = http::request(&address, "POST", "/api/doctor", &[MARK], "{}").await;
    assert_eq!(post.status, 403, "{post:?}");
    let metrics = http::get(&address, "/metrics", &[]).await;
    assert!(metrics.status == 200 && metrics.body.contains("rowcast_sockets"));

    let token = [
        ("ROWCAST_ADMIN", "0.0.0.0:0"),
        ("ROWCAST_ADMIN_TOKEN", TOKEN),
    ];
    let asking = Server::with(&database, &token).await;
    let port = asking.admin().rsplit_once(':').expect("a port").1;
    let bearer = format!("Bearer {TOKEN}");
    let headers = [("authorization", bearer.as_str())];
    let answer = http::get(&format!("127.0.0.1:{port}"), "/api/session", &headers).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// A proxy on this machine may bring anybody.
#[tokio::test]
async fn what_a_proxy_forwards_is_refused_without_a_token() {
    let stage = Stage::new().await;
    for header in ["x-forwarded-for", "forwarded", "via"] {
        let headers = [(header, "10.1.2.3")];
        let answer = http::get(stage.server.admin(), "/api/sockets", &headers).await;
        assert!(refused(&answer, 403).contains("ROWCAST_ADMIN_TOKEN"));
        let metrics = http::get(stage.server.admin(), "/metrics", &headers).await;
        assert_eq!(metrics.status, 200, "{header}");
    }
}

/// DNS rebinding: the page of a stranger that has its name point here.
#[tokio::test]
async fn a_browser_must_know_the_server_by_a_name_of_its_own() {
    let stage = Stage::new().await;
    let address = stage.server.admin();
    for path in ANSWERS.into_iter().chain(["/"]) {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: evil.example\r\nuser-agent: Mozilla/5.0\r\nconnection: close\r\n\r\n"
        );
        let mut tcp = crate::harness::bare::begin(address, &request).await;
        let mut answer = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut tcp, &mut answer)
            .await
            .expect("text");
        assert!(
            answer.starts_with("HTTP/1.1 403") && answer.contains("host_not_allowed"),
            "{path}: {answer}"
        );
    }
}

/// While the server starts, the page says what it waits for.
#[tokio::test]
async fn a_server_that_starts_says_what_it_waits_for() {
    let nobody = "postgres://rowcast@127.0.0.1:1/rowcast";
    let server = Launch::serve().database(nobody).spawn();
    let (_, admin) = server.listening().await;
    let told = crate::harness::wait::until("what it waits for", async || {
        let answer = http::get(&admin, "/api/session", &[]).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        let starting = answer.json()["starting"].clone();
        starting["cause"]
            .as_str()
            .filter(|cause| cause.contains("refused"))
            .map(str::to_owned)
    })
    .await;
    assert!(!told.contains("127.0.0.1:1"), "{told}");
    assert_eq!(http::get(&admin, "/metrics", &[]).await.status, 200);
}
