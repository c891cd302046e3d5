//! Looks settings up: a flag wins over the environment, that over the default.
//!
//! Guarantees that every bad value is reported, not only the first.

use std::path::PathBuf;

use super::environment::{self, Environment};
use super::problem::{self, ConfigError, Problem, Refusal};
use super::settings::{Flags, setting_named};

/// Reads one setting after the other and remembers what was wrong.
pub(super) struct SettingLookup<'a> {
    flags: &'a Flags,
    environment: &'a Environment,
    problems: Vec<Problem>,
}

impl<'a> SettingLookup<'a> {
    pub(super) fn new(flags: &'a Flags, environment: &'a Environment) -> Self {
        Self {
            flags,
            environment,
            problems: Vec::new(),
        }
    }

    /// A setting that has a default value.
    pub(super) fn value<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, Refusal>,
    ) -> T {
        self.optional(name, &parse).unwrap_or_else(|| {
            parse(setting_named(name).default.text())
                .expect("the default of every setting is accepted")
        })
    }

    /// A setting that may be missing.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        let text = self.given(name).filter(|text| !text.is_empty())?;
        parse(text)
            .map_err(|refusal| self.refuse(name, &refusal))
            .ok()
    }

    /// A setting that has a default value and that an empty value turns off.
    pub(super) fn unless_empty<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        match self.given(name) {
            Some("") => None,
            _ => Some(self.value(name, parse)),
        }
    }

    /// A secret, or the file that holds it: one of them, or none. Also the file, where it was that.
    pub(super) fn secret<T>(
        &mut self,
        name: &'static str,
        file_name: &'static str,
        parse: impl Fn(&str) -> Result<T, Refusal>,
    ) -> Option<(T, Option<PathBuf>)> {
        let value = self.optional(name, &parse);
        let file = self.optional(file_name, environment::file);
        let Some(path) = file else {
            return value.map(|value| (value, None));
        };
        let accepted = "a file with the value of the setting, and nothing else";
        if self.given(name).is_some_and(|text| !text.is_empty()) {
            let why = format!("{name} is set as well");
            self.refuse(file_name, &Refusal::because(why, "one of the two"));
            return None;
        }
        let parsed = match std::fs::read_to_string(&path) {
            Ok(text) => parse(text.trim()),
            Err(error) => Err(Refusal::because(error.to_string(), accepted)),
        };
        parsed
            .map_err(|refusal| self.refuse(file_name, &refusal))
            .ok()
            .map(|value| (value, Some(path)))
    }

    /// Whether a value was refused.
    pub(super) fn has_problems(&self) -> bool {
        !self.problems.is_empty()
    }

    /// Whether anything was given for a setting.
    pub(super) fn is_said(&self, name: &'static str) -> bool {
        self.given(name).is_some_and(|text| !text.is_empty())
    }

    /// Records that the value of `name` can't be used.
    pub(super) fn refuse(&mut self, name: &'static str, refusal: &Refusal) {
        let setting = setting_named(name);
        let value = self.given(name).unwrap_or(setting.default.text());
        let is_secret = setting.secret || problem::is_private_key(value);
        let shown = (!is_secret).then_some(value);
        self.problems.push(Problem::refused(name, shown, refusal));
    }

    pub(super) fn finish(self) -> Result<(), ConfigError> {
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(ConfigError(self.problems))
        }
    }

    fn given(&self, name: &'static str) -> Option<&'a str> {
        let flag = self.flags.get(name);
        flag.or_else(|| self.environment.get(name)).map(str::trim)
    }
}
