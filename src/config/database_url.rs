//! The database to connect to: `DATABASE_URL`.
//!
//! Owns the secret: the text leaves by [`DatabaseUrl::connect_options`] only, `Debug` and `Display`
//! show user, host, port and database.
//! Refuses what sqlx could not connect with (a list of hosts, a certificate's file that is not there), and never repeats the text in doing so.
//! Parameters that sqlx does not know are dropped, because it would log them with their values.

use std::fmt;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;

use super::problem::Refusal;

/// Parameters that sqlx 0.9 understands, besides [`FILES`] and `options[...]`.
const KNOWN: &[&str] = &[
    "sslmode",
    "ssl-mode",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// The parameter by which libpq chooses among hosts.
const SESSION_ATTRIBUTES: &str = "target_session_attrs";
/// Its values that a primary meets.
const WRITABLE: &[&str] = &["any", "read-write", "primary"];

/// Parameters that name a file of PEM, or have its text.
const FILES: &[&str] = &[
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
];

/// A Postgres URL that parsed. Prints without its password.
#[derive(Clone)]
pub(crate) struct DatabaseUrl {
    options: PgConnectOptions,
    ignored: Vec<String>,
}

impl DatabaseUrl {
    /// What sqlx connects with.
    #[must_use]
    pub(crate) fn connect_options(&self) -> &PgConnectOptions {
        &self.options
    }

    /// The host, if it is another machine whose certificate is not checked.
    pub(super) fn unchecked_host(&self) -> Option<&str> {
        let checked = matches!(
            self.options.get_ssl_mode(),
            PgSslMode::VerifyCa | PgSslMode::VerifyFull
        );
        let host = self.options.get_host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let is_here = self.options.get_socket().is_some()
            || host.starts_with('/')
            || host == "localhost"
            || bare
                .parse::<std::net::IpAddr>()
                .is_ok_and(|ip| ip.to_canonical().is_loopback());
        (!checked && !is_here).then_some(host)
    }

    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        if names_several_hosts(text) {
            return Err(several_hosts());
        }
        let mut url = Url::parse(text).map_err(|error| refusal(&error.to_string()))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(refusal("it is no Postgres URL"));
        }
        if url.fragment().is_some() {
            return Err(refusal("it has an unescaped #"));
        }
        for (name, value) in url.query_pairs() {
            check_parameter(&name, &value)?;
        }
        let is_known = |name: &str| {
            KNOWN.contains(&name) || FILES.contains(&name) || name.starts_with("options[")
        };
        let (kept, ignored): (Vec<_>, Vec<_>) = url
            .query_pairs()
            .into_owned()
            .partition(|(name, _)| is_known(name));
        if kept.is_empty() {
            url.set_query(None);
        } else {
            url.query_pairs_mut().clear().extend_pairs(kept);
        }
        let options = url
            .as_str()
            .parse::<PgConnectOptions>()
            // The library's own message may repeat a value.
            .map_err(|_| refusal("a part of it has no meaning"))?;
        Ok(Self {
            options,
            ignored: ignored
                .into_iter()
                .map(|(name, _)| name)
                // What it asks for is what we need anyway: see `check_parameter`.
                .filter(|name| name != SESSION_ATTRIBUTES)
                .collect(),
        })
    }

    /// Names of the parameters that were dropped.
    pub(super) fn ignored(&self) -> impl Iterator<Item = &str> {
        self.ignored.iter().map(String::as_str)
    }
}

/// Whether the text names a list of hosts, as libpq takes it, or a list of their ports.
fn names_several_hosts(text: &str) -> bool {
    let after_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
    let authority = after_scheme.split(['/', '?', '#']).next();
    let hosts = authority.map(|all| all.rsplit_once('@').map_or(all, |(_, hosts)| hosts));
    hosts.is_some_and(|hosts| hosts.contains(','))
}

/// Refuses what sqlx would not take in the sense in which it is meant, or would find out only when it connects.
fn check_parameter(name: &str, value: &str) -> Result<(), Refusal> {
    match name {
        "host" | "hostaddr" | "port" if value.contains(',') => Err(several_hosts()),
        SESSION_ATTRIBUTES if !WRITABLE.contains(&value) => Err(Refusal::because(
            "target_session_attrs asks for a server that can't be written to, and Rowcast must write",
            "target_session_attrs=read-write, or leave it out",
        )),
        _ if FILES.contains(&name) && !value.trim_start().starts_with("-----BEGIN") => {
            std::fs::File::open(value).map(drop).map_err(|error| {
                let reason = format!("the file {value:?} of {name} can't be read: {error}");
                Refusal::because(reason, format!("{name}=<a PEM file that is there>"))
            })
        }
        _ => Ok(()),
    }
}

fn several_hosts() -> Refusal {
    Refusal::because(
        "it names several hosts, which are not supported",
        "the one address that leads to the primary, also after a failover: the service's own endpoint, or a proxy, a virtual \
            address or a DNS name that follows the primary",
    )
}

fn refusal(reason: &str) -> Refusal {
    Refusal::because(
        reason,
        "postgres://user:password@host:5432/database, optionally with ?sslmode=require, \
            and special characters of the password percent-encoded",
    )
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        write!(f, "postgres://{}@", options.get_username())?;
        match options.get_socket() {
            Some(socket) => write!(f, "{}", socket.display())?,
            None => write!(f, "{}:{}", options.get_host(), options.get_port())?,
        }
        // Postgres takes the user's name where no database is named.
        let database = options.get_database().unwrap_or(options.get_username());
        write!(f, "/{database}")
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}
