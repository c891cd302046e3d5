//! Looks after the attached tables while the server runs.
//!
//! A table that is renamed, swapped, or loses its triggers causes no event and no error: nobody would notice. So the server looks
//! at `rowcast.sources` every few seconds, and at once when a table is attached or detached.
//! Guarantees one line of the log when a problem appears and one when it is over. Readiness and the metric hold what was seen
//! last; while the database is away they stay as they are.
//! Before it looks, it has partitions captured that came since their table was attached: without that, what is written to one by its own
//! name would cause no event.
//! Refuses to mend anything else, and to make the server unready: the other tables are served as well as ever.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::db::{Pool, Source, cause_of, follow_tables, is_transient, sources};
use crate::metrics::Metrics;
use crate::status::SourcesStatus;

/// Between two looks, where no notification asks for one earlier.
const PAUSE: Duration = Duration::from_secs(10);
/// Times in one look that partitions are followed, some at a time.
const MAX_FOLLOWED: usize = 100;

/// What looks, and where what it sees goes.
pub(crate) struct SourceWatch {
    /// Where it looks.
    pub pool: Pool,
    /// Says that a table was attached or detached, or that such a word may have been missed.
    pub changed: watch::Receiver<()>,
    /// Takes what was seen.
    pub status: watch::Sender<SourcesStatus>,
    /// Has the number of problems of each table.
    pub metrics: Metrics,
}

impl SourceWatch {
    /// Looks until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut seen = Seen::default();
        loop {
            self.changed.mark_unchanged();
            let look = async {
                seen.follow(&self.pool).await;
                sources(&self.pool).await
            };
            let found = tokio::select! {
                () = stop.cancelled() => return,
                found = look => found,
            };
            let status = match found {
                Ok(found) => Some(seen.take(&found, &self.metrics)),
                // The reader says that the database is away.
                Err(error) if is_transient(&error) => None,
                Err(error) => Some(seen.fail(&cause_of(&error))),
            };
            if let Some(status) = status {
                self.status.send_replace(status);
            }
            tokio::select! {
                () = stop.cancelled() => return,
                // Never an error: the listener, which has the other end, ends only with the server.
                _ = timeout(PAUSE, self.changed.changed()) => {}
            }
        }
    }
}

/// What the last look saw.
#[derive(Default)]
struct Seen {
    /// Each table with its problems; `None` before the first look.
    tables: Option<BTreeMap<String, Vec<String>>>,
    failing: Option<String>,
    /// Why partitions can't be followed.
    unfollowed: Option<String>,
}

impl Seen {
    /// Has partitions followed, some at a time, until there is nothing to do.
    async fn follow(&mut self, pool: &Pool) {
        for _ in 0..MAX_FOLLOWED {
            match follow_tables(pool).await {
                Ok(done) if done.is_empty() => {
                    self.unfollowed = None;
                    return;
                }
                Ok(done) => done.iter().for_each(|line| tracing::info!("{line}")),
                // The reader says that the database is away.
                Err(error) if is_transient(&error) => return,
                Err(error) => {
                    let why = cause_of(&error);
                    if self.unfollowed.as_ref() != Some(&why) {
                        tracing::warn!(
                            "partitions that come are not captured by themselves: {why}; attach their tables again, or: rowcast grant ROLE"
                        );
                    }
                    self.unfollowed = Some(why);
                    return;
                }
            }
        }
    }

    /// Takes what a look found, and tells the log what is different.
    fn take(&mut self, found: &[Source], metrics: &Metrics) -> SourcesStatus {
        if self.failing.take().is_some() {
            tracing::info!("the attached tables can be looked at again");
        }
        // What is attached at the start is announced there.
        let first = self.tables.is_none();
        let mut before = self.tables.take().unwrap_or_default();
        for Source {
            source,
            room,
            problems,
        } in found
        {
            let known = before.remove(source);
            if known.is_none() && !first {
                tracing::info!(source, room, "attached");
            }
            log_changes(source, &known.unwrap_or_default(), problems);
            metrics.source_problems(source, problems.len());
        }
        for (source, problems) in &before {
            log_changes(source, problems, &[]);
            tracing::info!(source, "detached");
            metrics.forget_source(source);
        }
        let tables: BTreeMap<_, _> = found
            .iter()
            .map(|found| (found.source.clone(), found.problems.clone()))
            .collect();
        self.tables = Some(tables.clone());
        SourcesStatus {
            problems: tables
                .into_iter()
                .filter(|(_, problems)| !problems.is_empty())
                .collect(),
            failing: None,
        }
    }

    /// Takes the failure of a look.
    fn fail(&mut self, cause: &str) -> SourcesStatus {
        let failing = format!(
            "the attached tables can't be looked at, so their problems are not known: {cause}"
        );
        if self.failing.as_ref() != Some(&failing) {
            tracing::warn!("{failing}");
        }
        self.failing = Some(failing);
        SourcesStatus {
            problems: BTreeMap::new(),
            failing: self.failing.clone(),
        }
    }
}

fn log_changes(source: &str, before: &[String], now: &[String]) {
    for problem in now.iter().filter(|problem| !before.contains(problem)) {
        tracing::warn!(source, "{problem}");
    }
    for problem in before.iter().filter(|problem| !now.contains(problem)) {
        tracing::info!(source, "over: {problem}");
    }
}
