//! Settings: a bad value is refused and named, no secret is repeated, and every default stands in the help.

use crate::harness::{Database, Launch, Scratch, Server};

#[tokio::test]
async fn a_bad_value_stops_the_start_with_one_line() {
    let cases: [(&str, &str, &[&str]); 16] = [
        ("PORT", "70000", &["PORT", "70000", "65535"]),
        ("PORT", "http", &["PORT", "http"]),
        ("HOST", "not a host", &["HOST", "not a host"]),
        (
            "FRONTEND_URL",
            "app.example.com",
            &["FRONTEND_URL", "app.example.com"],
        ),
        (
            "FRONTEND_URL",
            "https://app.example.com/path",
            &["FRONTEND_URL"],
        ),
        ("ROWCAST_ADMIN", "3002", &["ROWCAST_ADMIN", "3002"]),
        ("ROWCAST_POLL", "5", &["ROWCAST_POLL", "5", "1h"]),
        ("ROWCAST_RETENTION", "soon", &["ROWCAST_RETENTION", "soon"]),
        (
            "ROWCAST_MIGRATE",
            "never",
            &["ROWCAST_MIGRATE", "never", "auto or off"],
        ),
        ("ROWCAST_DRAIN", "-1s", &["ROWCAST_DRAIN", "-1s"]),
        (
            "ROWCAST_MAX_PAYLOAD",
            "17MB",
            &["ROWCAST_MAX_PAYLOAD", "17MB", "16"],
        ),
        ("ROWCAST_MAX_ROOMS", "0", &["ROWCAST_MAX_ROOMS", "0"]),
        (
            "ROWCAST_MAX_EVENT_RATE",
            "many",
            &["ROWCAST_MAX_EVENT_RATE", "many"],
        ),
        (
            "ROWCAST_MAX_MESSAGE_SIZE",
            "1",
            &["ROWCAST_MAX_MESSAGE_SIZE"],
        ),
        (
            "ROWCAST_LOG_FORMAT",
            "xml",
            &["ROWCAST_LOG_FORMAT", "xml", "json"],
        ),
        ("ROWCAST_AUTH", "basic", &["ROWCAST_AUTH", "basic", "none"]),
    ];
    for (variable, value, words) in cases {
        Launch::command(["serve"])
            .env(variable, value)
            .refuse(words)
            .await;
        let flag = format!("--{}={value}", variable.to_lowercase().replace('_', "-"));
        Launch::command(["serve"]).arg(&flag).refuse(words).await;
    }
}

#[tokio::test]
async fn a_secret_is_not_repeated_by_an_error() {
    for url in [
        "mysql://app:hunter2@localhost/app",
        "postgres://app:hunter2@local host/app",
    ] {
        let refused = Launch::command(["serve"])
            .database(url)
            .refuse(&["DATABASE_URL"])
            .await;
        assert!(!refused.stderr.contains("hunter2"), "{refused:?}");
    }
}

#[tokio::test]
async fn a_host_that_others_reach_needs_a_word_about_auth() {
    let database = Database::chat().await;
    let refused = Launch::serve()
        .database(&database.url)
        .env("HOST", "0.0.0.0");
    refused
        .refuse(&["HOST", "0.0.0.0", "ROWCAST_AUTH=none"])
        .await;
    let server = Server::with(&database, &[("HOST", "0.0.0.0"), ("ROWCAST_AUTH", "none")]).await;
    let (_, port) = server.address().rsplit_once(':').expect("a port");
    let answer = crate::harness::http::get(&format!("127.0.0.1:{port}"), "/livez", &[]).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn jwt_is_not_available_yet_and_says_so() {
    Launch::command(["serve"])
        .env("ROWCAST_AUTH", "jwt")
        .refuse(&["ROWCAST_AUTH", "jwt"])
        .await;
}

#[tokio::test]
async fn settings_stand_in_an_env_file_too() {
    let folder = Scratch::folder();
    std::fs::write(folder.path().join(".env"), "ROWCAST_POLL=often\n").expect("written");
    let launch = Launch::command(["serve"]).folder(folder.path());
    launch.refuse(&["ROWCAST_POLL", "often"]).await;
    // The environment wins over it.
    let launch = Launch::command(["serve"])
        .folder(folder.path())
        .env("ROWCAST_POLL", "never");
    launch.refuse(&["ROWCAST_POLL", "never"]).await;
}

#[tokio::test]
async fn help_names_every_setting_with_its_default() {
    let help = Launch::command(["--help"]).succeed().await.stdout;
    for (flag, default) in [
        ("--database-url", ""),
        ("--host", "127.0.0.1"),
        ("--port", "3001"),
        ("--frontend-url", "http://localhost:3000"),
        ("--rowcast-admin", "127.0.0.1:3002"),
        ("--rowcast-auth", ""),
        ("--rowcast-retention", "24h"),
        ("--rowcast-poll", "1s"),
        ("--rowcast-migrate", "auto"),
        ("--rowcast-data-dir", ""),
        ("--rowcast-pg-bindir", ""),
        ("--rowcast-log", "info"),
        ("--rowcast-log-format", "text"),
        ("--rowcast-max-payload", "1MB"),
        ("--rowcast-drain", "10s"),
        ("--rowcast-max-rooms", "250"),
        ("--rowcast-max-event-rate", "50"),
        ("--rowcast-max-message-size", "64KB"),
        ("--rowcast-handshake-timeout", "10s"),
    ] {
        let (_, after) = help
            .split_once(&format!("{flag} "))
            .unwrap_or_else(|| panic!("{flag} is not in:\n{help}"));
        let own = after.split("\n      --").next().unwrap_or_default();
        assert!(
            own.contains(default),
            "{flag} has the default {default}:\n{own}"
        );
    }
}
