//! `rowcast check`: the configuration alone. Connects to nothing.

use crate::config::{Config, Shown};
use crate::stdout::print_line;

/// Prints every setting with where it came from, and what was ignored. Bad values are the caller's to name.
///
/// # Errors
/// They can't be printed.
#[expect(clippy::print_stderr, reason = "beside the command's answer")]
pub(crate) fn check(shown: &Shown, config: Option<&Config>) -> anyhow::Result<()> {
    print_line(shown.to_string().trim_end())?;
    for warning in config.iter().flat_map(|config| &config.warnings) {
        eprintln!("rowcast: warning: {warning}");
    }
    Ok(())
}
