//! The command line, parsed; what is wrong with it is told in one line, as everything else is.

use clap::Parser as _;
use clap::error::ErrorKind;

use super::Cli;

/// The exit code of a command that was called wrongly.
pub(crate) const WRONG_USAGE: u8 = 2;

/// Parses it. Ends the process for `--help`, `--version` and a misused command line.
#[expect(
    clippy::print_stderr,
    reason = "the one line that says what is wrong with the command line"
)]
pub(super) fn parse() -> Cli {
    let error = match Cli::try_parse() {
        Ok(cli) => return cli,
        Err(error) => error,
    };
    let is_help = error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if is_help || !error.use_stderr() {
        error.exit();
    }
    eprintln!("rowcast: {}", told(&error.to_string()));
    std::process::exit(WRONG_USAGE.into())
}

/// What clap says, without the usage that it shows beside.
fn told(error: &str) -> String {
    let is_beside = |line: &&str| !line.starts_with("Usage:") && !line.starts_with("For more");
    let lines = error.lines().take_while(is_beside).map(str::trim);
    let lines: Vec<_> = lines.filter(|line| !line.is_empty()).collect();
    let text = lines.join(" ");
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    text.replace(char::is_control, "?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_one_line() {
        for (arguments, words) in [
            (
                &["rowcast", "attach", "t", "--rules", "x"][..],
                &["--rules <RULE>", "accepted: "][..],
            ),
            (
                &["rowcast", "attach", "t", "--rom", "x"],
                &["'--rom'", "'--room'"],
            ),
            (&["rowcast", "attach"], &["--file"]),
            (&["rowcast", "a\nb"], &["'a b'"]),
        ] {
            let error = Cli::try_parse_from(arguments).expect_err("a refusal");
            let told = told(&error.to_string());
            let is_told = words.iter().all(|word| told.contains(word));
            assert!(is_told && !told.contains('\n'), "{words:?}: {told}");
        }
    }
}
