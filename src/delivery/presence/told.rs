//! Who is in one room, and what its watchers were told of that. No I/O, and no clock of its own.
//!
//! Guarantees that each change that is told changes what was told before: nobody joins twice, and nobody leaves who has not joined. A
//! subject is told as soon as it is there, and as gone only when it has been away for the whole of [`DEBOUNCE`], on all servers.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::presence::{Since, Subject};

/// Whoever comes back within this time has not left.
pub(super) const DEBOUNCE: Duration = Duration::from_secs(5);

/// Where a subject is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Source {
    /// At this server.
    Here,
    /// At another one: its number, and that of the row.
    There { server: i64, id: i64 },
}

/// Who is in a room, and who was told to be.
#[derive(Debug, Default)]
pub(super) struct ToldRoom {
    present: HashMap<Subject, BTreeMap<Source, Since>>,
    told: HashMap<Subject, Since>,
    /// Of those that were told, who is away, and when that will be told.
    leaving: HashMap<Subject, Instant>,
}

impl ToldRoom {
    /// A subject is connected at a source since a time, or is not any more. Returns since when, if that is to be told as a join.
    pub(super) fn set(
        &mut self,
        subject: &Subject,
        source: Source,
        since: Option<Since>,
        now: Instant,
    ) -> Option<Since> {
        match since {
            Some(since) => {
                let sources = self.present.entry(subject.clone()).or_default();
                sources.insert(source, since);
                self.leaving.remove(subject);
                if self.told.contains_key(subject) {
                    return None;
                }
                let first = sources.values().min().copied().unwrap_or(since);
                self.told.insert(subject.clone(), first);
                Some(first)
            }
            None => {
                if let Some(sources) = self.present.get_mut(subject) {
                    sources.remove(&source);
                    if sources.is_empty() {
                        self.present.remove(subject);
                    }
                }
                if !self.present.contains_key(subject) && self.told.contains_key(subject) {
                    let due = now + DEBOUNCE;
                    self.leaving.entry(subject.clone()).or_insert(due);
                }
                None
            }
        }
    }

    /// Nothing was told yet, and from here on what holds counts as told.
    pub(super) fn begin(&mut self) {
        self.leaving.clear();
        let first = |sources: &BTreeMap<Source, Since>| sources.values().min().copied();
        let present = self.present.iter();
        self.told = present
            .filter_map(|(subject, sources)| Some((subject.clone(), first(sources)?)))
            .collect();
    }

    /// The subjects that are to be told to have left by now, each with the time that its join was told with.
    pub(super) fn take_left(&mut self, now: Instant) -> Vec<(Subject, Since)> {
        let due = self.leaving.iter().filter(|(_, due)| **due <= now);
        let due: Vec<Subject> = due.map(|(subject, _)| subject.clone()).collect();
        let left = due.into_iter().filter_map(|subject| {
            self.leaving.remove(&subject);
            let since = self.told.remove(&subject)?;
            Some((subject, since))
        });
        left.collect()
    }

    /// Whether somebody is away and not told to have left yet.
    pub(super) fn has_leaving(&self) -> bool {
        !self.leaving.is_empty()
    }

    /// How many subjects were told to be there.
    pub(super) fn len(&self) -> usize {
        self.told.len()
    }

    /// How long their names are together.
    pub(super) fn bytes(&self) -> usize {
        self.told.keys().map(|subject| subject.len()).sum()
    }

    /// Those that were told to be there, who came first before others: `most` of them at most.
    pub(super) fn first(&self, most: usize) -> Vec<(&Subject, Since)> {
        let mut all: Vec<_> = self.told.iter().map(|(who, since)| (who, *since)).collect();
        let order = |(who, since): &(&Subject, Since)| (*since, (*who).clone());
        if all.len() > most {
            all.select_nth_unstable_by_key(most, order);
            all.truncate(most);
        }
        all.sort_by_key(order);
        all
    }

    /// What other servers have here.
    pub(super) fn remote(&self) -> Vec<(Subject, Source)> {
        let present = self.present.iter();
        let all = present.flat_map(|(subject, sources)| {
            let sources = sources.keys();
            sources.map(|source| (subject.clone(), *source))
        });
        all.filter(|(_, source)| *source != Source::Here).collect()
    }
}

#[cfg(test)]
mod tests;
