//! `rowcast attach`: attaches a table, or those of a file, or shows what that would do.
//!
//! Owns how it is told; what is accepted is the database's to say (`rowcast.attach`). Each refusal names the flag, or the line of the
//! file, that it is about. Guarantees that a dry run changes nothing: `rowcast.preview` promises that.

mod argument;
mod difference;
mod examples;
mod file;

use std::process::ExitCode;

use anyhow::anyhow;
use serde_json::json;

use super::find_database::on_database;
use super::wrong_usage::WrongUsage;
use crate::config::{AttachArgs, AttachFlags, Config};
use crate::db::{Preview, WantedSource, attach_all, preview};
use crate::one_line::one_line;
use crate::stdout::print_line;

/// Attaches what the arguments say, or shows what that would do.
///
/// # Errors
/// What was refused, by its flag or its line, and what is accepted; or the database can't be reached.
pub(crate) async fn attach(config: &Config, args: &AttachArgs) -> anyhow::Result<ExitCode> {
    let AttachFlags { table, .. } = &args.flags;
    match (&args.file, table) {
        (Some(file), _) => file::attach_file(config, args, file).await,
        (None, Some(table)) => attach_one(config, args, table).await,
        (None, None) => {
            Err(WrongUsage::new("TABLE is missing; accepted: a table, or --file").into())
        }
    }
}

async fn attach_one(config: &Config, args: &AttachArgs, table: &str) -> anyhow::Result<ExitCode> {
    let arguments = args.flags.arguments();
    let wanted = [WantedSource {
        table,
        arguments: &arguments,
    }];
    let refused = |(_, why): (_, String)| {
        let told = argument::by_flag(&why, &arguments);
        match argument::parameter_of(&why, &arguments) {
            Some(_) => WrongUsage::new(&told).into(),
            None => anyhow!(one_line(&told, |_| false).into_owned()),
        }
    };
    let attach = async |database| {
        let previews = preview(&database, &wanted, args.dry_run).await;
        let previews = previews.map_err(refused)?;
        let preview = previews.into_iter().next();
        let preview = preview.ok_or_else(|| anyhow!("the database said nothing"))?;
        if !args.dry_run {
            let attached = attach_all(&database, &[&preview.call], &[]).await;
            attached.map_err(refused)?;
        }
        Ok(preview)
    };
    let preview = on_database(config, attach).await?;
    if args.json {
        let Preview {
            source, notices, ..
        } = &preview;
        print_line(match args.dry_run {
            true => serde_json::to_string_pretty(&preview)?,
            false => json!({ "source": source, "notices": notices }).to_string(),
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    for notice in &preview.notices {
        tell(&argument::with_flags(notice));
    }
    if args.dry_run {
        examples::print(&preview)?;
    } else {
        print_line(format_args!("{} is attached", preview.source))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Says what attaching was in doubt about, beside the answer.
#[expect(clippy::print_stderr, reason = "beside the command's answer")]
fn tell(notice: &str) {
    eprintln!("rowcast: notice: {}", one_line(notice, |_| false));
}
