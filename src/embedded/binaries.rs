//! Finds the Postgres binaries to start.
//!
//! Owns the search and the supported majors, 14 to 18.
//! Refuses to download anything, and to look further when `ROWCAST_PG_BINDIR` names a folder: what the user said
//! counts.
//! Guarantees that `postgres` and `initdb` stand in the folder and that `postgres` starts (its version was asked).
//! Relies on `postgres --version`, which runs as any user.

use std::{
    fs,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{bail, ensure};

/// The majors that Rowcast is tested with.
const MAJORS: RangeInclusive<u32> = 14..=18;

/// Where packages put their binaries: a folder, the start of its subfolders' names, and the rest of the path.
const INSTALL_FOLDERS: [(&str, &str, &str); 7] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/local", "pgsql", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// A folder with a Postgres that starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    pub(super) dir: PathBuf,
    pub(super) major: u32,
}

/// Finds the binaries: of major `wanted` for data that exists, else the newest.
///
/// # Errors
/// Says what to do when there are none, none of that major, or none where `ROWCAST_PG_BINDIR` says.
pub(super) fn find(
    bindir: Option<&Path>,
    path: &[PathBuf],
    wanted: Option<u32>,
) -> anyhow::Result<Binaries> {
    let found = match bindir {
        Some(dir) => match inspect(dir) {
            Ok(binaries) => vec![binaries],
            Err(reason) => bail!(
                "ROWCAST_PG_BINDIR is {}: {reason}; accepted is the folder that holds postgres and initdb, major {} to {}",
                dir.display(),
                MAJORS.start(),
                MAJORS.end()
            ),
        },
        None => candidates(path)
            .iter()
            .filter_map(|dir| inspect(dir).ok())
            .collect(),
    };
    choose(found, wanted)
}

/// Whether `psql` is one of the commands of `path`.
pub(super) fn has_psql(path: &[PathBuf]) -> bool {
    path.iter().any(|dir| dir.join("psql").is_file())
}

fn choose(found: Vec<Binaries>, wanted: Option<u32>) -> anyhow::Result<Binaries> {
    ensure!(
        !found.is_empty(),
        "no DATABASE_URL is set and no Postgres of a major from {} to {} is installed: set DATABASE_URL to a database \
         of your own, or install Postgres (Debian: `apt-get install -y postgresql`), or set ROWCAST_PG_BINDIR to the \
         folder that holds postgres and initdb",
        MAJORS.start(),
        MAJORS.end()
    );
    let Some(wanted) = wanted else {
        // The first of the newest, so that PATH wins among equals.
        let newest = found
            .iter()
            .map(|binaries| binaries.major)
            .max()
            .unwrap_or(0);
        return choose(found, Some(newest));
    };
    let majors: Vec<String> = found
        .iter()
        .map(|binaries| format!("{} ({})", binaries.major, binaries.dir.display()))
        .collect();
    match found.into_iter().find(|binaries| binaries.major == wanted) {
        Some(binaries) => Ok(binaries),
        None => bail!(
            "the data there is Postgres {wanted}'s and these are installed: {}; install Postgres {wanted}, or set \
             ROWCAST_PG_BINDIR to its binaries, or ROWCAST_DATA_DIR to another folder",
            majors.join(", ")
        ),
    }
}

/// Folders worth a look, in order, each once.
fn candidates(path: &[PathBuf]) -> Vec<PathBuf> {
    // A link in PATH leads to the real folder, where initdb finds its siblings.
    let on_path = path
        .iter()
        .filter_map(|dir| fs::canonicalize(dir.join("postgres")).ok())
        .filter_map(|file| file.parent().map(Path::to_path_buf));
    let installed = INSTALL_FOLDERS.iter().flat_map(|(parent, prefix, rest)| {
        fs::read_dir(parent)
            .into_iter()
            .flatten()
            .flatten()
            .filter(move |entry| entry.file_name().to_string_lossy().starts_with(prefix))
            .filter_map(move |entry| fs::canonicalize(entry.path().join(rest)).ok())
    });
    let mut folders = Vec::new();
    for dir in on_path.chain(installed) {
        if !folders.contains(&dir) {
            folders.push(dir);
        }
    }
    folders
}

/// What is in a folder, or why it can't be used.
fn inspect(dir: &Path) -> Result<Binaries, String> {
    for name in ["postgres", "initdb"] {
        if !dir.join(name).is_file() {
            return Err(format!("there is no {name} in it"));
        }
    }
    let output = Command::new(dir.join("postgres"))
        .arg("--version")
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("its postgres can't be run ({error})"))?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(format!("its postgres doesn't start ({})", reason.trim()));
    }
    let version = String::from_utf8_lossy(&output.stdout);
    match major(&version) {
        Some(major) if MAJORS.contains(&major) => Ok(Binaries {
            dir: dir.to_path_buf(),
            major,
        }),
        _ => Err(format!("its postgres says \"{}\"", version.trim())),
    }
}

/// The major of a line such as `postgres (PostgreSQL) 15.18 (Debian 15.18-0)` or `... 18beta1`.
fn major(version: &str) -> Option<u32> {
    let number = version.split("(PostgreSQL)").nth(1)?.trim_start();
    let digits = number
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(number.len());
    number[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn binaries(dir: &str, major: u32) -> Binaries {
        Binaries {
            dir: dir.into(),
            major,
        }
    }

    #[test]
    fn version_lines_are_understood() {
        assert_eq!(
            major("postgres (PostgreSQL) 15.18 (Debian 15.18-0)\n"),
            Some(15)
        );
        assert_eq!(major("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(major("postgres (PostgreSQL) 9.6.24"), Some(9));
        assert_eq!(major("something else 15"), None);
    }

    #[test]
    fn new_data_gets_the_newest_and_the_first_among_equals() {
        let found = vec![binaries("/a", 14), binaries("/b", 17), binaries("/c", 17)];
        assert_eq!(choose(found, None).unwrap(), binaries("/b", 17));
    }

    #[test]
    fn existing_data_gets_its_own_major_or_an_error_that_lists_the_others() {
        let found = vec![binaries("/a", 14), binaries("/b", 17)];
        assert_eq!(choose(found.clone(), Some(14)).unwrap(), binaries("/a", 14));
        let error = choose(found, Some(15)).unwrap_err().to_string();
        assert!(error.contains("Postgres 15's"), "{error}");
        assert!(error.contains("14 (/a), 17 (/b)"), "{error}");
    }

    #[test]
    fn without_binaries_the_three_remedies_are_named() {
        let error = choose(Vec::new(), None).unwrap_err().to_string();
        for remedy in [
            "DATABASE_URL",
            "apt-get install -y postgresql",
            "ROWCAST_PG_BINDIR",
        ] {
            assert!(error.contains(remedy), "{error}");
        }
    }

    #[test]
    fn a_link_in_path_leads_to_the_real_folder() {
        let root = std::env::temp_dir().join(format!("rowcast-binaries-{}", std::process::id()));
        let (real, links) = (root.join("real"), root.join("links"));
        fs::create_dir_all(&real).unwrap();
        fs::create_dir_all(&links).unwrap();
        for name in ["postgres", "initdb"] {
            fs::write(
                real.join(name),
                "#!/bin/sh\necho 'postgres (PostgreSQL) 16.1'\n",
            )
            .unwrap();
            fs::set_permissions(real.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        symlink(real.join("postgres"), links.join("postgres")).unwrap();
        let folders = candidates(&[links]);
        assert_eq!(folders[0], fs::canonicalize(&real).unwrap());
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_wrong_bindir_is_an_error_that_names_it() {
        let error = find(Some(Path::new("/nowhere")), &[], None)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("ROWCAST_PG_BINDIR is /nowhere: there is no postgres in it"),
            "{error}"
        );
    }
}
