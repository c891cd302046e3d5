//! What the benchmark takes from its environment, and what its children must not.
#![expect(
    clippy::disallowed_methods,
    reason = "the benchmark has no Config; this is its one file that reads the environment"
)]

use std::path::PathBuf;
use std::process::Command;

/// Where the user says that the Postgres binaries are.
pub(crate) fn named_bindir() -> Option<PathBuf> {
    std::env::var_os("ROWCAST_PG_BINDIR").map(PathBuf::from)
}

/// The folders of `PATH`.
pub(crate) fn path_folders() -> Vec<PathBuf> {
    std::env::var_os("PATH").map_or_else(Vec::new, |path| std::env::split_paths(&path).collect())
}

/// Takes from a child what would set Rowcast, `pg` or Postgres's own programs up differently from one machine to another.
pub(crate) fn scrub(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let is_setting = |name: &str| name.starts_with("PG") || name.starts_with("ROWCAST_");
        if name.to_str().is_some_and(is_setting) || name == "FRONTEND_URL" {
            command.env_remove(name);
        }
    }
}
