//! The `rowcast` command: parses, and calls the library.

use std::process::ExitCode;

use rowcast::config::{self, Command, Config};
use rowcast::{app, cli, embedded, telemetry};

fn main() -> ExitCode {
    // The embedded Postgres is started through this same file; see `embedded`.
    let mut args = std::env::args_os().skip(1);
    if embedded::is_exec_postgres(args.next().as_deref()) {
        return failed(&embedded::exec_postgres(args));
    }
    let (command, config) = match config::load() {
        Ok(loaded) => loaded,
        Err(problems) => {
            complain(&problems.to_string());
            return ExitCode::from(2);
        }
    };
    telemetry::init(&config.log);
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
    match runtime.block_on(run(command, config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

async fn run(command: Command, config: Config) -> anyhow::Result<()> {
    match command {
        Command::Serve => app::serve(config).await,
        Command::Migrate { chat } => cli::migrate(&config, chat).await,
        Command::Healthcheck => cli::healthcheck(&config).await,
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    complain(&format!("{error:#}"));
    ExitCode::FAILURE
}

#[expect(
    clippy::print_stderr,
    reason = "the one line that says why the command failed"
)]
fn complain(problem: &str) {
    eprintln!("rowcast: {problem}");
}
