//! One line of the table: ours, the peer's, their ratio, the goal and whether it was met.

use std::fmt;

/// Where a figure must stand.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    None,
    AtMost(f64),
    AtLeast(f64),
    /// At most this part of the peer's figure.
    OfPeer(f64),
}

/// A figure of both; none for who was not measured.
pub(crate) struct Line {
    pub(crate) what: String,
    pub(crate) ours: Option<f64>,
    pub(crate) peer: Option<f64>,
    pub(crate) decimals: usize,
    pub(crate) goal: Goal,
    /// Whether the run has failed when the goal was not met: a count that has to be none, or memory that has to be bounded.
    pub(crate) is_must: bool,
    /// Round by round.
    pub(crate) rounds: Vec<f64>,
    pub(crate) peer_rounds: Vec<f64>,
}

impl Line {
    pub(crate) const HEADER: &str =
        "| | rowcast | node | ratio | goal | met |\n|---|---|---|---|---|---|";

    pub(crate) fn is_measured(&self) -> bool {
        self.ours.is_some() || self.peer.is_some()
    }

    /// Whether the run has failed by this line.
    pub(crate) fn is_broken(&self) -> bool {
        self.is_must && self.ours.is_some() && self.met() != Some(true)
    }

    fn met(&self) -> Option<bool> {
        let ours = self.ours?;
        match self.goal {
            Goal::None => None,
            Goal::AtMost(most) => Some(ours <= most),
            Goal::AtLeast(least) => Some(ours >= least),
            Goal::OfPeer(part) => Some(ours <= part * self.peer?),
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::AtMost(most) => write!(f, "<= {most}"),
            Self::AtLeast(least) => write!(f, ">= {least}"),
            Self::OfPeer(1.0) => write!(f, "<= node's"),
            Self::OfPeer(part) => write!(f, "<= {part} of node's"),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figure = |value: Option<f64>, decimals| match value {
            Some(value) => format!("{value:.decimals$}"),
            None => "-".to_owned(),
        };
        let ratio = match (self.ours, self.peer) {
            (Some(ours), Some(peer)) if peer != 0.0 => figure(Some(ours / peer), 2),
            _ => String::new(),
        };
        let (ours, peer) = (
            figure(self.ours, self.decimals),
            figure(self.peer, self.decimals),
        );
        let met = match self.met() {
            Some(true) => "yes",
            Some(false) => "no",
            None => "",
        };
        write!(
            f,
            "| {} | {ours} | {peer} | {ratio} | {} | {met} |",
            self.what, self.goal
        )
    }
}
