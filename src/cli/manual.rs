//! `rowcast manual`: the man pages and the completions of three shells, out of the command line's one definition.
//!
//! For whoever packages Rowcast. Needs no settings and connects to nothing. The names are those that `man` and the shells look for.
//! The settings are options of every command; they stand in `rowcast.1` and are completed before the command alone, because they would
//! be most of what is said of each.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::Context as _;
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::config::command_line;

/// What the page of a command says at its end.
const SETTINGS: &str = "The settings of rowcast(1) are options of this command, too.";

/// Writes `rowcast.1`, a page for each command, `rowcast.bash`, `_rowcast` and `rowcast.fish`.
///
/// # Errors
/// A file can't be written.
pub(crate) fn manual(folder: &Path) -> anyhow::Result<()> {
    let written = write_all(folder);
    written.with_context(|| folder.display().to_string())
}

fn write_all(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let (outline, whole) = described(&command_line());
    for command in whole.get_subcommands() {
        let name = format!("rowcast-{}", command.get_name());
        let mut text = Vec::new();
        page(of_command(command, &name)).render(&mut text)?;
        fs::write(folder.join(format!("{name}.1")), text)?;
    }
    let mut text = Vec::new();
    write_first_page(&page(outline), &page(whole.clone()), &mut text)?;
    fs::write(folder.join("rowcast.1"), text)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut whole.clone(), "rowcast", folder)?;
    }
    Ok(())
}

/// The command line without what is hidden: once without the settings, and once with them.
fn described(line: &Command) -> (Command, Command) {
    let shown = line.get_subcommands().filter(|one| !one.is_hide_set());
    let outline = Command::new("rowcast")
        .version(env!("CARGO_PKG_VERSION"))
        .about(line.get_about().cloned().unwrap_or_default())
        .after_help(line.get_after_help().cloned().unwrap_or_default())
        .disable_help_subcommand(true)
        .subcommands(shown.cloned());
    let settings = line.get_arguments().cloned();
    let whole = outline
        .clone()
        .args(settings.map(|setting| setting.global(false)));
    (outline, whole)
}

/// A command as a page of its own.
fn of_command(command: &Command, name: &str) -> Command {
    let examples = command.get_after_help().map(|text| format!("{text}\n\n"));
    command
        .clone()
        .version(env!("CARGO_PKG_VERSION"))
        .bin_name(name.replacen('-', " ", 1))
        .display_name(name.to_owned())
        .after_help(format!("{}{SETTINGS}", examples.unwrap_or_default()))
}

fn page(command: Command) -> Man {
    Man::new(command).source(concat!("rowcast ", env!("CARGO_PKG_VERSION")))
}

/// The page of `rowcast` itself, whose synopsis would be a screen long with the settings.
fn write_first_page(outline: &Man, whole: &Man, to: &mut dyn Write) -> std::io::Result<()> {
    outline.render_title(to)?;
    outline.render_name_section(to)?;
    outline.render_synopsis_section(to)?;
    outline.render_description_section(to)?;
    whole.render_options_section(to)?;
    outline.render_subcommands_section(to)?;
    outline.render_extra_section(to)
}
