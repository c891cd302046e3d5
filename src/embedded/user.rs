//! Who runs Postgres: never root.
//!
//! Owns the choice of the user, and the check that this user can reach a folder.
//! Refuses a uid without a passwd entry, as initdb does.
//! Guarantees that data which exists is run by its owner, whichever users were added since.
//! Relies on `/etc/passwd`: users from elsewhere (LDAP) are not looked for.

use std::{
    fs::{self, File},
    os::unix::fs::{MetadataExt, fchown},
    path::Path,
};

use anyhow::{Context, bail, ensure};

/// A user to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// The user that must run the Postgres of `data`; `None` when that is who we are.
///
/// # Errors
/// When existing data belongs to somebody whom we can't become, or when no user is there to become.
pub(super) fn choose(data: &Path) -> anyhow::Result<Option<User>> {
    let me = rustix::process::geteuid();
    let owner = fs::metadata(data).ok().map(|metadata| metadata.uid());
    if !me.is_root() {
        if let Some(owner) = owner {
            ensure!(
                owner == me.as_raw(),
                "{} belongs to the user with id {owner}, and this is {}: run as that user, or set ROWCAST_DATA_DIR to \
                 another folder",
                data.display(),
                me.as_raw()
            );
        }
        return Ok(None);
    }
    let passwd = fs::read_to_string("/etc/passwd").context("can't read /etc/passwd")?;
    let users: Vec<User> = passwd.lines().filter_map(parse).collect();
    let named = |name: &str| users.iter().find(|user| user.name == name);
    let user = match owner {
        Some(0) => bail!(
            "{} belongs to root, as whom Postgres refuses to run: give it to the user postgres (chown -R postgres)",
            data.display()
        ),
        Some(owner) => match users.iter().find(|user| user.uid == owner) {
            Some(user) => user,
            None => bail!(
                "{} belongs to the user id {owner}, which is not in /etc/passwd: Postgres refuses to run as it",
                data.display()
            ),
        },
        None => named("postgres")
            .or_else(|| named("nobody"))
            .context("Postgres refuses to run as root, and there is neither a user postgres nor nobody: add one, or run Rowcast as a plain user")?,
    };
    Ok(Some(user.clone()))
}

/// Gives an open folder to the user; `path` is what it is called.
pub(super) fn give(folder: &File, path: &Path, user: Option<&User>) -> anyhow::Result<()> {
    if let Some(user) = user {
        fchown(folder, Some(user.uid), Some(user.gid))
            .with_context(|| format!("can't give {} to the user {}", path.display(), user.name))?;
    }
    Ok(())
}

/// Checks that the user may pass every folder down to and including `path`.
///
/// Postgres and initdb would only say "Permission denied" about some file in it. The error ends with the `remedy`.
pub(super) fn reaches(user: Option<&User>, path: &Path, remedy: &str) -> anyhow::Result<()> {
    let Some(user) = user else { return Ok(()) };
    let mut folders: Vec<&Path> = path.ancestors().collect();
    folders.reverse();
    for folder in folders {
        let metadata =
            fs::metadata(folder).with_context(|| format!("can't look at {}", folder.display()))?;
        ensure!(
            may_pass(user, metadata.uid(), metadata.gid(), metadata.mode()),
            "Postgres runs as the user {} here, who can't enter {}: {remedy}",
            user.name,
            folder.display()
        );
    }
    Ok(())
}

/// The kernel's rule: the first class that applies decides alone.
fn may_pass(user: &User, owner: u32, group: u32, mode: u32) -> bool {
    let bit = if owner == user.uid {
        0o100
    } else if group == user.gid {
        0o010
    } else {
        0o001
    };
    mode & bit != 0
}

fn parse(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let id = |text: &str| text.parse::<i64>().ok().map(|id| id as u32);
    let uid = id(fields.nth(1)?)?;
    let gid = id(fields.next()?)?;
    Some(User { name, uid, gid })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn postgres() -> User {
        User {
            name: "postgres".into(),
            uid: 101,
            gid: 104,
        }
    }

    #[test]
    fn passwd_lines_are_understood() {
        let line = "postgres:x:101:104:PostgreSQL administrator,,,:/var/lib/postgresql:/bin/bash";
        assert_eq!(parse(line), Some(postgres()));
        assert_eq!(
            parse("nobody:*:-2:-2::/:/usr/bin/false").unwrap().uid,
            u32::MAX - 1
        );
        assert_eq!(parse("# a comment"), None);
    }

    #[test]
    fn the_first_class_that_applies_decides() {
        assert!(may_pass(&postgres(), 0, 0, 0o755));
        assert!(!may_pass(&postgres(), 0, 0, 0o700));
        assert!(may_pass(&postgres(), 0, 104, 0o750));
        assert!(!may_pass(&postgres(), 101, 104, 0o077));
    }
}
