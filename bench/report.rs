//! The report: medians of the rounds, ours and the peer's, held against the goals.
//!
//! Owns the goals that the table holds the figures against. Prints no figure that was not measured in this run: a part
//! that did not run has no lines.

use std::collections::BTreeSet;
use std::fmt;

use crate::delivery::{Outcome, Shape};
use crate::figures::median;
use crate::server::Contender;
use crate::table::{Goal, Line};
use crate::writers::{Throughput, Variant, WriterRun};

/// How the rounds of a figure become one.
#[derive(Clone, Copy)]
pub(crate) enum Combine {
    Median,
    Sum,
}

/// One figure of a part that only Rowcast can play.
pub(crate) struct Figure {
    what: String,
    value: f64,
    decimals: usize,
    combine: Combine,
    goal: Goal,
}

impl Figure {
    pub(crate) fn new(
        what: impl Into<String>,
        value: f64,
        decimals: usize,
        combine: Combine,
    ) -> Self {
        Self {
            what: what.into(),
            value,
            decimals,
            combine,
            goal: Goal::None,
        }
    }

    pub(crate) fn goal(self, goal: Goal) -> Self {
        Self { goal, ..self }
    }
}

/// All outcomes of a run.
pub(crate) struct Report {
    postgres: String,
    rounds: u32,
    notes: Vec<&'static str>,
    deliveries: Vec<(&'static str, Contender, Outcome)>,
    writer_runs: Vec<WriterRun>,
    alone: Vec<Figure>,
}

impl Report {
    pub(crate) fn new(postgres: String, rounds: u32) -> Self {
        Self {
            postgres,
            rounds,
            notes: Vec::new(),
            deliveries: Vec::new(),
            writer_runs: Vec::new(),
            alone: Vec::new(),
        }
    }

    pub(crate) fn note(&mut self, note: &'static str) {
        self.notes.push(note);
    }

    pub(crate) fn delivery(&mut self, shape: &Shape, contender: Contender, outcome: Outcome) {
        self.deliveries.push((shape.name, contender, outcome));
    }

    pub(crate) fn writer_run(&mut self, run: WriterRun) {
        self.writer_runs.push(run);
    }

    /// Figures that have no peer.
    pub(crate) fn alone(&mut self, figures: Vec<Figure>) {
        self.alone.extend(figures);
    }

    /// The same figures of all rounds in one line each, in the order of the first round.
    fn alone_lines(&self) -> Vec<Line> {
        let mut seen = BTreeSet::new();
        let first = self.alone.iter().filter(|figure| seen.insert(&figure.what));
        let line = |first: &Figure| {
            let same = self.alone.iter().filter(|figure| figure.what == first.what);
            let values = same.map(|figure| figure.value).collect::<Vec<_>>();
            Line {
                what: first.what.clone(),
                ours: match first.combine {
                    Combine::Median => median(values),
                    Combine::Sum => sum(values),
                },
                peer: None,
                decimals: first.decimals,
                goal: first.goal,
            }
        };
        first.map(line).collect()
    }

    fn figures(
        &self,
        shape: &Shape,
        contender: Contender,
        figure: fn(&Outcome) -> f64,
    ) -> Vec<f64> {
        let of = self
            .deliveries
            .iter()
            .filter(|(name, who, _)| *name == shape.name && *who == contender);
        of.map(|(_, _, outcome)| figure(outcome)).collect()
    }

    fn delivery_lines(&self, shape: &Shape) -> Vec<Line> {
        let line =
            |what: &str, decimals, goal, combine: fn(Vec<f64>) -> Option<f64>, figure| Line {
                what: format!("{}: {what}", shape.name),
                ours: combine(self.figures(shape, Contender::Rowcast, figure)),
                peer: combine(self.figures(shape, Contender::Node, figure)),
                decimals,
                goal,
            };
        // The goals for processor time, memory and half of Node's latency are set for the fan-out.
        let fanout = shape.name == Shape::FANOUT.name;
        let (of_peer, none, zero) = (
            Goal::OfPeer(if fanout { 0.5 } else { 1.0 }),
            Goal::None,
            Goal::AtMost(0.0),
        );
        let mut lines = vec![
            line(
                "server CPU per delivery, µs",
                1,
                if fanout { Goal::AtMost(10.0) } else { none },
                median,
                |o| o.cpu_us,
            ),
            line("insert to client p50, ms", 2, of_peer, median, |o| {
                o.from_insert.p50_ms
            }),
            line("insert to client p99, ms", 2, of_peer, median, |o| {
                o.from_insert.p99_ms
            }),
            line("commit to client p50, ms", 2, none, median, |o| {
                o.from_commit.p50_ms
            }),
            line("commit to client p99, ms", 2, none, median, |o| {
                o.from_commit.p99_ms
            }),
            line("Postgres CPU per insert, µs", 0, none, median, |o| {
                o.postgres_cpu_us
            }),
            line("frame, bytes", 0, none, median, |o| o.frame_bytes),
            line("deliveries expected", 0, none, sum, |o| {
                o.tally.expected as f64
            }),
            line("lost", 0, zero, sum, |o| o.tally.lost as f64),
            line("doubled or in the wrong room", 0, zero, sum, |o| {
                o.tally.too_much() as f64
            }),
            line("clients cut off", 0, zero, sum, |o| o.cut_off as f64),
        ];
        // Of 200 connections, what the heap grows by in steps is too large a part.
        if fanout {
            let goal = Goal::AtMost(14.0);
            lines.extend([
                line("memory per idle connection, kB", 1, goal, median, |o| {
                    o.rss_kb
                }),
                line("the same as PSS, kB", 1, none, median, |o| o.pss_kb),
            ]);
        }
        lines
    }

    /// Every number of writers that ran, in order.
    fn writers(&self) -> BTreeSet<u32> {
        self.writer_runs.iter().map(|run| run.writers).collect()
    }

    fn throughputs(&self, writers: u32, variant: Variant) -> Vec<&Throughput> {
        let same = self
            .writer_runs
            .iter()
            .filter(|run| run.writers == writers && run.variant == variant);
        same.map(|run| &run.throughput).collect()
    }

    /// Throughput as a part of the untriggered one.
    fn writer_line(&self, writers: u32) -> Line {
        let per_second = |variant| {
            median(
                self.throughputs(writers, variant)
                    .iter()
                    .map(|run| run.per_second),
            )
        };
        let share = |contender| {
            Some(per_second(Variant::Captured(contender))? / per_second(Variant::Untriggered)?)
        };
        Line {
            what: format!("{writers} writers: throughput, of untriggered"),
            ours: share(Contender::Rowcast),
            peer: share(Contender::Node),
            decimals: 2,
            goal: if writers == 32 {
                Goal::AtLeast(0.7)
            } else {
                Goal::None
            },
        }
    }

    fn write_throughputs(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n| writers | on the table | inserts a second | each run | mean, ms | watched room: lost |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|")?;
        for (writers, variant) in self
            .writers()
            .into_iter()
            .flat_map(|w| Variant::ALL.map(|v| (w, v)))
        {
            let runs = self.throughputs(writers, variant);
            let (Some(per_second), Some(mean_ms)) = (
                median(runs.iter().map(|run| run.per_second)),
                median(runs.iter().map(|run| run.mean_ms)),
            ) else {
                continue;
            };
            let each = runs
                .iter()
                .map(|run| format!("{:.0}", run.per_second))
                .collect::<Vec<_>>()
                .join(", ");
            let lost = match variant {
                Variant::Untriggered => String::new(),
                Variant::Captured(_) => runs.iter().map(|run| run.lost).sum::<u64>().to_string(),
            };
            writeln!(
                f,
                "| {writers} | {variant} | {per_second:.0} | {each} | {mean_ms:.2} | {lost} |"
            )?;
        }
        Ok(())
    }
}

/// Over all rounds; none of none.
fn sum(values: Vec<f64>) -> Option<f64> {
    values.into_iter().reduce(|sum, value| sum + value)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        writeln!(
            f,
            "Postgres {}, {cores} cores, rounds: {}; counts are sums, the rest medians.\n",
            self.postgres, self.rounds
        )?;
        writeln!(f, "{}", Line::HEADER)?;
        let deliveries = [Shape::STEADY, Shape::FANOUT]
            .iter()
            .flat_map(|shape| self.delivery_lines(shape))
            .collect::<Vec<_>>();
        for line in deliveries.into_iter().chain(
            self.writers()
                .into_iter()
                .map(|writers| self.writer_line(writers))
                .chain(self.alone_lines()),
        ) {
            if line.is_measured() {
                writeln!(f, "{line}")?;
            }
        }
        if !self.writer_runs.is_empty() {
            self.write_throughputs(f)?;
        }
        self.notes
            .iter()
            .try_for_each(|note| writeln!(f, "\n{note}"))
    }
}
