//! The log's lines on events that were left out because they can't be sent.
//!
//! Guarantees that each is told, and that a flood of them is one line for each source and minute, with their number.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// After a line on a source, so long none on it.
const PAUSE: Duration = Duration::from_secs(60);

/// What was left out and is not told yet, by source.
#[derive(Debug, Default)]
pub(super) struct Skipped(HashMap<Option<String>, Untold>);

#[derive(Debug, Default)]
struct Untold {
    count: u64,
    /// The first one's id, and why it can't be sent.
    first: Option<(i64, String)>,
    told: Option<Instant>,
}

impl Skipped {
    /// The event `id` of `source` is left out.
    pub(super) fn note(&mut self, id: i64, source: Option<String>, why: &impl ToString) {
        let untold = self.0.entry(source).or_default();
        untold.count += 1;
        untold.first.get_or_insert_with(|| (id, why.to_string()));
    }

    /// Logs what is due.
    pub(super) fn log(&mut self) {
        self.due(Instant::now(), |source, count, id, why| {
            let source = source.unwrap_or("rowcast.emit or a direct insert");
            tracing::warn!(
                source,
                count,
                id,
                "events can't be sent and are skipped: {why}; which rows: select data from rowcast.events where room is null; \
                 where they are to have none, leave them out: rowcast.attach(.., condition => ..)"
            );
        });
    }

    fn due(&mut self, now: Instant, mut tell: impl FnMut(Option<&str>, u64, i64, &str)) {
        for (source, untold) in &mut self.0 {
            let due = untold.told.is_none_or(|told| now - told >= PAUSE);
            if let Some((id, why)) = untold.first.take_if(|_| due) {
                tell(
                    source.as_deref(),
                    std::mem::take(&mut untold.count),
                    id,
                    &why,
                );
                untold.told = Some(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_for_each_source_and_minute_and_none_is_left_untold() {
        let (mut skipped, begin) = (Skipped::default(), Instant::now());
        let due = |skipped: &mut Skipped, seconds| {
            let mut lines = Vec::new();
            let now = begin + Duration::from_secs(seconds);
            skipped.due(now, |source, count, id, _| {
                lines.push((source.map(str::to_owned), count, id));
            });
            lines.sort();
            lines
        };
        let a = || Some("public.a".to_owned());
        for id in 1..=1_000 {
            skipped.note(id, a(), &"no room");
        }
        skipped.note(7, None, &"no room");
        assert_eq!(due(&mut skipped, 0), [(None, 1, 7), (a(), 1_000, 1)]);
        assert_eq!(due(&mut skipped, 1), []);

        for second in 1..=5 {
            skipped.note(1_000 + second, a(), &"no room");
            assert_eq!(due(&mut skipped, 11 * second as u64), []);
        }
        // Nothing follows, and it is told all the same.
        assert_eq!(due(&mut skipped, 60), [(a(), 5, 1_001)]);
        assert_eq!(due(&mut skipped, 600), []);
    }
}
