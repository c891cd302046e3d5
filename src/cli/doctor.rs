//! `rowcast doctor`: what is wrong with the database and with this machine, and how to mend it.
//!
//! `db` looks at the database; the limits of this process, the files of the certificate, and NATS, are looked at here. Prints a line for each check, with what it means and
//! what to paste where it is not well, or all of it as JSON. The exit code is the worst level.

use std::process::ExitCode;
use std::time::SystemTime;

use rustix::process::{Resource, getrlimit};
use serde_json::json;

use super::find_database::reach_database;
use crate::config::{Config, RelayUrl, Tls};
use crate::db::{Doctor, Finding, Level};
use crate::feed::{RelayTrial, try_relay};
use crate::stdout::print_line;
use crate::tls::{Pair, open_key};

/// Files beside one for each socket: connections of the database, listeners, logs.
const FEW_FILES: u64 = 4_096;
const WIDTH: usize = 9;
const CHECK_WIDTH: usize = 13;

/// Looks, prints, and returns 0, 1 or 2: all is well, a warning, a failure.
///
/// # Errors
/// The answer can't be written. What else goes wrong is a finding.
pub(crate) async fn doctor(config: &Config, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut findings = match reach_database(config).await {
        Ok((database, embedded)) => {
            let embeds = config.database.is_none();
            let doctor = Doctor::new(database, config.retention, embeds, config.policy.is_asked);
            let findings = doctor.examine().await;
            if let Some(embedded) = embedded {
                embedded.stop().await?;
            }
            findings
        }
        Err(error) => {
            let means =
                "Without a database there is nothing to serve, and nothing else to look at.";
            vec![Finding::failure("connection", format!("{error:#}"), means)]
        }
    };
    let after_disk = findings.iter().position(|f| f.check == "clock");
    findings.insert(after_disk.unwrap_or(findings.len()), file_limit());
    findings.extend(config.tls.as_ref().map(certificate));
    if let Some(servers) = &config.relay {
        findings.push(relay(servers).await);
    }
    let worst = findings.iter().map(|finding| finding.level).max();
    let worst = worst.unwrap_or(Level::Ok);
    if as_json {
        print_report(&findings, worst)?;
    } else {
        let lines: String = findings.iter().map(lines).collect();
        print_line(lines.trim_end())?;
    }
    Ok(ExitCode::from(worst as u8))
}

/// The report where there are no settings to look by: who asks for JSON gets JSON.
///
/// # Errors
/// It can't be written.
pub(crate) fn doctor_unconfigured(problems: &str) -> anyhow::Result<ExitCode> {
    let means = "Nothing was looked at. A server does not start with these settings.";
    let finding = Finding::failure("configuration", problems, means)
        .paste("rowcast check # prints each setting");
    print_report(&[finding], Level::Failure)?;
    Ok(ExitCode::from(Level::Failure as u8))
}

fn print_report(findings: &[Finding], worst: Level) -> anyhow::Result<()> {
    let report = json!({ "status": worst, "findings": findings });
    print_line(serde_json::to_string_pretty(&report)?)
}

fn file_limit() -> Finding {
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return Finding::ok("file_limit", "no limit of open files in this shell");
    };
    let said = format!("{limit} open files, in this shell");
    if limit < FEW_FILES {
        let means = "Each socket of a client is a file; beyond the limit nobody can connect.";
        Finding::warning("file_limit", said, means)
            .paste("ulimit -n 65536 # before rowcast serve; LimitNOFILE=65536 in a systemd unit")
    } else {
        Finding::ok("file_limit", said)
    }
}

/// The certificate as it lies in its files. What a server serves is said by its `/readyz`.
fn certificate(tls: &Tls) -> Finding {
    let pair = match Pair::read(tls) {
        Ok(pair) => pair,
        Err(error) => {
            let means = "A server that runs serves on what it has, and none can start.";
            return Finding::failure("certificate", format!("{error:#}"), means);
        }
    };
    let now = SystemTime::now();
    match (pair.ending(now), open_key(tls)) {
        (Some(ended), _) if now >= pair.not_after => {
            Finding::failure("certificate", ended, "No client can connect.")
        }
        (Some(ending), _) => {
            let means = "From then on no client can connect. Whatever renews it has not, or wrote it elsewhere.";
            Finding::warning("certificate", ending, means)
        }
        (None, Some(open)) => {
            let means = "Whoever has the key can read what clients are sent, and be this server.";
            Finding::warning("certificate", open, means)
        }
        (None, None) => {
            let until = humantime::format_rfc3339_seconds(pair.not_after);
            Finding::ok("certificate", format!("good until {until}"))
        }
    }
}

/// Whether servers would hear each other from here.
async fn relay(servers: &RelayUrl) -> Finding {
    const MEANS: &str = "Every server reads the outbox by itself: nothing is lost, and Postgres works for each of them.";
    let named = servers.servers().collect::<Vec<_>>().join(", ");
    match try_relay(servers).await {
        RelayTrial::Heard(most) => {
            let said = format!("NATS at {named} brings back what is said, {most} bytes at a time");
            Finding::ok("relay", said)
        }
        RelayTrial::Unreachable(why) => {
            let said = format!("NATS at {named} can't be reached from here: {why}");
            Finding::warning("relay", said, MEANS)
                .paste("rowcast check # shows ROWCAST_RELAY: correct its address or its login, or start NATS, or let this machine through to it")
        }
        RelayTrial::Unheard(why) => {
            let why = why.map_or_else(String::new, |why| format!(" ({why})"));
            let said = format!(
                "NATS at {named} is connected, and what is said there does not come back{why}"
            );
            Finding::warning("relay", said, MEANS).paste(
                "permissions: { publish: \"rowcast.relay.>\", subscribe: \"rowcast.relay.>\" } # in nats.conf, at the user of ROWCAST_RELAY",
            )
        }
    }
}

/// A finding as a person reads it.
fn lines(finding: &Finding) -> String {
    let level = match finding.level {
        Level::Ok => "ok",
        Level::Warning => "warning",
        Level::Failure => "failure",
    };
    let check = finding.check;
    let mut lines = format!("{level:WIDTH$}{check:CHECK_WIDTH$} {}\n", finding.said);
    for more in [&finding.means, &finding.paste] {
        for line in more.lines() {
            lines += &format!("{:1$}{line}\n", "", WIDTH + CHECK_WIDTH + 1);
        }
    }
    lines
}
