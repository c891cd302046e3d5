//! Rowcast turns rows in Postgres into Socket.IO room events, with nothing lost in between.
//!
//! ```text
//!  a back end's transaction                    rowcast serve                                browsers
//!  insert/update a row      NOTIFY    feed::listener --wake--> feed::reader
//!    `- capture trigger  ----------->                          |        | batch
//!        `- rowcast.events <------- db::outbox (SQL) <---------'        v
//!                           ^                                    delivery --> transport ---> sockets
//!                           `-- replays, history, sessions --- socketio, http   <-------->  of the room
//! ```
//!
//! The table tells, the notification only wakes, the poll is the guarantee.
//!
//! - [`event`], [`offset`]: the types and their parsing, no I/O
//! - [`db`]: every SQL statement
//! - [`feed`]: the loops on the database's side, from a notification to a batch
//! - [`delivery`]: who is in which room, and what each has had; knows no sockets and no database
//! - [`socketio`]: the protocol with clients, and their resume sessions
//! - [`transport`]: what exists only because of TCP and the engine under Socket.IO
//! - [`http`], [`demo`], [`inspector`]: the API, health and metrics; the dashboard; what an operator sees of a server
//! - [`auth`]: who connects, and into which rooms they may
//! - [`app`]: puts it together, supervises it, stops it in order
//! - [`cli`]: the commands besides `serve`; [`embedded`]: a Postgres of our own
//! - [`tls`]: the certificate of the listeners
//! - [`revocations`]: whose tokens are refused; [`presence`]: who is in which room of this server
//! - [`config`], [`telemetry`], [`metrics`], [`quota`], [`status`], [`backoff`], [`shutdown`], [`http_error`], [`spans`]: leaves, as that is
//!
//! `ARCHITECTURE.md` says who may import whom. The one public function is [`run`].

mod app;
mod auth;
mod backoff;
mod cli;
mod config;
mod db;
mod delivery;
mod demo;
mod embedded;
mod event;
mod feed;
#[cfg(test)]
mod fuzz;
mod http;
mod http_error;
mod inspector;
mod metrics;
#[cfg(test)]
mod model;
mod offset;
mod one_line;
mod presence;
mod quota;
mod revocations;
mod shutdown;
mod socketio;
mod spans;
mod status;
mod stdout;
mod telemetry;
mod tls;
mod transport;

use std::process::ExitCode;

use config::{Command, Config, Loaded, PassedSockets};
use telemetry::SpanExport;

/// The `rowcast` command: reads the command line and the environment, does what they say, and returns the exit code.
pub fn run() -> ExitCode {
    // The embedded Postgres is started through this same file; see `embedded`.
    let mut args = std::env::args_os().skip(1);
    if embedded::is_exec_postgres(args.next().as_deref()) {
        return failed(&embedded::exec_postgres(args));
    }
    let Loaded {
        command,
        shown,
        sockets,
        config,
    } = config::load();
    if command == Command::Check
        && let Err(error) = cli::check(&shown, config.as_ref().ok())
    {
        return failed(&error);
    }
    let config = match config {
        Ok(config) => config,
        Err(problems) if command == (Command::Doctor { json: true }) => {
            let told = cli::doctor_unconfigured(&problems.to_string());
            return told.unwrap_or_else(|error| failed(&error));
        }
        Err(problems) => {
            complain(&problems.to_string());
            return ExitCode::from(config::WRONG_USAGE);
        }
    };
    if command == Command::Check {
        return ExitCode::SUCCESS;
    }
    let traces = config.traces.as_ref().filter(|_| command == Command::Serve);
    let spans = match telemetry::init(&config.log, traces) {
        Ok(spans) => spans,
        Err(error) => return failed(&error),
    };
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    match runtime.block_on(dispatch(command, config, sockets, spans)) {
        Ok(code) => code,
        Err(error) => failed(&error),
    }
}

async fn dispatch(
    command: Command,
    config: Config,
    sockets: PassedSockets,
    spans: Option<SpanExport>,
) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve => app::serve(config, sockets, spans).await?,
        Command::Migrate { chat, timeout } => cli::migrate(&config, chat, timeout).await?,
        Command::Healthcheck => cli::healthcheck(&config).await?,
        Command::Check => {}
        Command::Doctor { json } => return cli::doctor(&config, json).await,
        Command::Grant(args) => return cli::grant(&config, &args).await,
        Command::Token(args) => return cli::token(&config, &args).await,
        Command::Attach(args) => return cli::attach(&config, &args).await,
        Command::Detach { table } => cli::detach(&config, &table).await?,
        Command::Emit { room, event, data } => cli::emit(&config, &room, &event, &data).await?,
        Command::Tail(args) => cli::tail(&config, &args).await?,
        Command::Types { out } => cli::types(&config, out.as_deref()).await?,
        Command::Sources { json } => cli::sources(&config, json).await?,
        Command::Manual { folder } => cli::manual(&folder)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn failed(error: &anyhow::Error) -> ExitCode {
    complain(&format!("{error:#}"));
    match error.is::<cli::WrongUsage>() {
        true => ExitCode::from(config::WRONG_USAGE),
        false => ExitCode::FAILURE,
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the one line that says why the command failed"
)]
fn complain(problem: &str) {
    eprintln!("rowcast: {problem}");
}
