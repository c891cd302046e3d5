//! What the runs of the writers came to: their lines of the table, and the table of their own.
//!
//! Owns the goals of the writers. A number of writers that did not run has no lines.

use std::collections::BTreeSet;
use std::fmt;

use crate::cluster::Flush;
use crate::figures::median;
use crate::server::Contender;
use crate::table::{Goal, Line};
use crate::writers::{Throughput, Variant, WriterRun};

/// All runs.
#[derive(Default)]
pub(crate) struct Throughputs(pub(crate) Vec<WriterRun>);

impl Throughputs {
    /// How many wrote, and on what disk, in order.
    fn kinds(&self) -> BTreeSet<(Flush, u32)> {
        self.0.iter().map(|run| (run.flush, run.writers)).collect()
    }

    fn runs(&self, kind: (Flush, u32), variant: Variant) -> Vec<&Throughput> {
        let same = self
            .0
            .iter()
            .filter(|run| (run.flush, run.writers) == kind && run.variant == variant);
        same.map(|run| &run.throughput).collect()
    }

    /// Round by round, the throughput as a part of that of another variant in the same round.
    fn shares(&self, kind: (Flush, u32), contender: Contender, of: Variant) -> Vec<f64> {
        let ours = self.runs(kind, Variant::Captured(contender));
        let theirs = self.runs(kind, of);
        let pairs = ours.iter().zip(theirs);
        pairs
            .map(|(ours, theirs)| ours.per_second / theirs.per_second)
            .collect()
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for (flush, writers) in self.kinds() {
            for (of, name) in [
                (Variant::Untriggered, "untriggered"),
                (Variant::ByHand, "that with a second insert by hand"),
            ] {
                let goal = match (flush, of, writers) {
                    (Flush::Plain, Variant::Untriggered, 32) => Goal::AtLeast(0.65),
                    (Flush::Plain, Variant::ByHand, 32) => Goal::AtLeast(0.9),
                    (Flush::Delayed, Variant::Untriggered, 32) => Goal::AtLeast(0.8),
                    _ => Goal::None,
                };
                let shares = |contender| self.shares((flush, writers), contender, of);
                let rounds = shares(Contender::Rowcast);
                let peer_rounds = shares(Contender::Node);
                lines.push(Line {
                    what: format!("{writers} writers{flush}: throughput, of {name}"),
                    ours: median(rounds.iter().copied()),
                    peer: median(peer_rounds.iter().copied()),
                    decimals: 2,
                    goal,
                    is_must: false,
                    rounds,
                    peer_rounds,
                });
            }
        }
        lines
    }
}

impl fmt::Display for Throughputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\n| writers | on the table | inserts a second | each run | mean, ms | Postgres CPU per insert, µs | watched room: lost |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|")?;
        let kinds = self.kinds().into_iter();
        for (kind, variant) in kinds.flat_map(|kind| Variant::ALL.map(|v| (kind, v))) {
            let runs = self.runs(kind, variant);
            let of = |figure: fn(&Throughput) -> f64| median(runs.iter().map(|run| figure(run)));
            let (Some(per_second), Some(mean_ms), Some(cpu_us)) = (
                of(|run| run.per_second),
                of(|run| run.mean_ms),
                of(|run| run.postgres_cpu_us),
            ) else {
                continue;
            };
            let each = runs.iter().map(|run| format!("{:.0}", run.per_second));
            let each = each.collect::<Vec<_>>().join(", ");
            let lost = match variant {
                Variant::Untriggered | Variant::ByHand => String::new(),
                Variant::Captured(_) => runs.iter().map(|run| run.lost).sum::<u64>().to_string(),
            };
            let (flush, writers) = kind;
            writeln!(
                f,
                "| {writers}{flush} | {variant} | {per_second:.0} | {each} | {mean_ms:.2} | {cpu_us:.0} | {lost} |"
            )?;
        }
        Ok(())
    }
}
