//! The report: medians of the rounds, ours and the peer's, held against the goals.
//!
//! Owns the goals that the table holds the figures against. Prints no figure that was not measured in this run: a part
//! that did not run has no lines.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Result, ensure};

use crate::delivery::{Outcome, Shape};
use crate::figures::median;
use crate::server::Contender;
use crate::table::{Goal, Line};
use crate::throughputs::Throughputs;
use crate::writers::WriterRun;

/// How the rounds of a figure become one.
#[derive(Clone, Copy)]
pub(crate) enum Combine {
    Median,
    Sum,
}

/// One figure of a part, of one round.
pub(crate) struct Figure {
    what: String,
    value: f64,
    decimals: usize,
    combine: Combine,
    goal: Goal,
    is_must: bool,
    contender: Contender,
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
            is_must: false,
            contender: Contender::Rowcast,
        }
    }

    /// Whose it is, where it is not Rowcast's.
    pub(crate) fn of(self, contender: Contender) -> Self {
        Self { contender, ..self }
    }

    pub(crate) fn goal(self, goal: Goal) -> Self {
        Self { goal, ..self }
    }

    /// A count over all rounds that has to be zero: else the run fails.
    pub(crate) fn none(what: impl Into<String>, count: u64) -> Self {
        Self::new(what, count as f64, 0, Combine::Sum).bound(0.0)
    }

    /// The goal without which the run fails.
    pub(crate) fn bound(self, most: f64) -> Self {
        Self {
            is_must: true,
            ..self.goal(Goal::AtMost(most))
        }
    }
}

/// All outcomes of a run.
pub(crate) struct Report {
    postgres: String,
    rounds: u32,
    notes: Vec<&'static str>,
    deliveries: Vec<(&'static str, Contender, Outcome)>,
    throughputs: Throughputs,
    alone: Vec<Figure>,
}

impl Report {
    pub(crate) fn new(postgres: String, rounds: u32) -> Self {
        Self {
            postgres,
            rounds,
            notes: Vec::new(),
            deliveries: Vec::new(),
            throughputs: Throughputs::default(),
            alone: Vec::new(),
        }
    }

    pub(crate) fn note(&mut self, note: &'static str) {
        self.notes.push(note);
    }

    pub(crate) fn delivery(&mut self, shape: &Shape, contender: Contender, outcome: Outcome) {
        self.deliveries.push((shape.name, contender, outcome));
    }

    pub(crate) fn writer_runs(&mut self, runs: Vec<WriterRun>) {
        self.throughputs.0.extend(runs);
    }

    /// Figures of one part and round.
    pub(crate) fn alone(&mut self, figures: Vec<Figure>) {
        self.alone.extend(figures);
    }

    /// The same figures of all rounds in one line each, in the order of the first round.
    fn alone_lines(&self) -> Vec<Line> {
        let mut seen = BTreeSet::new();
        let first = self.alone.iter().filter(|figure| seen.insert(&figure.what));
        let line = |first: &Figure| {
            let values = |contender| {
                let same = self
                    .alone
                    .iter()
                    .filter(|figure| figure.what == first.what && figure.contender == contender);
                same.map(|figure| figure.value).collect::<Vec<_>>()
            };
            let combine = |values: Vec<f64>| match first.combine {
                Combine::Median => median(values),
                Combine::Sum => sum(values),
            };
            let rounds = values(Contender::Rowcast);
            let peer_rounds = values(Contender::Node);
            Line {
                what: first.what.clone(),
                ours: combine(rounds.clone()),
                peer: combine(peer_rounds.clone()),
                decimals: first.decimals,
                goal: first.goal,
                is_must: first.is_must,
                rounds,
                peer_rounds,
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

    /// All that was measured, in the order of the table.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let deliveries = [Shape::STEADY, Shape::FANOUT];
        let deliveries = deliveries
            .iter()
            .flat_map(|shape| self.delivery_lines(shape));
        deliveries
            .chain(self.throughputs.lines())
            .chain(self.alone_lines())
            .filter(Line::is_measured)
            .collect()
    }

    /// Fails where a count that has to be none is not, or memory is not bounded.
    pub(crate) fn ensure_whole(&self) -> Result<()> {
        let lines = self.lines();
        let broken = lines.iter().filter(|line| line.is_broken());
        let broken = broken.map(ToString::to_string).collect::<Vec<_>>();
        ensure!(
            broken.is_empty(),
            "what must hold does not:\n{}",
            broken.join("\n")
        );
        Ok(())
    }

    fn delivery_lines(&self, shape: &Shape) -> Vec<Line> {
        let line = |what: &str, decimals, goal, combine: fn(Vec<f64>) -> Option<f64>, figure| {
            let rounds = self.figures(shape, Contender::Rowcast, figure);
            let peer_rounds = self.figures(shape, Contender::Node, figure);
            Line {
                what: format!("{}: {what}", shape.name),
                ours: combine(rounds.clone()),
                peer: combine(peer_rounds.clone()),
                decimals,
                goal,
                is_must: matches!(goal, Goal::AtMost(0.0)),
                rounds,
                peer_rounds,
            }
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
        for line in self.lines() {
            writeln!(f, "{line}")?;
        }
        self.throughputs.fmt(f)?;
        self.notes
            .iter()
            .try_for_each(|note| writeln!(f, "\n{note}"))
    }
}
