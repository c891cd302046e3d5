//! Every setting: what is taken, what is refused and with which words, and who wins.

use std::collections::BTreeSet;

use clap::CommandFactory;
use tracing::level_filters::LevelFilter;

use super::settings::{DefaultValue, SETTINGS};
use super::*;

fn resolve(args: &[&str], variables: &[(&str, &str)], file: &str) -> Result<Config, ConfigError> {
    let args = ["rowcast"].iter().chain(args);
    let cli = Cli::try_parse_from(args).expect("a good command line");
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::resolve(&cli, &Environment::layered(variables, file)?)
}

fn with(name: &str, value: &str) -> Result<Config, ConfigError> {
    resolve(&[], &[(name, value)], "")
}

fn accepted(name: &str, value: &str) -> Config {
    with(name, value).unwrap_or_else(|error| panic!("{error}"))
}

/// The line told about `value`, which must be the same from a flag, a variable and `.env`.
fn refused(name: &str, value: &str) -> String {
    let flag = format!("--{}={value}", name.to_lowercase().replace('_', "-"));
    let lines = [
        resolve(&[&flag], &[], ""),
        with(name, value),
        resolve(&[], &[], &format!("{name}='{value}'\n")),
    ]
    .map(|result| result.expect_err(value).to_string());
    assert_eq!(lines[0], lines[1]);
    assert_eq!(lines[0], lines[2]);
    assert_eq!(lines[0].lines().count(), 1, "{}", lines[0]);
    lines[0].clone()
}

#[test]
fn nothing_said_gives_the_defaults() {
    let config = resolve(&[], &[], "").expect("the defaults");
    assert!(config.database.is_none());
    assert_eq!(config.listen.to_string(), "127.0.0.1:3001");
    assert!(config.origins.allows("http://localhost:3000"));
    assert!(!config.origins.allows("http://localhost:3001"));
    assert_eq!(config.admin, "127.0.0.1:3002".parse().ok());
    assert_eq!(config.allowed_hosts, AllowedHosts::default());
    let local = ["127.0.0.1", "::1"].map(|ip| ip.parse().expect("an address"));
    assert!(local.iter().all(|ip| config.trusted_proxies.trusts(*ip)));
    assert!(!config.trusted_proxies.trusts([10, 0, 0, 1].into()));
    assert!(config.refuse_forwarded, "nobody said ROWCAST_AUTH=none");
    assert!(config.demo, "there is no DATABASE_URL");
    assert_eq!(config.retention, Duration::from_secs(24 * 60 * 60));
    assert_eq!(config.poll, Duration::from_secs(1));
    assert_eq!(config.drain, Duration::from_secs(10));
    assert_eq!(config.max_payload_bytes, 1_000_000);
    let limits = Limits {
        max_connections: 20_000,
        max_connections_per_address: 5_000,
        max_handshake_rate: 500,
        max_socketio_rate: 1_000,
        max_rooms: 250,
        max_event_rate: 50,
        max_message_bytes: 64_000,
        max_http_rate: 200,
        max_long_polls: 1_000,
        max_read_rate: 10_000,
        max_sessions_bytes: 256_000_000,
        handshake_timeout: Duration::from_secs(10),
        keep_alive: Duration::from_secs(75),
        answer_timeout: Duration::from_secs(120),
    };
    assert_eq!(config.limits, limits);
    assert!(config.data_dir.is_absolute());
    assert_eq!(config.pg_bindir, None);
    assert_eq!(config.log.format, LogFormat::Text);
    assert_eq!(config.log.filter.default_level(), Some(LevelFilter::INFO));
    assert_eq!(config.warnings, [""; 0]);
}

#[test]
fn a_flag_wins_over_a_variable_over_the_file() {
    let file = "PORT=1\nROWCAST_POLL=1m\nROWCAST_MAX_ROOMS=7\n";
    let variables = [("PORT", "2"), ("ROWCAST_POLL", "2m")];
    let config = resolve(&["--port", "3"], &variables, file).expect("good values");
    assert_eq!(config.listen.port, 3);
    assert_eq!(config.poll, Duration::from_secs(120));
    assert_eq!(config.limits.max_rooms, 7);
}

#[test]
fn flags_stand_before_or_after_the_command() {
    for args in [&["--port", "9", "serve"], &["serve", "--port", "9"]] {
        assert_eq!(resolve(args, &[], "").expect("good").listen.port, 9);
    }
    let cli = Cli::try_parse_from(["rowcast", "migrate", "--chat", "--port", "9"]).expect("good");
    assert_eq!(
        cli.command,
        Some(Command::Migrate {
            chat: true,
            timeout: Duration::from_secs(60)
        })
    );
}

#[test]
fn an_empty_value_stands_for_the_default_and_hides_the_file() {
    let file = "DATABASE_URL=postgres://h/d\nPORT=5\n";
    let config = resolve(&["--port="], &[("DATABASE_URL", " ")], file).expect("defaults");
    assert!(config.database.is_none());
    assert_eq!(config.listen.port, 3001);
    for setting in SETTINGS {
        let config = with(setting.name, "").expect(setting.name);
        assert_eq!(config.admin.is_none(), setting.name == "ROWCAST_ADMIN");
    }
}

#[test]
fn every_bad_value_is_reported_on_a_line_of_its_own() {
    let variables = [("PORT", "x"), ("HOST", "a b"), ("ROWCAST_POLL", "5")];
    let error = resolve(&[], &variables, "").expect_err("refused");
    let text = error.to_string();
    let names: Vec<_> = text
        .lines()
        .filter_map(|line| line.split('=').next())
        .collect();
    assert_eq!(names, ["HOST", "PORT", "ROWCAST_POLL"]);
}

#[test]
fn every_setting_takes_what_it_says() {
    let url = "postgresql://me:secret@db:6432/chat?sslmode=require";
    let database = accepted("DATABASE_URL", url).database.expect("a database");
    assert_eq!(database.to_string(), "postgres://me@db:6432/chat");
    assert_eq!(accepted("HOST", "[::1]").listen.host, "::1");
    assert_eq!(accepted("PORT", "0").listen.port, 0);
    assert_eq!(accepted("FRONTEND_URL", "*").origins, Origins::Any);
    assert_eq!(
        accepted("ROWCAST_ADMIN", "[::1]:0").admin,
        "[::1]:0".parse().ok()
    );
    assert!(!accepted("ROWCAST_AUTH", "none").refuse_forwarded);
    let hosts = accepted("ROWCAST_ALLOWED_HOSTS", "chat.example").allowed_hosts;
    assert!(hosts.allows("chat.example"));
    let proxies = accepted("ROWCAST_TRUSTED_PROXIES", "10.0.0.0/8").trusted_proxies;
    assert!(proxies.trusts([10, 0, 0, 1].into()));
    let most = accepted("ROWCAST_MAX_CONNECTIONS", "7").limits;
    assert_eq!(most.max_connections, 7);
    let each = accepted("ROWCAST_MAX_CONNECTIONS_PER_ADDRESS", "6").limits;
    assert_eq!(each.max_connections_per_address, 6);
    let rate = accepted("ROWCAST_MAX_HANDSHAKE_RATE", "5").limits;
    assert_eq!(rate.max_handshake_rate, 5);
    let rate = accepted("ROWCAST_MAX_SOCKETIO_RATE", "4").limits;
    assert_eq!(rate.max_socketio_rate, 4);
    let polls = accepted("ROWCAST_MAX_LONG_POLLS", "3").limits;
    assert_eq!(polls.max_long_polls, 3);
    let rate = accepted("ROWCAST_MAX_READ_RATE", "2").limits;
    assert_eq!(rate.max_read_rate, 2);
    let share = accepted("ROWCAST_MAX_SESSIONS_SIZE", "64KB").limits;
    assert_eq!(share.max_sessions_bytes, 64_000);
    let kept = accepted("ROWCAST_KEEP_ALIVE", "10m").limits.keep_alive;
    assert_eq!(kept, Duration::from_secs(600));
    let taken = accepted("ROWCAST_ANSWER_TIMEOUT", "9s").limits;
    assert_eq!(taken.answer_timeout, Duration::from_secs(9));
    assert!(!accepted("ROWCAST_DEMO", "off").demo);
    assert!(accepted("ROWCAST_ADMIN_WRITE", "on").admin_rules.may_write);
    let token = "0123456789abcdef0123456789abcdef";
    let rules = accepted("ROWCAST_ADMIN_TOKEN", token).admin_rules;
    assert!(rules.token.is_some() && !format!("{rules:?}").contains(token));
    let day = Duration::from_secs(24 * 60 * 60);
    assert_eq!(accepted("ROWCAST_RETENTION", "7d").retention, 7 * day);
    let age = accepted("ROWCAST_MAX_TOKEN_AGE", "12h").max_token_age;
    assert_eq!(age, day / 2);
    let poll = accepted("ROWCAST_POLL", "250ms").poll;
    assert_eq!(poll, Duration::from_millis(250));
    assert!(accepted("ROWCAST_REUSEPORT", "on").reuse_port);
    assert_eq!(accepted("ROWCAST_MIGRATE", "off").migrate, Migrate::Off);
    assert_eq!(accepted("ROWCAST_DRAIN", "0s").drain, Duration::ZERO);
    let payload = accepted("ROWCAST_MAX_PAYLOAD", "8KiB").max_payload_bytes;
    assert_eq!(payload, 8_192);
    assert_eq!(accepted("ROWCAST_MAX_ROOMS", "3").limits.max_rooms, 3);
    let rate = accepted("ROWCAST_MAX_EVENT_RATE", "9")
        .limits
        .max_event_rate;
    assert_eq!(rate, 9);
    let size = accepted("ROWCAST_MAX_MESSAGE_SIZE", "1MB").limits;
    assert_eq!(size.max_message_bytes, 1_000_000);
    let rate = accepted("ROWCAST_MAX_HTTP_RATE", "8").limits.max_http_rate;
    assert_eq!(rate, 8);
    let timeout = accepted("ROWCAST_HANDSHAKE_TIMEOUT", "1m").limits;
    assert_eq!(timeout.handshake_timeout, Duration::from_secs(60));
    let limit = accepted("ROWCAST_POLICY_TIMEOUT", "300ms").policy.timeout;
    assert_eq!(limit, Duration::from_millis(300));
    let lease = accepted("ROWCAST_POLICY_LEASE", "1m").policy.lease;
    assert_eq!(lease, Duration::from_secs(60));
    let data_dir = accepted("ROWCAST_DATA_DIR", "relative/here").data_dir;
    assert!(data_dir.is_absolute() && data_dir.ends_with("relative/here"));
    let bindir = accepted("ROWCAST_PG_BINDIR", "/usr/lib/postgresql/15/bin").pg_bindir;
    assert_eq!(bindir, Some("/usr/lib/postgresql/15/bin".into()));
    let log = accepted("ROWCAST_LOG", "warn").log.filter;
    assert_eq!(log.default_level(), Some(LevelFilter::WARN));
    assert_eq!(
        accepted("ROWCAST_LOG_FORMAT", "json").log.format,
        LogFormat::Json
    );
}

#[test]
fn a_certificate_comes_with_its_key() {
    let both = [
        ("ROWCAST_TLS_CERT", "/a/cert.pem"),
        ("ROWCAST_TLS_KEY", "key.pem"),
        ("ROWCAST_TLS_HSTS", "1d"),
    ];
    let tls = resolve(&[], &both, "").expect("good").tls.expect("TLS");
    assert_eq!(tls.certificate, PathBuf::from("/a/cert.pem"));
    assert!(tls.key.is_absolute() && tls.key.ends_with("key.pem"));
    assert_eq!(tls.hsts, Some(Duration::from_secs(24 * 60 * 60)));
    assert_eq!(accepted("ROWCAST_TLS_HSTS", "off").tls, None);
    for (name, lacks) in [
        ("ROWCAST_TLS_CERT", "ROWCAST_TLS_KEY="),
        ("ROWCAST_TLS_KEY", "ROWCAST_TLS_CERT="),
        ("ROWCAST_TLS_HSTS", "ROWCAST_TLS_HSTS="),
    ] {
        let line = with(name, "1d").expect_err(name).to_string();
        assert!(
            line.starts_with(lacks) && line.lines().count() == 1,
            "{line}"
        );
    }
}

#[test]
fn a_private_key_in_place_of_its_file_is_not_shown() {
    let key = "-----BEGIN PRIVATE KEY----- MIGHAgEA";
    let line = with("ROWCAST_TLS_KEY", key)
        .expect_err("no file")
        .to_string();
    assert!(
        line.contains("PEM itself") && !line.contains("MIGH"),
        "{line}"
    );
}

#[test]
fn traces_are_off_until_they_have_a_place() {
    let others = [
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "api-key=hunter2, X-Tenant = a%20b",
        ),
        ("OTEL_TRACES_SAMPLER", "traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
    ];
    assert!(resolve(&[], &others, "").expect("good").traces.is_none());
    let place = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/otlp/")];
    let config = resolve(&[], &[&others[..], &place].concat(), "").expect("good");
    assert!(!format!("{config:?}").contains("hunter2"));
    let traces = config.traces.expect("traces");
    assert_eq!(
        traces.endpoint.as_str(),
        "http://collector:4318/otlp/v1/traces"
    );
    assert_eq!(traces.headers.0["api-key"], "hunter2");
    assert_eq!(traces.headers.0["x-tenant"], "a%20b");
    assert_eq!(
        (&*traces.service_name, traces.sample_ratio),
        ("rowcast", 0.25)
    );
    let line = refused("OTEL_EXPORTER_OTLP_HEADERS", "hunter2");
    assert!(!line.contains("hunter2"), "{line}");
    for (sampler, ratio) in [("always_off", 0.0), ("parentbased_always_on", 1.0)] {
        let sampler = [place[0], ("OTEL_TRACES_SAMPLER", sampler)];
        let traces = resolve(&[], &sampler, "").expect("good").traces;
        assert_eq!(traces.map(|it| it.sample_ratio), Some(ratio));
    }
}

#[test]
fn every_setting_refuses_in_one_line() {
    let mut covered = BTreeSet::from([
        "DATABASE_URL",
        "OTEL_EXPORTER_OTLP_HEADERS",
        "ROWCAST_ADMIN_TOKEN",
        "ROWCAST_JWT_SECRET",
        "ROWCAST_JWT_SECRET_PREVIOUS",
        "ROWCAST_RELAY",
    ]);
    for line in REFUSALS.trim().lines() {
        let (name, rest) = line.split_once("=\"").expect("a name");
        let (value, _) = rest.split_once("\" is not accepted").expect("a value");
        assert_eq!(refused(name, value), line);
        covered.insert(name);
    }
    assert_eq!(covered, SETTINGS.iter().map(|s| s.name).collect());
}

/// What is told about a bad value of each setting; secrets have tests of their own.
const REFUSALS: &str = r#"
HOST="localhost:80" is not accepted; give an IP address or a host name, such as 127.0.0.1, ::1, 0.0.0.0 or localhost; the port has a variable of its own, PORT
ROWCAST_REUSEPORT="yes" is not accepted; give on or off
ROWCAST_PRESENCE="yes" is not accepted; give on or off
PORT="70000" is not accepted; give a port from 0 to 65535 (0 picks a free one)
FRONTEND_URL="http://a,localhost:3000" is not accepted: "localhost:3000" has no scheme; give origins as scheme://host or scheme://host:port, comma separated, such as https://app.example.com,https://*.preview.example,http://localhost:3000, or * alone
ROWCAST_ALLOWED_HOSTS="https://a.example" is not accepted: "https://a.example" is no host; give host names without scheme and port, comma separated, such as chat.example.com,*.internal.example, or * for any
ROWCAST_TRUSTED_PROXIES="proxy.internal" is not accepted: "proxy.internal" is no network; give networks such as 10.0.0.0/8, addresses, loopback or private, comma separated, or none
ROWCAST_ADMIN="3002" is not accepted; give an IP address with a port, such as 127.0.0.1:3002 or [::1]:3002, or nothing to turn it off
ROWCAST_ADMIN_TOKEN_FILE="/nowhere/token" is not accepted: No such file or directory (os error 2); give a file with the value of the setting, and nothing else
ROWCAST_ADMIN_WRITE="yes" is not accepted; give on or off
DATABASE_URL_FILE="/nowhere/url" is not accepted: No such file or directory (os error 2); give a file with the value of the setting, and nothing else
ROWCAST_AUTH="off" is not accepted; give jwt or none
ROWCAST_JWT_SECRET_FILE="/nowhere/secret" is not accepted: No such file or directory (os error 2); give a file with the value of the setting, and nothing else
ROWCAST_JWT_SECRET_PREVIOUS_FILE="~/secret" is not accepted: ~ is not expanded here; give the path of a file
ROWCAST_TLS_CERT="-----BEGIN CERTIFICATE-----" is not accepted: that is PEM itself; give the path of the PEM file
ROWCAST_TLS_KEY="~/key.pem" is not accepted: ~ is not expanded here; give the path of a file
ROWCAST_TLS_HSTS="on" is not accepted; give a duration from 1s to 730d with its unit (ms, s, m, h or d), such as 500ms or 1h 30m
ROWCAST_JWT_PUBLIC_KEY="-----BEGIN PUBLIC KEY-----" is not accepted: that is PEM itself; give the path of the PEM file
ROWCAST_JWT_JWKS="http://id.example/keys" is not accepted: whoever is between could put keys of their own; give the path of a file, or an https URL (http for this machine alone)
ROWCAST_JWT_JWKS="https://me:pw@id.example/keys" is not accepted: a URL with a user would send a password; give the path of a file, or an https URL (http for this machine alone)
ROWCAST_JWT_JWKS="ftp://id.example/keys" is not accepted: its scheme is not https; give the path of a file, or an https URL (http for this machine alone)
ROWCAST_JWT_JWKS_REFRESH="0s" is not accepted; give a duration from 1s to 1d with its unit (ms, s, m, h or d), such as 500ms or 1h 30m
ROWCAST_JWT_ISSUER="," is not accepted; give one text, or several, comma separated
ROWCAST_JWT_AUDIENCE=", ," is not accepted; give one text, or several, comma separated
ROWCAST_JWT_LEEWAY="1h" is not accepted; give a duration from 0ms to 5m with its unit (ms, s, m, h or d), such as 500ms or 1h 30m
ROWCAST_JWT_COOKIE="a b" is not accepted; give the name of a cookie, such as __Host-token
ROWCAST_MAX_TOKEN_AGE="forever" is not accepted; give a duration from 1s to 365d with its unit (ms, s, m, h or d), such as 500ms or 1h 30m
ROWCAST_DEMO="yes" is not accepted; give on or off
ROWCAST_RETENTION="10ms" is not accepted; give a duration from 1s to 365d with its unit (ms, s, m, h or d), such as 500ms or 1h 30m
ROWCAST_POLL="2h" is not accepted; give a duration from 10ms to 1h with its unit (ms, s, m, h or d), such as 500ms or 1h 30m
ROWCAST_RELAY_FILE="/nowhere/relay" is not accepted: No such file or directory (os error 2); give a file with the value of the setting, and nothing else
ROWCAST_MIGRATE="on" is not accepted; give auto or off
ROWCAST_DRAIN="10" is not accepted; give a duration from 0ms to 1h with its unit (ms, s, m, h or d), such as 500ms or 1h 30m
ROWCAST_MAX_PAYLOAD="1GB" is not accepted; give a size from 1KB to 16MiB in bytes, KB, MB, KiB or MiB, such as 64KB
ROWCAST_MAX_CONNECTIONS="0" is not accepted; give a whole number from 1 to 100000
ROWCAST_MAX_CONNECTIONS_PER_ADDRESS="many" is not accepted; give a whole number from 1 to 100000
ROWCAST_MAX_HANDSHAKE_RATE="-1" is not accepted; give a whole number from 1 to 100000
ROWCAST_MAX_SOCKETIO_RATE="0" is not accepted; give a whole number from 1 to 100000
ROWCAST_MAX_LONG_POLLS="0" is not accepted; give a whole number from 1 to 100000
ROWCAST_MAX_READ_RATE="0.5" is not accepted; give a whole number from 1 to 100000
ROWCAST_MAX_SESSIONS_SIZE="2KB" is not accepted; give a size from 64KB to 100000MB in bytes, KB, MB, KiB or MiB, such as 256MB
ROWCAST_KEEP_ALIVE="75" is not accepted; give a duration from 1s to 1h with its unit (ms, s, m, h or d), such as 500ms or 1h 30m
ROWCAST_ANSWER_TIMEOUT="0s" is not accepted; give a duration from 1s to 1h with its unit (ms, s, m, h or d), such as 500ms or 1h 30m
ROWCAST_MAX_ROOMS="0" is not accepted; give a whole number from 1 to 100000
ROWCAST_MAX_EVENT_RATE="fast" is not accepted; give a whole number from 1 to 100000
ROWCAST_MAX_MESSAGE_SIZE="12" is not accepted; give a size from 1KB to 16MiB in bytes, KB, MB, KiB or MiB, such as 64KB
ROWCAST_MAX_HTTP_RATE="0" is not accepted; give a whole number from 1 to 100000
ROWCAST_HANDSHAKE_TIMEOUT="6m" is not accepted; give a duration from 100ms to 5m with its unit (ms, s, m, h or d), such as 500ms or 1h 30m
ROWCAST_POLICY_TIMEOUT="0s" is not accepted; give a duration from 10ms to 1m with its unit (ms, s, m, h or d), such as 500ms or 1h 30m
ROWCAST_POLICY_LEASE="5" is not accepted; give a duration from 1s to 1d with its unit (ms, s, m, h or d), such as 500ms or 1h 30m
ROWCAST_PG_BINDIR="~/pg/bin" is not accepted: ~ is not expanded here; give the path of a folder
ROWCAST_LOG="inof" is not accepted: "inof" is no level; give off, error, warn, info, debug or trace, alone or by module: info,rowcast=debug
ROWCAST_LOG_FORMAT="xml" is not accepted; give text or json
OTEL_EXPORTER_OTLP_ENDPOINT="collector:4317" is not accepted: it is no http or https URL; give the URL of a collector that takes OTLP over HTTP, such as http://127.0.0.1:4318
OTEL_EXPORTER_OTLP_ENDPOINT="http://me:pw@collector:4318" is not accepted: a user belongs into OTEL_EXPORTER_OTLP_HEADERS, which is not printed; give the URL of a collector that takes OTLP over HTTP, such as http://127.0.0.1:4318
OTEL_EXPORTER_OTLP_HEADERS_FILE="/nowhere/headers" is not accepted: No such file or directory (os error 2); give a file with the value of the setting, and nothing else
OTEL_SERVICE_NAME="-" is not accepted; give a name with a letter or a digit in it
OTEL_TRACES_SAMPLER="jaeger_remote" is not accepted; give always_on, always_off or traceidratio, each also with parentbased_ before it
OTEL_TRACES_SAMPLER_ARG="10%" is not accepted; give a share from 0 to 1, such as 0.1
ROWCAST_DATA_DIR="~/data" is not accepted: ~ is not expanded here; give the path of a folder
"#;

#[test]
fn a_value_is_quoted_and_cut() {
    let error = with("PORT", "1\n\u{1b}[31m2").expect_err("refused");
    assert_eq!(error.to_string().lines().count(), 1);
    assert!(error.to_string().starts_with(r#"PORT="1\n\u{1b}[31m2" "#));
    let long = with("PORT", &"é".repeat(5_000)).expect_err("refused");
    assert!(long.to_string().len() < 400);
}

#[test]
fn a_database_url_is_refused_without_repeating_it() {
    let bad = [
        "postgres://me:hunter2/x@db/d",
        "postgres://me:hunter2#x@db/d",
        "postgres://me:hunter2@db:port/d",
        "postgres://me:hunter2@db/d?sslmode=hunter2",
        "postgres://me:hunter2@db/d?port=hunter2",
        "mysql://me:hunter2@db/d",
        "hunter2",
    ];
    for url in bad {
        let line = refused("DATABASE_URL", url);
        let start = "DATABASE_URL is not accepted (its value is not shown): ";
        assert!(line.starts_with(start), "{line}");
        assert!(
            line.contains("; give postgres://user:password@host"),
            "{line}"
        );
        assert!(!line.contains("hunter2"), "{line}");
    }
}

#[test]
fn no_secret_is_printed() {
    let urls = [
        "postgres://me:hunter2@db/chat",
        "postgres://me@db/chat?password=hunter2&sslpassword=hunter2",
        "postgres://me:hunter2@localhost/chat?host=/run/postgresql",
    ];
    for url in urls {
        let args = format!("--database-url={url}");
        let cli = Cli::try_parse_from(["rowcast", &args]).expect("good");
        let config = accepted("DATABASE_URL", url);
        let printed = format!("{config:?} {config:#?} {cli:?} {:?}", config.database);
        assert!(!printed.contains("hunter2"), "{printed}");
        assert!(printed.contains("DatabaseUrl(postgres://me@"), "{printed}");
    }
}

#[test]
fn parameters_that_would_be_logged_are_dropped_with_a_warning() {
    let url = "postgres://me:pw@db/chat?sslpassword=hunter2&application_name=a%20b&sslmode=require";
    let config = accepted("DATABASE_URL", url);
    let warning = r#"DATABASE_URL: the parameter "sslpassword" is not supported and was ignored"#;
    assert_eq!(config.warnings[0], warning);
    let database = config.database.expect("a database");
    let options = database.connect_options();
    assert_eq!(options.get_application_name(), Some("a b"));
    assert!(matches!(
        options.get_ssl_mode(),
        sqlx::postgres::PgSslMode::Require
    ));
}

#[test]
fn a_remote_database_without_a_certificate_check_is_warned_of() {
    let warned = |args: &[_], url: &str| {
        let config = resolve(args, &[("DATABASE_URL", url)], "").expect("good");
        let unchecked = |warning: &String| warning.contains("no certificate is checked");
        assert!(!format!("{:?}", config.warnings).contains("secret"));
        config.warnings.iter().any(unchecked)
    };
    for url in [
        "postgres://me:secret@db.example/d",
        "postgres://me:secret@10.0.0.5/d?sslmode=require",
        "postgres://me:secret@[2001:db8::1]/d?sslmode=disable",
    ] {
        assert!(warned(&[], url), "{url}");
        assert!(!warned(&["healthcheck"], url), "{url}");
    }
    for url in [
        "postgres://me:secret@db.example/d?sslmode=verify-full",
        "postgres://me:secret@db.example/d?sslmode=verify-ca",
        "postgres://me:secret@localhost/d",
        "postgres://me:secret@127.0.0.1/d",
        "postgres://me:secret@[::1]/d",
        "postgres://me@localhost/d?host=/run/postgresql",
    ] {
        assert!(!warned(&[], url), "{url}");
    }
}

#[test]
fn origins_that_everybody_has_are_warned_of() {
    let config = accepted("FRONTEND_URL", "https://a.example,null");
    assert!(
        config
            .warnings
            .iter()
            .any(|warning| warning.contains("sandboxed frames"))
    );
    assert!(accepted("FRONTEND_URL", "file://").warnings.is_empty());
}

#[test]
fn a_misspelt_variable_is_warned_about() {
    let variables = [("ROWCAST_POL", "2s"), ("UNRELATED", "x")];
    let config = resolve(&[], &variables, "ROWCAST_X=1\nELSE=2\n").expect("good values");
    assert_eq!(config.warnings.len(), 2, "{:?}", config.warnings);
    assert!(config.warnings[0].starts_with("ROWCAST_POL is no variable of Rowcast"));
}

#[test]
fn an_open_host_needs_the_word_none() {
    for host in ["0.0.0.0", "::", "192.168.1.9", "rowcast.internal"] {
        let line = refused("HOST", host);
        let start =
            format!("HOST={host:?} is not accepted: other machines reach it, and no client");
        assert!(line.starts_with(&start), "{line}");
        assert!(
            line.contains("say ROWCAST_AUTH=jwt, or ROWCAST_AUTH=none"),
            "{line}"
        );
        let said = [("HOST", host), ("ROWCAST_AUTH", "none")];
        assert!(resolve(&[], &said, "").is_ok());
        let empty = [("HOST", host), ("ROWCAST_AUTH", "")];
        assert!(resolve(&[], &empty, "").is_err());
        for command in ["migrate", "healthcheck"] {
            assert!(resolve(&[command], &said[..1], "").is_ok(), "{command}");
        }
    }
}

mod relay;
mod tokens;

#[test]
fn the_demo_comes_with_the_embedded_postgres_unless_it_is_said() {
    let url = ("DATABASE_URL", "postgres://h/d");
    let demo = |variables: &[_]| resolve(&[], variables, "").expect("good").demo;
    assert!(demo(&[]));
    assert!(!demo(&[url]));
    assert!(demo(&[url, ("ROWCAST_DEMO", "on")]));
    assert!(!demo(&[("ROWCAST_DEMO", "off")]));
    assert!(!demo(&[url, ("ROWCAST_DEMO", "")]));
}

#[test]
fn an_open_host_with_the_demo_is_warned_about() {
    let open = [("HOST", "0.0.0.0"), ("ROWCAST_AUTH", "none")];
    let warnings = |args: &[_], variables: &[_]| {
        let config = resolve(args, variables, "").expect("good");
        config
            .warnings
            .iter()
            .filter(|warning| warning.contains("ROWCAST_DEMO=off"))
            .count()
    };
    assert_eq!(warnings(&[], &open), 1);
    assert_eq!(warnings(&["healthcheck"], &open), 0);
    assert_eq!(warnings(&["--rowcast-demo=off"], &open), 0);
    assert_eq!(warnings(&["--host=127.0.0.1"], &open), 0);
}

#[test]
fn help_names_every_setting_with_its_default() {
    let help = Cli::command().render_long_help().to_string();
    let words: String = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for setting in SETTINGS {
        let flag = setting.name.to_lowercase().replace('_', "-");
        assert!(words.contains(&format!("--{flag} <")), "{flag}");
        let text = format!("{} [default: {}]", setting.meaning, setting.default.text());
        assert!(words.contains(&text), "{text}");
    }
    Cli::command().debug_assert();
}

#[test]
fn the_readme_names_every_setting() {
    let readme = include_str!("../../README.md");
    let (_, table) = readme.split_once("## Configuration").expect("the section");
    let (table, _) = table.split_once("\n## ").expect("its end");
    let rows = table.lines().filter(|line| line.starts_with('|'));
    let mut named: Vec<&str> = rows
        .filter_map(|row| row.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    let mut expected: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    named.sort_unstable();
    expected.sort_unstable();
    assert_eq!(named, expected);
}

#[test]
fn the_example_file_is_the_help_and_parses() {
    let example = include_str!("../../.env.example");
    let mut named = Vec::new();
    let mut above = "";
    for line in example.lines() {
        // A comment's text begins after a space, a setting's name does not.
        let setting = line.strip_prefix('#').and_then(|rest| rest.split_once('='));
        if let Some((name, value)) = setting.filter(|(name, _)| !name.contains(' ')) {
            named.push((name, value, above));
        }
        above = line;
    }
    let expected: Vec<_> = SETTINGS
        .iter()
        .map(|setting| match setting.default {
            DefaultValue::Value(value) => (setting.name, value, setting.meaning.to_owned()),
            DefaultValue::Words(words) => {
                let meaning = format!("{} (default: {words})", setting.meaning);
                (setting.name, "", meaning)
            }
        })
        .map(|(name, value, meaning)| (name, value, format!("# {meaning}")))
        .collect();
    let named: Vec<_> = named
        .into_iter()
        .map(|(name, value, above)| (name, value, above.to_owned()))
        .collect();
    assert_eq!(named, expected);

    let uncommented: String = named
        .iter()
        .map(|(name, value, _)| format!("{name}={value}\n"))
        .collect();
    resolve(&[], &[], &uncommented).expect("the example's values are accepted");
    resolve(&[], &[], example).expect("the example itself is accepted");
}

#[test]
fn a_dollar_in_a_password_stands_as_written_in_an_env_file() {
    for file in [
        "DATABASE_URL=postgres://me:pa$$w0rd$x@localhost/d\n",
        "DATABASE_URL=\"postgres://me:pa$$w0rd$x@localhost/d\"\n",
        "DATABASE_URL='postgres://me:pa$$w0rd$x@localhost/d'\n",
    ] {
        let config = resolve(&[], &[], file).expect("good");
        assert_eq!(config.warnings, [""; 0], "{file}");
        let database = config.database.expect("a database");
        let written = "postgres://me:pa$$w0rd$x@localhost/d"
            .parse()
            .expect("a URL");
        let shown = |options: &sqlx::postgres::PgConnectOptions| {
            sqlx::ConnectOptions::to_url_lossy(options).to_string()
        };
        assert_eq!(shown(database.connect_options()), shown(&written), "{file}");
    }
    let replaced = "DATABASE_URL=postgres://me:pa$word@localhost/d\nROWCAST_POLL=${WAIT}\n";
    let variables = [("word", "hunter2"), ("WAIT", "2s")];
    let config = resolve(&[], &variables, replaced).expect("good");
    assert_eq!(config.poll, Duration::from_secs(2), "braces are meant");
    assert_eq!(config.warnings.len(), 1, "{:?}", config.warnings);
    let warning = &config.warnings[0];
    assert!(
        warning.starts_with("DATABASE_URL in .env: $word was replaced"),
        "{warning}"
    );
    assert!(!warning.contains("hunter2"), "{warning}");
    // What the environment says wins over the file, so the file's value is nobody's.
    let said = [
        variables[0],
        variables[1],
        ("DATABASE_URL", "postgres://localhost/d"),
    ];
    assert_eq!(
        resolve(&[], &said, replaced).expect("good").warnings,
        [""; 0]
    );
}

#[test]
fn a_list_of_hosts_is_refused_with_the_remedy() {
    for url in [
        "postgres://me:hunter2@h1:5432,h2:5432/d",
        "postgres://h1,h2/d?target_session_attrs=read-write",
        "postgresql:///d?host=h1,h2",
        "postgres://h/d?port=5432,5433",
    ] {
        let line = refused("DATABASE_URL", url);
        assert!(line.contains("several hosts"), "{line}");
        assert!(
            line.contains("the one address that leads to the primary"),
            "{line}"
        );
        assert!(!line.contains("hunter2"), "{line}");
    }
    accepted(
        "DATABASE_URL",
        "postgres://me:a,b@h/d,e?application_name=a,b",
    );
}

#[test]
fn a_session_that_cannot_write_is_refused() {
    for fit in ["any", "read-write", "primary"] {
        let config = accepted(
            "DATABASE_URL",
            &format!("postgres://localhost/d?target_session_attrs={fit}"),
        );
        assert_eq!(config.warnings, [""; 0]);
    }
    for unfit in ["read-only", "standby", "prefer-standby", "x"] {
        let line = refused(
            "DATABASE_URL",
            &format!("postgres://h/d?target_session_attrs={unfit}"),
        );
        assert!(line.contains("target_session_attrs=read-write"), "{line}");
    }
}

#[test]
fn a_certificate_that_is_not_there_is_named() {
    for name in ["sslrootcert", "sslcert", "sslkey"] {
        let line = refused(
            "DATABASE_URL",
            &format!("postgres://h/d?{name}=/nowhere/ca.pem"),
        );
        assert!(
            line.contains(name) && line.contains("/nowhere/ca.pem"),
            "{line}"
        );
        accepted("DATABASE_URL", &format!("postgres://h/d?{name}=Cargo.toml"));
    }
}

#[test]
fn the_wait_of_migrate_is_bounded() {
    let timeout = |args: &[&str]| {
        let args = ["rowcast", "migrate"].iter().chain(args);
        match Cli::try_parse_from(args).map(|cli| cli.command) {
            Ok(Some(Command::Migrate { timeout, .. })) => Ok(timeout),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    };
    assert_eq!(timeout(&[]), Ok(Duration::from_secs(60)));
    assert_eq!(timeout(&["--timeout", "2m"]), Ok(Duration::from_secs(120)));
    let refused = timeout(&["--timeout", "5"]).expect_err("no unit");
    assert!(
        refused.contains("give a duration from 1s to 1h"),
        "{refused}"
    );
}
