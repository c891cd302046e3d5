//! Every setting as a person may see it: its value, and where that came from.
//!
//! Guarantees that no secret is shown: of a database URL, user, host, port and database.

use std::fmt;

use super::database_url::DatabaseUrl;
use super::environment::Environment;
use super::problem::{is_private_key, quote};
use super::settings::{DefaultValue, Flags, SETTINGS};

/// One setting.
#[derive(Debug)]
pub(crate) struct ShownSetting {
    pub name: &'static str,
    pub value: String,
    /// `flag`, `environment`, `.env` or `default`.
    pub from: &'static str,
}

/// All settings, in the order of `--help`. Its `Display` is a table.
#[derive(Debug)]
pub(crate) struct Shown(pub Vec<ShownSetting>);

pub(super) fn settings(flags: &Flags, environment: &Environment) -> Vec<ShownSetting> {
    let shown = SETTINGS.iter().map(|setting| {
        let name = setting.name;
        let (text, from) = match (flags.get(name), environment.get(name)) {
            (Some(text), _) => (Some(text), "flag"),
            (None, Some(text)) if environment.is_in_file(name) => (Some(text), ".env"),
            (None, text) => (text, "environment"),
        };
        // An empty value stands for the default; the admin listener alone is turned off by it.
        let given = text.map(str::trim);
        let (value, from) = match given {
            Some("") if name == "ROWCAST_ADMIN" => ("off".to_owned(), from),
            Some("") | None => (default_text(setting.default), "default"),
            Some(text) if setting.secret => (without_secret(text), from),
            Some(text) if is_private_key(text) => ("(not shown)".to_owned(), from),
            Some(text) => (one_line(text), from),
        };
        ShownSetting { name, value, from }
    });
    shown.collect()
}

fn default_text(default: DefaultValue) -> String {
    match default {
        DefaultValue::Value(text) => text.to_owned(),
        DefaultValue::Words(words) => format!("({words})"),
    }
}

/// Only of a database URL anything can be shown.
fn without_secret(text: &str) -> String {
    DatabaseUrl::parse(text).map_or_else(|_| "(not shown)".to_owned(), |url| url.to_string())
}

/// As it is, where that stays on one line.
fn one_line(text: &str) -> String {
    if text.chars().any(char::is_control) || text.len() > 200 {
        quote(text)
    } else {
        text.to_owned()
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |of: fn(&ShownSetting) -> usize| self.0.iter().map(of).max().unwrap_or(0);
        let (names, values) = (width(|s| s.name.len()), width(|s| s.value.len().min(60)));
        for ShownSetting { name, value, from } in &self.0 {
            writeln!(f, "{name:names$}  {value:values$}  {from}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Cli;
    use clap::Parser as _;

    #[test]
    fn a_setting_shows_where_it_came_from_and_no_secret() {
        let cli = Cli::try_parse_from(["rowcast", "--rowcast-poll=2s"]).expect("a command line");
        let variables = [
            ("PORT", "4000"),
            ("DATABASE_URL", "postgres://app:hunter2@db:5433/app"),
            ("ROWCAST_DRAIN", ""),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let file = "PORT=5000\nROWCAST_LOG=debug\nROWCAST_POLL=9s\n";
        let environment = Environment::layered(variables, file).expect("an environment");
        let shown = Shown(settings(&cli.flags, &environment));
        let line = |name: &str| {
            let found = shown.0.iter().find(|shown| shown.name == name);
            let found = found.expect("it is a setting");
            (found.value.as_str(), found.from)
        };
        assert_eq!(line("ROWCAST_POLL"), ("2s", "flag"));
        assert_eq!(line("PORT"), ("4000", "environment"));
        assert_eq!(line("ROWCAST_LOG"), ("debug", ".env"));
        assert_eq!(line("ROWCAST_DRAIN"), ("10s", "default"));
        assert_eq!(line("ROWCAST_DATA_DIR").1, "default");
        assert_eq!(
            line("DATABASE_URL"),
            ("postgres://app@db:5433/app", "environment")
        );
        assert!(!shown.to_string().contains("hunter2"));
    }
}
