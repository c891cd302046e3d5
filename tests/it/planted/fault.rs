//! A fault, how each way of telling names it, and what ends it.
//!
//! In all texts `ROLE` stands for the server's role.

/// A fault.
pub(super) struct Fault {
    pub(super) plant: Plant,
    /// What `/readyz` says while it lasts.
    pub(super) ready: Ready,
    pub(super) log: Log,
    /// Whether rows that are written meanwhile are captured. They come to the client then, during the fault or after it.
    pub(super) captures: bool,
    /// The client is told once to load the room again, since events were removed by hand.
    pub(super) resyncs: bool,
    /// The doctor's check, its level, and words of what it says.
    pub(super) doctor: (&'static str, &'static str, &'static str),
    /// The SQL that ends it. Empty: what the doctor says to paste.
    pub(super) mend: &'static str,
}

/// How it is planted.
pub(super) enum Plant {
    /// By these statements.
    Sql(&'static str),
    /// The same, and the server's connections are made anew.
    Anew(&'static str),
    /// In a transaction that stays open.
    Held(&'static str),
}

/// What `/readyz` says.
pub(super) enum Ready {
    /// 503 with this check and these words.
    Failing(&'static str, &'static str),
    /// 200 with this check and these words.
    Degraded(&'static str, &'static str),
}

/// What stands in exactly one line of the log when it begins, and in one when it is over.
pub(super) enum Log {
    /// The lines of the check of that name.
    Check,
    /// The lines that contain this.
    Lines(&'static str, &'static str),
}

impl Ready {
    pub(super) fn check(&self) -> &'static str {
        match self {
            Self::Failing(check, _) | Self::Degraded(check, _) => check,
        }
    }
}

impl Fault {
    /// A fault of a check, which keeps no row from being captured.
    pub(super) const fn new(
        plant: Plant,
        ready: Ready,
        doctor: (&'static str, &'static str, &'static str),
    ) -> Self {
        Self {
            plant,
            ready,
            log: Log::Check,
            captures: true,
            resyncs: false,
            doctor,
            mend: "",
        }
    }

    pub(super) const fn logged(mut self, begins: &'static str, ends: &'static str) -> Self {
        self.log = Log::Lines(begins, ends);
        self
    }

    /// Rows that are written meanwhile are not captured, or can't be written.
    pub(super) const fn uncaptured(mut self) -> Self {
        self.captures = false;
        self
    }

    pub(super) const fn resynced(mut self) -> Self {
        self.resyncs = true;
        self
    }

    pub(super) const fn mended_by(mut self, mend: &'static str) -> Self {
        self.mend = mend;
        self
    }
}
