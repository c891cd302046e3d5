//! The list of settings: the one place that has each variable's name, default and meaning.
//!
//! Owns the flags, which are made from the list, so that flag and variable cannot differ.

use std::collections::BTreeMap;
use std::fmt;

use clap::{Arg, ArgMatches};

/// One setting. The flag is the variable's name in lower case with dashes.
pub(super) struct Setting {
    pub(super) name: &'static str,
    value: &'static str,
    pub(super) default: DefaultValue,
    pub(super) meaning: &'static str,
    pub(super) secret: bool,
}

/// What holds when nothing, or an empty value, is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DefaultValue {
    /// This value, which its parser accepts.
    Value(&'static str),
    /// Something no single value says, in words.
    Words(&'static str),
}
use DefaultValue::{Value, Words};

impl DefaultValue {
    pub(super) fn text(self) -> &'static str {
        match self {
            Value(text) | Words(text) => text,
        }
    }
}

const fn setting(
    name: &'static str,
    value: &'static str,
    default: DefaultValue,
    meaning: &'static str,
) -> Setting {
    Setting {
        name,
        value,
        default,
        meaning,
        secret: false,
    }
}

/// Every variable, in the order of `--help` and `.env.example`.
#[rustfmt::skip]
pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        secret: true,
        ..setting("DATABASE_URL", "URL", Words("an embedded Postgres"), "The database, as postgres://user:password@host:5432/name")
    },
    setting("DATABASE_URL_FILE", "FILE", Words("none"), "A file that holds DATABASE_URL"),
    setting("HOST", "HOST", Value("127.0.0.1"), "Address of the public listener"),
    setting("PORT", "PORT", Value("3001"), "Port of the public listener; 0 picks a free one"),
    setting("ROWCAST_REUSEPORT", "SWITCH", Value("off"), "Listen beside another server on the same addresses, which the next one replaces without a gap: on or off"),
    setting("FRONTEND_URL", "ORIGINS", Value("http://localhost:3000"), "Origins that may connect from a browser, comma separated; * lets all in, without credentials"),
    setting("ROWCAST_ALLOWED_HOSTS", "HOSTS", Words("IP addresses, localhost and the hosts of FRONTEND_URL"), "Further names by which browsers may call the server, comma separated, such as chat.example.com or *.internal.example; * for any"),
    setting("ROWCAST_TRUSTED_PROXIES", "NETWORKS", Value("loopback"), "Proxies whose X-Forwarded-For says who a client is: networks, addresses, loopback or private, comma separated; none for nobody's"),
    setting("ROWCAST_ADMIN", "ADDRESS", Value("127.0.0.1:3002"), "Admin listener (inspector and metrics); empty turns it off"),
    Setting {
        secret: true,
        ..setting("ROWCAST_ADMIN_TOKEN", "SECRET", Words("none"), "What the admin listener asks for, 32 bytes or more; without it only this machine may use the inspector")
    },
    setting("ROWCAST_ADMIN_TOKEN_FILE", "FILE", Words("none"), "A file that holds ROWCAST_ADMIN_TOKEN"),
    setting("ROWCAST_ADMIN_WRITE", "SWITCH", Value("off"), "Whether the inspector may emit, disconnect and revoke: on or off"),
    setting("ROWCAST_TLS_CERT", "FILE", Words("none: plain HTTP"), "PEM file with the certificate of both listeners, which then speak https and wss alone; read again when it changes"),
    setting("ROWCAST_TLS_KEY", "FILE", Words("none"), "PEM file with the key of ROWCAST_TLS_CERT; read again when it changes"),
    setting("ROWCAST_TLS_HSTS", "DURATION", Words("off"), "How long browsers are told to call this host by https alone (Strict-Transport-Security); off says nothing"),
    setting("ROWCAST_AUTH", "MODE", Words("none while HOST is loopback"), "How clients prove who they are: jwt or none; must be said when HOST is not loopback"),
    Setting {
        secret: true,
        ..setting("ROWCAST_JWT_SECRET", "SECRET", Words("none"), "The shared secret that tokens are signed with (HS256), 32 bytes or more")
    },
    setting("ROWCAST_JWT_SECRET_FILE", "FILE", Words("none"), "A file that holds ROWCAST_JWT_SECRET; read again when it changes"),
    Setting {
        secret: true,
        ..setting("ROWCAST_JWT_SECRET_PREVIOUS", "SECRET", Words("none"), "The secret of before, whose tokens are still valid")
    },
    setting("ROWCAST_JWT_SECRET_PREVIOUS_FILE", "FILE", Words("none"), "A file that holds ROWCAST_JWT_SECRET_PREVIOUS; read again when it changes"),
    setting("ROWCAST_JWT_PUBLIC_KEY", "FILE", Words("none"), "PEM file with the public key or keys of tokens (RS256, ES256, EdDSA); read again when it changes"),
    setting("ROWCAST_JWT_JWKS", "PLACE", Words("none"), "JSON Web Key Set with the keys of tokens: a file, or an https URL; needs ROWCAST_JWT_AUDIENCE"),
    setting("ROWCAST_JWT_JWKS_REFRESH", "DURATION", Value("10m"), "How often the URL of ROWCAST_JWT_JWKS is fetched; a token with an unknown key has it fetched sooner"),
    setting("ROWCAST_JWT_ISSUER", "TEXTS", Words("not checked"), "The iss of tokens, or several, comma separated"),
    setting("ROWCAST_JWT_AUDIENCE", "TEXTS", Words("not checked"), "The aud of tokens, or several, comma separated"),
    setting("ROWCAST_JWT_LEEWAY", "DURATION", Value("30s"), "How far the clocks of this server and of who signs tokens may be apart"),
    setting("ROWCAST_JWT_COOKIE", "NAME", Words("none"), "The cookie that may carry a token; then requests need an origin, and FRONTEND_URL can't be *"),
    setting("ROWCAST_MAX_TOKEN_AGE", "DURATION", Value("30d"), "Tokens that were issued longer ago are refused; revocations are kept for as long"),
    setting("ROWCAST_DEMO", "SWITCH", Words("on with the embedded Postgres, else off"), "The dashboard at /, which writes messages: on or off"),
    setting("ROWCAST_RETENTION", "DURATION", Value("24h"), "How long events stay replayable"),
    setting("ROWCAST_POLL", "DURATION", Value("1s"), "How often the outbox is read when nothing wakes the reader"),
    setting("ROWCAST_PRESENCE", "SWITCH", Value("off"), "Whether it is kept who is in which room, in rowcast.presence and for clients that ask: on or off"),
    Setting {
        secret: true,
        ..setting("ROWCAST_RELAY", "URL", Words("off: each server reads the outbox by itself"), "NATS, by which one server tells the others what was committed, as nats://user:password@host:4222 or tls://..; several, comma separated")
    },
    setting("ROWCAST_RELAY_FILE", "FILE", Words("none"), "A file that holds ROWCAST_RELAY"),
    setting("ROWCAST_MIGRATE", "MODE", Value("auto"), "Migrations that the database lacks: auto has serve apply them, off has it say so and end"),
    setting("ROWCAST_DRAIN", "DURATION", Value("10s"), "Deadline of an orderly stop"),
    setting("ROWCAST_MAX_PAYLOAD", "SIZE", Value("1MB"), "Largest payload of an event; a larger one goes out truncated to its ids"),
    setting("ROWCAST_MAX_CONNECTIONS", "COUNT", Value("20000"), "Connections, and Socket.IO sessions, at a time; the file limit (ulimit -n) may allow fewer"),
    setting("ROWCAST_MAX_CONNECTIONS_PER_ADDRESS", "COUNT", Value("5000"), "The same of one address (IPv6: one /64 network, here and below)"),
    setting("ROWCAST_MAX_HANDSHAKE_RATE", "COUNT", Value("500"), "Socket.IO sessions that one address may open a second; ten seconds' worth at once"),
    setting("ROWCAST_MAX_SOCKETIO_RATE", "COUNT", Value("1000"), "Requests at /socket.io of one address a second; ten seconds' worth at once"),
    setting("ROWCAST_MAX_ROOMS", "COUNT", Value("250"), "Rooms one socket may be in"),
    setting("ROWCAST_MAX_EVENT_RATE", "COUNT", Value("50"), "Events a second one socket may send"),
    setting("ROWCAST_MAX_MESSAGE_SIZE", "SIZE", Value("64KB"), "Largest message a client may send"),
    setting("ROWCAST_MAX_HTTP_RATE", "COUNT", Value("200"), "HTTP API requests a second from one address, and of one identity"),
    setting("ROWCAST_MAX_LONG_POLLS", "COUNT", Value("1000"), "HTTP API requests of one address, and of one identity, that wait at a time"),
    setting("ROWCAST_MAX_READ_RATE", "COUNT", Value("10000"), "Past messages and events a second that one identity, or one address without identities, may read; half a minute's worth at once"),
    setting("ROWCAST_MAX_SESSIONS_SIZE", "SIZE", Value("256MB"), "What is kept in the database of the resume sessions that one identity, or one address without identities, has left"),
    setting("ROWCAST_HANDSHAKE_TIMEOUT", "DURATION", Value("10s"), "Time a connection has to become a Socket.IO client"),
    setting("ROWCAST_KEEP_ALIVE", "DURATION", Value("75s"), "How long a connection without a request is kept: longer than a proxy in front keeps it"),
    setting("ROWCAST_ANSWER_TIMEOUT", "DURATION", Value("2m"), "How long a client may take to read the answer to a request"),
    setting("ROWCAST_POLICY_TIMEOUT", "DURATION", Value("2s"), "Time that rowcast.may_join has to say who may join which rooms"),
    setting("ROWCAST_POLICY_LEASE", "DURATION", Value("5m"), "How often it is asked again for the rooms that a socket stays in"),
    setting("ROWCAST_DATA_DIR", "FOLDER", Words("the per-user data folder"), "Home of the embedded Postgres"),
    setting("ROWCAST_PG_BINDIR", "FOLDER", Words("searched in PATH and the usual folders"), "Where the embedded Postgres's postgres and initdb are"),
    setting("ROWCAST_LOG", "FILTER", Value("info"), "Log level, or levels by module such as info,rowcast=debug"),
    setting("ROWCAST_LOG_FORMAT", "FORMAT", Value("text"), "Log format: text or json"),
    setting("OTEL_EXPORTER_OTLP_ENDPOINT", "URL", Words("none: no traces"), "Where traces go: a collector that takes OTLP over HTTP, such as http://127.0.0.1:4318"),
    Setting {
        secret: true,
        ..setting("OTEL_EXPORTER_OTLP_HEADERS", "HEADERS", Words("none"), "What goes along with each export, such as authorization=Bearer%20x: name=value, comma separated, percent-encoded")
    },
    setting("OTEL_EXPORTER_OTLP_HEADERS_FILE", "FILE", Words("none"), "A file that holds OTEL_EXPORTER_OTLP_HEADERS"),
    setting("OTEL_SERVICE_NAME", "NAME", Value("rowcast"), "What the server is called in traces"),
    setting("OTEL_TRACES_SAMPLER", "SAMPLER", Value("parentbased_always_on"), "Which traces are kept: always_on, always_off or traceidratio, each also with parentbased_ before it"),
    setting("OTEL_TRACES_SAMPLER_ARG", "SHARE", Value("1"), "The share of traces that traceidratio keeps, from 0 to 1"),
];

/// Is `name` a variable of ours?
pub(super) fn is_known(name: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.name == name)
}

/// The settings that were given as flags, unparsed.
#[derive(Clone, Default)]
pub(super) struct Flags(BTreeMap<&'static str, String>);

impl Flags {
    /// What was given for a setting.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names only: a flag's value may be a secret.
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl clap::Args for Flags {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.args(SETTINGS.iter().map(|setting| {
            Arg::new(setting.name)
                .long(setting.name.to_ascii_lowercase().replace('_', "-"))
                .value_name(setting.value)
                .help(format!(
                    "{} [default: {}]",
                    setting.meaning,
                    setting.default.text()
                ))
                .help_heading("Settings")
                .global(true)
        }))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        for setting in SETTINGS {
            if let Some(value) = matches.get_one::<String>(setting.name) {
                self.0.insert(setting.name, value.clone());
            }
        }
        Ok(())
    }
}

/// The setting of this name, which must be one.
pub(super) fn setting_named(name: &str) -> &'static Setting {
    SETTINGS
        .iter()
        .find(|setting| setting.name == name)
        .expect("every setting that is read is in the list")
}
