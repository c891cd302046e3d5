//! `rowcast check`: the configuration alone. Connects to nothing.

use crate::config::{Config, Shown};

/// Prints every setting with where it came from, and what was ignored. Bad values are the caller's to name.
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the command's answer"
)]
pub(crate) fn check(shown: &Shown, config: Option<&Config>) {
    print!("{shown}");
    for warning in config.iter().flat_map(|config| &config.warnings) {
        eprintln!("rowcast: warning: {warning}");
    }
}
