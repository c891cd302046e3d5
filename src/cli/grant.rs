//! `rowcast grant`: the rights of a role, printed or given.

use std::process::ExitCode;

use super::find_database::reach_database;
use crate::config::{Config, GrantArgs};
use crate::db::{Wanted, apply_grants, grants_for};
use crate::stdout::print_line;

/// Prints every grant, or runs them. What is refused is printed with the reason, for somebody else to run, and the exit code is 1.
///
/// # Errors
/// There is no such role or schema, or the database can't be reached.
pub(crate) async fn grant(config: &Config, args: &GrantArgs) -> anyhow::Result<ExitCode> {
    let wanted = Wanted {
        serve: args.serve || !(args.attach || args.emit || args.revoke),
        attach: args.attach,
        emit: args.emit,
        revoke: args.revoke,
    };
    let (database, embedded) = reach_database(config).await?;
    let done = async {
        let mut grants = grants_for(&database, &args.role, wanted).await?;
        if args.apply {
            apply_grants(&database, &mut grants).await?;
        }
        Ok::<_, anyhow::Error>(grants)
    };
    let done = done.await;
    if let Some(embedded) = embedded {
        embedded.stop().await?;
    }
    let grants = done?;
    for grant in &grants {
        match &grant.refused {
            Some(why) => print_line(format_args!("{} -- NOT GIVEN: {why}", grant.sql))?,
            None => print_line(&grant.sql)?,
        }
    }
    let refused = grants
        .iter()
        .filter(|grant| grant.refused.is_some())
        .count();
    if refused > 0 {
        print_line(format_args!(
            "-- {refused} of {} were not given: let the owner of the object, or a superuser, run them",
            grants.len()
        ))?;
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
