//! `rowcast grant`: the rights of a role, printed or given.

use std::process::ExitCode;

use super::find_database::on_database;
use crate::config::{Config, GrantArgs};
use crate::db::{Grant, Wanted, apply_grants, grants_for, policy_givers, ungiven};
use crate::stdout::print_line;

/// Prints every grant, or runs them. What is refused is printed with the reason, for somebody else to run, and the exit code is 1; but
/// not for what is of use only where clients have tokens: a server works without it, and says so itself.
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
    let give = async |database| {
        let mut grants = grants_for(&database, &args.role, wanted).await?;
        if args.apply {
            apply_grants(&database, &args.role, &mut grants).await?;
        }
        let is_refused = |grant: &Grant| grant.is_for_tokens && grant.refused.is_some();
        let givers = if grants.iter().any(is_refused) {
            policy_givers(&database).await?
        } else {
            Vec::new()
        };
        Ok((grants, givers))
    };
    let done = on_database(config, async |database| {
        give(database).await.map_err(ungiven)
    });
    let (grants, givers) = done.await?;
    report(&grants, &givers)
}

fn report(grants: &[Grant], givers: &[String]) -> anyhow::Result<ExitCode> {
    for grant in grants {
        match &grant.refused {
            Some(why) => print_line(format_args!("{} -- NOT GIVEN: {why}", grant.sql))?,
            None => print_line(&grant.sql)?,
        }
    }
    let refused = |is_for_tokens| {
        let refused = grants.iter().filter(|grant| grant.refused.is_some());
        refused
            .filter(|grant| grant.is_for_tokens == is_for_tokens)
            .count()
    };
    let (others, for_tokens) = (refused(false), refused(true));
    if for_tokens > 0 {
        print_line(format_args!(
            "-- WARNING: {for_tokens} of {} were not given. They are of use only with ROWCAST_AUTH=jwt: without them the policy rowcast.may_join would \
             run with the server's own rights. Run them in this database as a superuser, or as a role that may make roles and owns the \
             schema rowcast; roles of either kind here: {}",
            grants.len(),
            givers.join(", ")
        ))?;
    }
    if others > 0 {
        print_line(format_args!(
            "-- {others} of {} were not given: let the owner of the object, the role whose default privileges they are, or a superuser, run them",
            grants.len()
        ))?;
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
