//! The process environment, completed by `.env`.
//!
//! Owns all reading of environment variables. A variable that is set, even to nothing, is not
//! touched by `.env`. Only the current folder's `.env` counts: a file further up belongs to somebody else.
//! Guarantees that what is not text, or a `.env` that can't be read, is an error and not skipped.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::env_file::Replaced;
use super::passed_sockets::PassedSockets;
use super::problem::{Problem, Refusal};
use super::{env_file, settings};

/// What the environment and `.env` say, and the few facts of the system that defaults depend on.
#[derive(Default)]
pub(super) struct Environment {
    variables: HashMap<String, String>,
    /// Names of those that `.env` alone has.
    in_file: HashSet<String>,
    unknown: Vec<String>,
    replaced: Vec<Replaced>,
    path: Option<OsString>,
    data_home: Option<PathBuf>,
    /// `LISTEN_FDNAMES`
    socket_names: Option<String>,
    public_socket: Option<SocketAddr>,
}

impl Environment {
    #[expect(
        clippy::disallowed_methods,
        reason = "this module is the one that reads the environment"
    )]
    pub(super) fn of_process() -> Result<Self, Problem> {
        let mut variables = Vec::new();
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else {
                continue;
            };
            match value.into_string() {
                Ok(value) => variables.push((name, value)),
                Err(_) if !settings::is_known(&name) => {}
                Err(_) => {
                    return Err(Problem::line(format!(
                        "{name} is not valid UTF-8; give text"
                    )));
                }
            }
        }
        let file = match std::fs::read_to_string(".env") {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(Problem::line(format!(
                    ".env in the current folder cannot be read: {error}"
                )));
            }
        };
        Ok(Self {
            path: std::env::var_os("PATH"),
            socket_names: std::env::var("LISTEN_FDNAMES").ok(),
            data_home: data_home(
                rustix::process::geteuid().is_root(),
                std::env::var_os("XDG_DATA_HOME"),
                std::env::var_os("HOME"),
            ),
            ..Self::layered(variables, &file)?
        })
    }

    /// Puts `variables` over the lines of `file`.
    pub(super) fn layered(
        variables: impl IntoIterator<Item = (String, String)>,
        file: &str,
    ) -> Result<Self, Problem> {
        let variables: HashMap<_, _> = variables.into_iter().collect();
        let file = env_file::parse(file, &variables)?;
        let mut replaced = file.replaced;
        replaced.retain(|it| is_ours(&it.entry) && !variables.contains_key(&it.entry));
        let mut all: HashMap<String, String> = HashMap::new();
        let mut in_file = HashSet::new();
        all.extend(variables.into_iter().filter(|(name, _)| is_ours(name)));
        for (name, value) in file.entries {
            if is_ours(&name) && !all.contains_key(&name) {
                in_file.insert(name.clone());
                all.insert(name, value);
            }
        }
        let mut unknown: Vec<String> = all
            .keys()
            .filter(|name| !settings::is_known(name))
            .cloned()
            .collect();
        unknown.sort();
        Ok(Self {
            variables: all,
            in_file,
            unknown,
            replaced,
            ..Self::default()
        })
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Whether the value comes from `.env`.
    pub(super) fn is_in_file(&self, name: &str) -> bool {
        self.in_file.contains(name)
    }

    /// Variables that look like ours and are not.
    pub(super) fn unknown(&self) -> impl Iterator<Item = &str> {
        self.unknown.iter().map(String::as_str)
    }

    /// A `$` of `.env` that was probably meant otherwise, each in a sentence.
    pub(super) fn replaced(&self) -> impl Iterator<Item = String> {
        self.replaced.iter().map(|it| {
            let Replaced {
                entry, variable, ..
            } = it;
            if it.is_known {
                format!(
                    "{entry} in .env: ${variable} was replaced by that variable's value; put the whole value in single quotes if \
                     the $ is meant as written, and write ${{{variable}}} if not"
                )
            } else {
                format!(
                    "{entry} in .env: there is no variable {variable}, so ${{{variable}}} stands as written; put the whole value \
                     in single quotes if that is meant"
                )
            }
        })
    }

    pub(super) fn search_path(&self) -> Vec<PathBuf> {
        self.path
            .iter()
            .flat_map(std::env::split_paths)
            // An empty or relative entry would run what happens to lie in the current folder.
            .filter(|folder| folder.is_absolute())
            .collect()
    }

    /// Takes the sockets that were passed to the process.
    pub(super) fn take_sockets(&mut self) -> Result<PassedSockets, Problem> {
        let sockets = PassedSockets::take(self.socket_names.as_deref())?;
        self.public_socket = sockets.public_address();
        Ok(sockets)
    }

    /// Where the public one of them listens.
    pub(super) fn public_socket(&self) -> Option<SocketAddr> {
        self.public_socket
    }

    /// Where the embedded Postgres lives when nobody said.
    pub(super) fn data_dir(&self) -> PathBuf {
        let home = self.data_home.clone();
        home.unwrap_or_else(|| PathBuf::from(SYSTEM_DATA_HOME))
            .join("rowcast")
    }
}

/// For root, whose home folder is closed to the user that Postgres then runs as, and for users
/// without a home.
const SYSTEM_DATA_HOME: &str = "/var/lib";

/// The XDG base directory specification's `$XDG_DATA_HOME`, which must be absolute, or its default.
fn data_home(root: bool, xdg: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    if root {
        return None;
    }
    let absolute = |folder: OsString| Some(PathBuf::from(folder)).filter(|path| path.is_absolute());
    let in_home = if cfg!(target_os = "macos") {
        "Library/Application Support"
    } else {
        ".local/share"
    };
    xdg.and_then(absolute)
        .or_else(|| Some(home.and_then(absolute)?.join(in_home)))
}

/// A folder's path, made absolute because Postgres is started elsewhere.
pub(super) fn folder(text: &str) -> Result<PathBuf, Refusal> {
    let accepted = "the path of a folder";
    if text.starts_with('~') {
        return Err(Refusal::because("~ is not expanded here", accepted));
    }
    std::path::absolute(text).map_err(|error| Refusal::because(error.to_string(), accepted))
}

/// A file's path, made absolute.
pub(super) fn file(text: &str) -> Result<PathBuf, Refusal> {
    let accepted = "the path of a file";
    if text.starts_with('~') {
        return Err(Refusal::because("~ is not expanded here", accepted));
    }
    std::path::absolute(text).map_err(|error| Refusal::because(error.to_string(), accepted))
}

fn is_ours(name: &str) -> bool {
    name.starts_with("ROWCAST_") || settings::is_known(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(text: &str) -> Option<OsString> {
        Some(OsString::from(text))
    }

    #[test]
    fn data_home_follows_xdg_then_home() {
        let path = |root, xdg, home| data_home(root, xdg, home);
        assert_eq!(path(true, os("/x"), os("/h")), None);
        assert_eq!(path(false, os("/x"), os("/h")), Some("/x".into()));
        assert_eq!(path(false, os("relative"), None), None);
        assert_eq!(path(false, None, os("")), None);
        let at_home = path(false, os(""), os("/h")).expect("a home");
        assert!(at_home.starts_with("/h"), "{at_home:?}");
        assert_eq!(
            Environment::default().data_dir(),
            PathBuf::from("/var/lib/rowcast")
        );
    }

    #[test]
    fn quotes_comments_export_and_a_byte_order_mark_are_read() {
        let file = "\u{feff}# c\nexport PORT=1 # c\nHOST='a b'\nFRONTEND_URL=\"x\"\nPORT=2\n";
        let environment = Environment::layered([], file).expect("a good file");
        assert_eq!(environment.get("PORT"), Some("1"));
        assert_eq!(environment.get("HOST"), Some("a b"));
        assert_eq!(environment.get("FRONTEND_URL"), Some("x"));
    }

    #[test]
    fn relative_path_entries_are_not_searched() {
        let environment = Environment {
            path: os("/a::rel:/b"),
            ..Environment::default()
        };
        assert_eq!(
            environment.search_path(),
            [PathBuf::from("/a"), PathBuf::from("/b")]
        );
    }
}
