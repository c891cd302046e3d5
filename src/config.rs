//! What the operator asked for: a typed, complete [`Config`].
//!
//! Owns every setting: a flag wins over an environment variable, that over a line of `.env` in the
//! current folder, and that over the default. An empty value stands for the default, because
//! Compose files pass empty variables for what was not set; `ROWCAST_ADMIN` alone means "off" by it.
//! Refuses a bad value with one line that names the variable, the value and what is accepted.
//! Guarantees that no secret is printed: not by an error, `Debug` or `Display`.
//! Relies on nothing but the process environment, which no other module reads.

mod admin;
mod allowed_hosts;
mod attach;
mod auth;
mod command;
mod command_line;
mod database_url;
mod env_file;
mod environment;
#[cfg(test)]
mod fuzz;
mod jwt_values;
mod limits;
mod listen;
mod log;
mod lookup;
mod migrate;
mod open_doors;
mod origins;
mod passed_sockets;
mod policy_rules;
mod problem;
mod quantity;
mod relay;
mod settings;
mod shown;
mod tls;
mod traces;
mod trusted_proxies;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{CommandFactory as _, Parser};

pub(crate) use admin::AdminRules;
pub(crate) use allowed_hosts::AllowedHosts;
pub(crate) use attach::{AttachArgs, AttachFlags};
pub(crate) use auth::{Auth, Jwt};
pub(crate) use command::{Command, GrantArgs, Since, TailArgs, TokenArgs};
pub(crate) use command_line::WRONG_USAGE;
pub(crate) use database_url::DatabaseUrl;
pub(crate) use jwt_values::{JwtKeys, Secret, SharedSecret};
pub(crate) use limits::Limits;
pub(crate) use listen::Listen;
pub(crate) use log::{Log, LogFormat};
pub(crate) use migrate::Migrate;
pub(crate) use origins::Origins;
pub(crate) use passed_sockets::PassedSockets;
pub(crate) use policy_rules::PolicyRules;
pub(crate) use problem::ConfigError;
pub(crate) use relay::{Login, RelayUrl};
pub(crate) use shown::Shown;
pub(crate) use tls::Tls;
pub(crate) use traces::Traces;
pub(crate) use trusted_proxies::TrustedProxies;

use environment::Environment;
use lookup::SettingLookup;
use problem::{Problem, Refusal};
use settings::Flags;

/// The command line. Settings are the same words as the variables: `--rowcast-poll` is `ROWCAST_POLL`.
#[derive(Debug, Parser)]
#[command(
    name = "rowcast",
    version,
    about,
    after_help = "Each setting is also an environment variable of the same name in capitals \
        (--rowcast-poll is ROWCAST_POLL) and may stand in .env in the current folder.\n\
        A flag wins over a variable, that over .env; an empty value stands for the default.",
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    /// What to do; nothing said means [`Command::Serve`].
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    flags: Flags,
}

/// Every setting, parsed.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// `DATABASE_URL`; `None` asks for the embedded Postgres.
    pub database: Option<DatabaseUrl>,
    /// `HOST` and `PORT`: the public listener.
    pub listen: Listen,
    /// `ROWCAST_REUSEPORT`: another server may listen on the same addresses.
    pub reuse_port: bool,
    /// `FRONTEND_URL`: who may call from a browser.
    pub origins: Origins,
    /// `ROWCAST_ALLOWED_HOSTS`: further names of the server.
    pub allowed_hosts: AllowedHosts,
    /// `ROWCAST_TRUSTED_PROXIES`: whose `X-Forwarded-For` counts.
    pub trusted_proxies: TrustedProxies,
    /// Requests that a proxy forwarded are refused: nobody said that everybody may come in, and a proxy brings everybody.
    pub refuse_forwarded: bool,
    /// `ROWCAST_AUTH` and what belongs to it: how clients prove who they are.
    pub auth: Auth,
    /// `ROWCAST_ADMIN`: the admin listener, `None` when off.
    pub admin: Option<SocketAddr>,
    /// What it asks for, and allows.
    pub admin_rules: AdminRules,
    /// `ROWCAST_TLS_CERT` and what belongs to it: how TLS is spoken; `None`: not at all.
    pub tls: Option<Tls>,
    /// `ROWCAST_DEMO`: whether the dashboard is served.
    pub demo: bool,
    /// `ROWCAST_RETENTION`: how long events stay replayable.
    pub retention: Duration,
    /// `ROWCAST_POLL`: the longest pause between two reads of the outbox.
    pub poll: Duration,
    /// `ROWCAST_PRESENCE`: whether it is kept who is in which room.
    pub presence: bool,
    /// `ROWCAST_RELAY`: by what servers tell each other what was committed; `None`: each reads by itself.
    pub relay: Option<RelayUrl>,
    /// `ROWCAST_MIGRATE`: what `serve` does with migrations that are missing.
    pub migrate: Migrate,
    /// `ROWCAST_DRAIN`: the deadline of an orderly stop.
    pub drain: Duration,
    /// `ROWCAST_MAX_PAYLOAD`: events with a larger payload go out truncated.
    pub max_payload_bytes: usize,
    /// `ROWCAST_MAX_TOKEN_AGE`: older tokens are refused, and revocations kept for as long.
    pub max_token_age: Duration,
    /// What clients may ask for.
    pub limits: Limits,
    /// How the policy is asked.
    pub policy: PolicyRules,
    /// `ROWCAST_DATA_DIR`: the embedded Postgres's home, absolute.
    pub data_dir: PathBuf,
    /// `ROWCAST_PG_BINDIR`: where `postgres` and `initdb` are; `None` searches for them.
    pub pg_bindir: Option<PathBuf>,
    /// The folders of `PATH`, for that search.
    pub search_path: Vec<PathBuf>,
    /// `ROWCAST_LOG` and `ROWCAST_LOG_FORMAT`.
    pub log: Log,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` and what belongs to it: where traces go; `None`: there are none.
    pub traces: Option<Traces>,
    /// What was ignored and probably not meant; to be logged once logging is up.
    pub warnings: Vec<String>,
}

/// Reads the command line, the environment and `.env`. Ends the process for `--help`, `--version` and a misused command line.
pub(crate) fn load() -> Loaded {
    let cli = command_line::parse();
    let (mut shown, mut sockets) = (Vec::new(), PassedSockets::default());
    let config = Environment::of_process()
        .map_err(ConfigError::from)
        .and_then(|mut environment| {
            shown = shown::settings(&cli.flags, &environment);
            if let None | Some(Command::Serve) = cli.command {
                sockets = environment.take_sockets()?;
            }
            let config = Config::resolve(&cli, &environment)?;
            if config.admin.is_none() && sockets.admin.is_some() {
                return Err(Problem::line(
                    "ROWCAST_ADMIN is empty, which turns the admin listener off, and a socket was passed for it",
                )
                .into());
            }
            Ok(config)
        });
    Loaded {
        command: cli.command.unwrap_or_default(),
        shown: Shown(shown),
        sockets,
        config,
    }
}

/// The command line as clap has it, for whoever describes it.
pub(crate) fn command_line() -> clap::Command {
    Cli::command()
}

/// What the command line, the environment and `.env` say together.
pub(crate) struct Loaded {
    /// What to do.
    pub command: Command,
    /// Every setting as it was given, for a person to read.
    pub shown: Shown,
    /// The sockets that were passed, for `serve`.
    pub sockets: PassedSockets,
    /// The settings, or every bad value, one line each; exit code 2 is the caller's to give.
    pub config: Result<Config, ConfigError>,
}

impl Config {
    fn resolve(cli: &Cli, environment: &Environment) -> Result<Self, ConfigError> {
        let mut read = SettingLookup::new(&cli.flags, environment);
        let database = read.secret("DATABASE_URL", "DATABASE_URL_FILE", DatabaseUrl::parse);
        let demo = read.optional("ROWCAST_DEMO", switch);
        let listen = Listen {
            host: read.value("HOST", listen::host),
            port: read.value("PORT", listen::port),
            passed: environment.public_socket(),
        };
        let origins = read.value("FRONTEND_URL", Origins::parse);
        let mut config = Self {
            auth: Auth::None,
            demo: demo.unwrap_or(database.is_none()),
            database: database.map(|(database, _)| database),
            listen,
            reuse_port: read.value("ROWCAST_REUSEPORT", switch),
            origins,
            allowed_hosts: read
                .optional("ROWCAST_ALLOWED_HOSTS", AllowedHosts::parse)
                .unwrap_or_default(),
            trusted_proxies: read.value("ROWCAST_TRUSTED_PROXIES", TrustedProxies::parse),
            refuse_forwarded: !read.is_said("ROWCAST_AUTH"),
            admin: read.unless_empty("ROWCAST_ADMIN", listen::admin),
            admin_rules: AdminRules::resolve(&mut read),
            tls: tls::resolve(&mut read),
            retention: within(&mut read, "ROWCAST_RETENTION", quantity::RETENTION),
            poll: within(&mut read, "ROWCAST_POLL", quantity::POLL),
            presence: read.value("ROWCAST_PRESENCE", switch),
            relay: relay::resolve(&mut read),
            migrate: read.value("ROWCAST_MIGRATE", Migrate::parse),
            drain: within(&mut read, "ROWCAST_DRAIN", quantity::DRAIN),
            max_payload_bytes: read.value("ROWCAST_MAX_PAYLOAD", quantity::bytes),
            max_token_age: within(&mut read, "ROWCAST_MAX_TOKEN_AGE", quantity::RETENTION),
            limits: Limits::resolve(&mut read),
            policy: PolicyRules::resolve(&mut read),
            data_dir: read
                .optional("ROWCAST_DATA_DIR", environment::folder)
                .unwrap_or_else(|| environment.data_dir()),
            pg_bindir: read.optional("ROWCAST_PG_BINDIR", environment::folder),
            search_path: environment.search_path(),
            log: Log {
                filter: read.value("ROWCAST_LOG", log::filter),
                format: read.value("ROWCAST_LOG_FORMAT", LogFormat::parse),
            },
            traces: traces::resolve(&mut read),
            warnings: Vec::new(),
        };
        // Only a server listens: a migration job that shares the variables is not refused.
        let serves = matches!(cli.command, None | Some(Command::Serve | Command::Check));
        let tells = matches!(cli.command, Some(Command::Token(_)));
        config.auth = auth::resolve(&mut read, serves || tells, &config.listen, &config.origins);
        if let Auth::Jwt(_) = config.auth {
            config.demo = false;
            refuse_demo(&mut read, demo);
        }
        read.finish()?;
        let mut warnings = config.collect_warnings(environment);
        warnings.extend(config.open_doors().filter(|_| serves));
        Ok(Self { warnings, ..config })
    }

    fn collect_warnings(&self, environment: &Environment) -> Vec<String> {
        let ignored = self.database.iter().flat_map(DatabaseUrl::ignored);
        ignored
            .map(|name| {
                format!("DATABASE_URL: the parameter {name:?} is not supported and was ignored")
            })
            .chain(environment.unknown().map(|name| {
                format!(
                    "{name} is no variable of Rowcast and was ignored; rowcast --help lists them"
                )
            }))
            .chain(environment.replaced())
            .collect()
    }
}

fn refuse_demo(read: &mut SettingLookup<'_>, said: Option<bool>) {
    if said == Some(true) {
        let why = "the demo asks nobody for a token, and ROWCAST_AUTH=jwt does";
        read.refuse("ROWCAST_DEMO", &Refusal::because(why, "off"));
    }
}

fn within(read: &mut SettingLookup<'_>, name: &'static str, bounds: quantity::Bounds) -> Duration {
    read.value(name, |text| quantity::duration(text, bounds))
}

fn switch(text: &str) -> Result<bool, Refusal> {
    match text {
        "on" | "off" => Ok(text == "on"),
        _ => Err(Refusal::accepts("on or off")),
    }
}

#[cfg(test)]
mod tests;
